"""Vectors of real numbers: toy densities by name, and CSV files with a row for each vector."""

from pathlib import Path
from types import MappingProxyType
from typing import Any

from kerasar.cli.kinds.kind import Drawn, Kind, Loaded, Named, hold_out
from kerasar.cli.support.run_folder import RunFolder

_TOY_TRAIN, _TOY_TEST = 10_000, 5_000
#: Points of so many numbers can be drawn: on a line, in the plane.
_MOST_SHOWN = 2


class Vectors(Kind):
    """Real numbers, `(n, dim)`."""

    name = "vectors"
    noun = "points"
    num = 1000
    endings = (".csv", ".png", ".npz")
    sampled = ("samples.csv",)
    pictures = ("density.png", "samples.csv")
    example = MappingProxyType({"dim": 2})
    next = (("sample {run} --num 1000", "draw new points"),)
    wanted = "a toy density by its name, or a .csv file of numbers"

    def claims(self, spec: str) -> bool:
        from kerasar.data import TOY_DENSITIES

        return spec in TOY_DENSITIES or Path(spec).suffix.lower() == ".csv"

    def load(
        self, spec: str, data_dir: Path | None, levels: int | None, settings: dict[str, Any]
    ) -> Loaded:
        if levels is not None:
            raise ValueError(
                f"--levels is for whole numbers, but '{spec}' holds points of real numbers. Leave "
                "it out."
            )
        data = _read(spec, settings.get("column"))
        if settings.get("column") and data.name == spec:
            raise ValueError(f"--column names one of a file, but '{spec}' is none. Leave it out.")
        learn, choose = hold_out(data.train, self.noun)
        dim = data.train.shape[1]
        arguments: dict[str, Any] = {"dim": dim, "standardize": True}
        if dim == 1:
            mean, deviation = data.train.mean(), data.train.std()  # what the model will keep
            ends = (data.train.min() - mean) / deviation, (data.train.max() - mean) / deviation
            arguments |= {"xmin": float(ends[0]), "xmax": float(ends[1])}
        about = f"{dim} number{'s' * (dim > 1)} each: {', '.join(data.columns)}"
        kept = {"column": list(data.columns)}
        return Loaded(data.name, learn, choose, data.test, arguments, about, kept, data)

    def named(
        self, run: RunFolder, model: Any, spec: str, data_dir: Path | None, part: str
    ) -> Named:
        import numpy as np

        data = _read(spec, run.config["column"])
        parts = {"train": data.train, "test": data.test}
        chosen = {"auto": ["test"], "all": ["train", "test"]}.get(part, [part])
        names = [f"{p}/{i}" for p in chosen for i in range(len(parts[p]))]
        return Named(np.concatenate([parts[p] for p in chosen]), names)

    def showcase(self, run: RunFolder, model: Any, loaded: Loaded, heading: str) -> None:
        from kerasar.cli.support.outputs import written

        data = loaded.source
        with written(run.path / "samples.csv") as file:
            self.write(file, Drawn(model.sample(self.num, seed=0), ""), run, model)
        if data.train.shape[1] <= _MOST_SHOWN:
            with written(run.path / "density.png") as file:
                _draw(file, run, model, f"{heading} on test points", data.test[:2000])

    def write(self, path: Path, drawn: Drawn, run: RunFolder, model: Any) -> None:
        import numpy as np

        if path.suffix.lower() == ".npz":
            np.savez_compressed(path, samples=drawn.samples)
        elif path.suffix.lower() == ".csv":
            header = ",".join(run.config["column"])
            np.savetxt(path, drawn.samples, "%.9g", ",", header=header, comments="")
        elif drawn.samples.shape[1] <= _MOST_SHOWN:
            _draw(path, run, model, drawn.how, samples=drawn.samples)
        else:
            raise ValueError(
                f"A .png shows points on a line or in the plane, but those of '{run.path}' have "
                f"{drawn.samples.shape[1]} numbers. Write a .csv or an .npz."
            )


def _draw(
    path: Path, run: RunFolder, model: Any, heading: str, data: Any = None, samples: Any = None
) -> None:
    """Writes the map of the line, or the density in the plane with samples and data beside it."""
    import numpy as np

    from kerasar.data import mixture_log_prob
    from kerasar.pictures import density_figure, map_figure, save

    heading = f"{run.title}: {heading}"
    if model.data_shape == (1,):
        low, high = np.quantile(samples if data is None else data, [0.002, 0.998])
        room = 0.15 * (high - low)
        target = mixture_log_prob if run.config["data"] == "mixture" else None
        figure = map_figure(model, low - room, high + room, target, heading, samples)
    else:
        figure = density_figure(model, data, heading=heading, samples=samples)
    save(figure, path)


def _read(spec: str, columns: Any) -> Any:
    from kerasar.data import TOY_DENSITIES, VectorData, load_vectors, toy_density

    if not Vectors().claims(spec):
        raise ValueError(
            f"Models of points are trained on {Vectors.wanted}, but got '{spec}'. The names are "
            f"{', '.join(TOY_DENSITIES)}."
        )
    if spec not in TOY_DENSITIES:
        return load_vectors(spec, [columns] if isinstance(columns, str) else columns)
    points = toy_density(spec, _TOY_TRAIN + _TOY_TEST, seed=0)
    names = ("x", "y")[: TOY_DENSITIES[spec]]
    return VectorData(spec, points[:_TOY_TRAIN], points[_TOY_TRAIN:], names)
