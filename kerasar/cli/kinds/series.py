"""Series: columns of a CSV file, or an array in an `.npy` file."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasar.cli.kinds.kind import (
    DataKind,
    NamedExamples,
    Samples,
    SamplingRequest,
    TrainingData,
    whole_steps,
)
from kerasar.cli.support.outputs import atomic_write
from kerasar.cli.support.run_folder import RunFolder
from kerasar.data import Quantizer, SeriesData, load_series, windows
from kerasar.data.plain_text import picture_text

if TYPE_CHECKING:
    from kerasar.forecasting import Forecast
    from kerasar.training import DensityModel

#: Steps of a piece of the series in training, where there are as many.
_PIECE = 128


class Series(DataKind):
    """One long series of real values, or of levels, cut into overlapping pieces."""

    name = "series"
    noun = "pieces of a series"
    unit = "value"
    num_samples = 200
    endings = (".csv", ".png", ".npz")
    sample_files = ("paths.csv", "quantiles.csv", "forecast.png")
    pictures = ("forecast.png",)
    example = MappingProxyType({"length": None, "levels": 256})
    next_commands = (("sample {run} --prompt {data} --length 48 --num 200", "forecast"),)
    accepted = "a .csv or .npy file"

    def claims(self, spec: str) -> bool:
        return Path(spec).suffix.lower() in (".csv", ".tsv", ".txt", ".npy")

    def load(
        self, spec: str, data_dir: Path | None, levels: int | None, settings: dict[str, Any]
    ) -> TrainingData:
        data = load_series(spec, settings.get("column"), levels)
        size = min(_PIECE, max(2, len(data.train) // 10))
        if len(data.train) < 10:
            raise ValueError(
                f"A series needs at least 10 steps to train on, but '{spec}' has "
                f"{len(data.train)} that are not held out. Add steps."
            )
        cut = len(data.train) - max(size, len(data.train) // 10)  # the last steps are validation
        train = windows(data.train[:cut], min(size, cut), max(1, size // 8))
        validation = windows(data.train[cut:], size, size)
        test = windows(data.test, min(size, len(data.test)), min(size, len(data.test)))
        arguments = {
            "length": None,
            "levels": data.levels,
            "num_variables": data.num_variables,
            "likelihood": _likelihood(data),
            "input_encoding": "scalar",
        }
        about = f"{len(data.train)} steps of {', '.join(data.columns)}, "
        about += "real values" if data.levels is None else f"{data.levels} levels"
        kept: dict[str, Any] = {"column": list(data.columns), "length": size}
        if Path(spec).suffix.lower() == ".npy":
            kept["column"] = settings.get("column")
        elif data.num_variables is None:
            kept["column"] = data.columns[0]
        if data.quantizer is not None:
            kept["range"] = [data.quantizer.low.tolist(), data.quantizer.high.tolist()]
        return TrainingData(data.name, train, validation, test, arguments, about, kept, data)

    def load_named(
        self, run: RunFolder, model: DensityModel, spec: str, data_dir: Path | None, part: str
    ) -> NamedExamples:
        data = _read(spec, run, model)
        parts = {"train": data.train, "test": data.test, "auto": data.test}
        chosen = np.concatenate([data.train, data.test]) if part == "all" else parts[part]
        size = min(run.config["length"], len(chosen))
        pieces = windows(chosen, size, size)
        first = len(data.train) if part in ("test", "auto") else 0
        return NamedExamples(pieces, [f"steps {first + i * size}…" for i in range(len(pieces))])

    def showcase(
        self, run: RunFolder, model: DensityModel, data: TrainingData, result: str
    ) -> None:
        from kerasar.forecasting import forecast
        from kerasar.pictures import fan_chart, save

        series = data.source
        steps = min(len(series.test), 48)
        past, future = series.decode(series.train), series.decode(series.test[:steps])
        # The training has come to its end: paths that run away are a warning in its picture.
        found = forecast(
            model,
            past,
            steps,
            self.num_samples,
            series=series,
            on_runaway="clip",
            verbose=False,
        )
        names = tuple(map(picture_text, series.columns))
        figure = fan_chart(past[-3 * steps :], found.paths, future, columns=names)
        figure.suptitle(f"{run.title}: the steps held out ({result}){_warning(found)}")
        with atomic_write(run.path / "forecast.png") as file:
            save(figure, file)

    def draw(self, run: RunFolder, model: DensityModel, request: SamplingRequest) -> Samples:
        from kerasar.forecasting import forecast

        source = Path(request.prompt or run.config["data_path"])
        series = _read(source, run, model)
        past = np.concatenate([series.decode(series.train), series.decode(series.test)])
        steps = 48 if request.length is None else whole_steps(request.length)
        found = forecast(
            model,
            past,
            steps,
            request.num,
            series=series,
            on_runaway=request.on_runaway,
            **request.options,
        )
        description = (
            f"{steps} steps after the end of {picture_text(source.name)}, {request.num} paths "
        )
        description += f"({request.describe_options()}){_warning(found)}"
        return Samples(found.paths, description, forecast=found)

    def write_readable(
        self, path: Path, samples: Samples, run: RunFolder, model: DensityModel
    ) -> None:
        from kerasar.pictures import fan_chart, save

        found = samples.forecast
        if path.suffix.lower() == ".csv" and path.stem.endswith("quantiles"):
            found.write_quantiles(path)
        elif path.suffix.lower() == ".csv":
            found.write_paths(path)
        else:
            steps = found.paths.shape[1]
            names = tuple(map(picture_text, found.columns))
            figure = fan_chart(found.past[-3 * steps :], found.paths, columns=names)
            figure.suptitle(f"{run.title}: {samples.description}")
            save(figure, path)


def _warning(found: Forecast) -> str:
    """What the heading of a forecast adds if paths had to be clipped."""
    return f"; {found.clipped:,} paths ran away" if found.clipped else ""


def _read(spec: str | Path, run: RunFolder, model: DensityModel) -> SeriesData:
    """Another series, or the same, in the columns and levels that the run was trained on."""
    quantizer = None
    if model.data_levels is not None:
        low, high = run.setting("range")
        quantizer = Quantizer(low, high, model.data_levels)
    return load_series(spec, run.config.get("column"), quantizer=quantizer)


def _likelihood(series: SeriesData) -> Any:
    from kerasar.distributions import Categorical, GaussianMixture, Independent

    if series.levels is None:
        return GaussianMixture(2, series.num_variables, series.mean, series.scale)
    if series.num_variables is None:
        return Categorical()
    return Independent(series.num_variables, Categorical())
