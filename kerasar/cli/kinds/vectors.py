"""Vectors of real values: toy densities by name, and CSV files with a row for each vector."""

from __future__ import annotations

import csv
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasar.cli.kinds.kind import (
    DataKind,
    NamedExamples,
    Samples,
    TrainingData,
    hold_out_validation,
    name_examples,
)
from kerasar.cli.support.outputs import atomic_write
from kerasar.cli.support.run_folder import RunFolder
from kerasar.data import TOY_DENSITIES, VectorData, load_vectors, mixture_log_prob, toy_density
from kerasar.data.plain_text import csv_cell

if TYPE_CHECKING:
    from kerasar.training import DensityModel

_TOY_TRAIN, _TOY_TEST = 10_000, 5_000
#: Points of this dimension can be drawn: on the line, in the plane.
_MOST_SHOWN = 2


class Vectors(DataKind):
    """Real values, `(n, dim)`."""

    name = "vectors"
    noun = "points"
    num_samples = 1000
    endings = (".csv", ".png", ".npz")
    sample_files = ("samples.csv",)
    pictures = ("density.png", "samples.csv")
    example = MappingProxyType({"dim": 2})
    next_commands = (("sample {run} --num 1000", "draw new points"),)
    data_sets = tuple(TOY_DENSITIES)
    accepted = "a toy density by its name, or a .csv file of numbers"

    def claims(self, spec: str) -> bool:
        return spec in TOY_DENSITIES or Path(spec).suffix.lower() == ".csv"

    def load(
        self, spec: str, data_dir: Path | None, levels: int | None, settings: dict[str, Any]
    ) -> TrainingData:
        if levels is not None:
            raise ValueError(
                f"--levels is for integers, but '{spec}' holds points of real values. Leave it out."
            )
        data = _read(spec, settings.get("column"))
        if settings.get("column") and data.name == spec:
            raise ValueError(
                f"--column names one of a file, but '{spec}' is not a file. Leave it out."
            )
        train, validation = hold_out_validation(data.train, self.noun)
        dim = data.train.shape[1]
        arguments: dict[str, Any] = {"dim": dim, "standardize": True}
        if dim == 1:
            mean, deviation = data.train.mean(), data.train.std()  # what the model will keep
            ends = (data.train.min() - mean) / deviation, (data.train.max() - mean) / deviation
            arguments |= {"xmin": float(ends[0]), "xmax": float(ends[1])}
        about = f"{dim} value{'s' * (dim > 1)} each: {', '.join(data.columns)}"
        kept = {"column": list(data.columns)}
        return TrainingData(data.name, train, validation, data.test, arguments, about, kept, data)

    def check_model(
        self, name: str, model: DensityModel, data: TrainingData, conditional: bool
    ) -> None:
        super().check_model(name, model, data, conditional)
        dim = data.arguments["dim"]
        if model.data_shape != (dim,):
            raise ValueError(
                f"Model '{name}' takes points of dimension {model.data_shape[0]}, but those of "
                f"'{data.name}' have {dim}. Choose columns of your own data with --column, or "
                "another model: see kerasar models."
            )

    def load_named(
        self, run: RunFolder, model: DensityModel, spec: str, data_dir: Path | None, part: str
    ) -> NamedExamples:
        data = _read(spec, run.config["column"])
        return name_examples({"train": data.train, "test": data.test}, part)

    def showcase(
        self, run: RunFolder, model: DensityModel, data: TrainingData, result: str
    ) -> None:
        with atomic_write(run.path / "samples.csv") as file:
            self.write(file, Samples(model.sample(self.num_samples, seed=0)), run, model)
        if data.train.shape[1] <= _MOST_SHOWN:
            with atomic_write(run.path / "density.png") as file:
                _draw(file, run, model, f"{result} on test points", data.test[:2000])

    def write_readable(
        self, path: Path, samples: Samples, run: RunFolder, model: DensityModel
    ) -> None:
        points = samples.values
        if path.suffix.lower() == ".csv":
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerow(map(csv_cell, run.config["column"]))
                np.savetxt(file, points, "%.9g", ",")
        elif points.shape[1] <= _MOST_SHOWN:
            _draw(path, run, model, samples.description, samples=points)
        else:
            raise ValueError(
                f"A .png shows points on a line or in the plane, but those of '{run.path}' have "
                f"dimension {points.shape[1]}. Write a .csv or an .npz."
            )


def _draw(
    path: Path,
    run: RunFolder,
    model: DensityModel,
    heading: str,
    data: Any = None,
    samples: Any = None,
) -> None:
    """Writes the map of the line, or the density in the plane next to samples or data."""
    from kerasar.pictures import density_figure, map_figure, save

    heading = f"{run.title}: {heading}"
    if model.data_shape == (1,):
        low, high = np.quantile(samples if data is None else data, [0.002, 0.998])
        margin = 0.15 * (high - low)
        target = mixture_log_prob if run.config["data"] == "mixture" else None
        figure = map_figure(model, low - margin, high + margin, target, heading, samples)
    else:
        figure = density_figure(model, data, heading=heading, samples=samples)
    save(figure, path)


def _read(spec: str, columns: Any) -> VectorData:
    if not Vectors().claims(spec):
        raise ValueError(
            f"Models of points are trained on {Vectors.accepted}, but got '{spec}'. The names are "
            f"{', '.join(TOY_DENSITIES)}."
        )
    if spec not in TOY_DENSITIES:
        return load_vectors(spec, [columns] if isinstance(columns, str) else columns)
    points = toy_density(spec, _TOY_TRAIN + _TOY_TEST, seed=0)
    names = ("x", "y")[: TOY_DENSITIES[spec]]
    return VectorData(spec, points[:_TOY_TRAIN], points[_TOY_TRAIN:], names)
