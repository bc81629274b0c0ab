"""Series: columns of a CSV file, or an array in an `.npy` file."""

from pathlib import Path
from types import MappingProxyType
from typing import Any

from kerasar.cli.kinds.kind import Drawn, Kind, Loaded, Named, how, whole_steps
from kerasar.cli.support.run_folder import RunFolder

#: Steps of a piece of the series in training, where there are as many.
_PIECE = 128


class Series(Kind):
    """One long series of real numbers, or of levels, cut into overlapping pieces."""

    name = "series"
    noun = "pieces of a series"
    unit = "value"
    num = 200
    endings = (".csv", ".png", ".npz")
    sampled = ("paths.csv", "quantiles.csv", "forecast.png")
    pictures = ("forecast.png",)
    example = MappingProxyType({"length": None, "levels": 256})
    next = (("sample {run} --prompt {data} --length 48 --num 200", "forecast"),)
    wanted = "a .csv or .npy file"

    def claims(self, spec: str) -> bool:
        return Path(spec).suffix.lower() in (".csv", ".tsv", ".txt", ".npy")

    def load(
        self, spec: str, data_dir: Path | None, levels: int | None, settings: dict[str, Any]
    ) -> Loaded:
        from kerasar.data import load_series, windows
        from kerasar.distributions.likelihoods import Categorical, GaussianMixture, Independent

        data = load_series(spec, settings.get("column"), levels)
        size = min(_PIECE, max(2, len(data.train) // 10))
        if len(data.train) < 10:
            raise ValueError(
                f"A series needs at least 10 steps to train on, but '{spec}' has "
                f"{len(data.train)} that are not held out. Add steps."
            )
        cut = len(data.train) - max(size, len(data.train) // 10)  # the last steps to choose by
        learn = windows(data.train[:cut], min(size, cut), max(1, size // 8))
        choose = windows(data.train[cut:], size, size)
        test = windows(data.test, min(size, len(data.test)), min(size, len(data.test)))
        likelihood: Any = Categorical()
        if data.levels is None:
            likelihood = GaussianMixture(2, data.num_variables, data.mean, data.scale)
        elif data.num_variables is not None:
            likelihood = Independent(data.num_variables, Categorical())
        arguments = {
            "length": None,
            "levels": data.levels,
            "num_variables": data.num_variables,
            "likelihood": likelihood,
            "input_encoding": "scalar",
        }
        about = f"{len(data.train)} steps of {', '.join(data.columns)}, "
        about += "real numbers" if data.levels is None else f"{data.levels} levels"
        kept = {"column": list(data.columns), "length": size}
        if data.num_variables is None and Path(spec).suffix.lower() != ".npy":
            kept["column"] = data.columns[0]
        elif Path(spec).suffix.lower() == ".npy":
            kept["column"] = settings.get("column")
        if data.quantizer is not None:
            kept["range"] = [data.quantizer.low.tolist(), data.quantizer.high.tolist()]
        return Loaded(data.name, learn, choose, test, arguments, about, kept, data)

    def named(
        self, run: RunFolder, model: Any, spec: str, data_dir: Path | None, part: str
    ) -> Named:
        import numpy as np

        from kerasar.data import load_series, windows

        data = load_series(spec, run.config.get("column"), quantizer=_quantizer(run, model))
        parts = {"train": data.train, "test": data.test, "auto": data.test}
        chosen = np.concatenate([data.train, data.test]) if part == "all" else parts[part]
        size = min(run.config["length"], len(chosen))
        cut = windows(chosen, size, size)
        first = len(data.train) if part in ("test", "auto") else 0
        return Named(cut, [f"steps {first + i * size}…" for i in range(len(cut))])

    def showcase(self, run: RunFolder, model: Any, loaded: Loaded, heading: str) -> None:
        from kerasar.cli.support.outputs import written
        from kerasar.forecasting import forecast
        from kerasar.pictures import fan_chart, save

        data = loaded.source
        steps = min(len(data.test), 48)
        past, coming = data.decode(data.train), data.decode(data.test[:steps])
        found = forecast(model, past, steps, self.num, series=data, verbose=False)
        title = f"{run.title}: the steps held out ({heading})"
        figure = fan_chart(past[-3 * steps :], found.paths, coming, columns=data.columns)
        figure.suptitle(title)
        with written(run.path / "forecast.png") as file:
            save(figure, file)

    def draw(
        self,
        run: RunFolder,
        model: Any,
        num: int,
        length: float | None,
        prompt: Path | None,
        options: dict[str, Any],
    ) -> Drawn:
        import numpy as np

        from kerasar.data import load_series
        from kerasar.forecasting import forecast

        source = prompt or Path(run.config["data_path"])
        data = load_series(source, run.config.get("column"), quantizer=_quantizer(run, model))
        past = np.concatenate([data.decode(data.train), data.decode(data.test)])
        steps = 48 if length is None else whole_steps(length)
        found = forecast(model, past, steps, num, series=data, **options)
        words = f"{steps} steps after the end of {source.name}, {num} paths ({how(options)})"
        return Drawn(found.paths, words, found)

    def write(self, path: Path, drawn: Drawn, run: RunFolder, model: Any) -> None:
        import numpy as np

        from kerasar.pictures import fan_chart, save

        found = drawn.source
        if path.suffix.lower() == ".npz":
            np.savez_compressed(path, samples=found.paths, past=found.past)
        elif path.suffix.lower() == ".csv":
            if path.stem.endswith("quantiles"):
                found.write_quantiles(path)
            else:
                found.write_paths(path)
        else:
            steps = found.paths.shape[1]
            figure = fan_chart(found.past[-3 * steps :], found.paths, columns=found.columns)
            figure.suptitle(f"{run.title}: {drawn.how}")
            save(figure, path)


def _quantizer(run: RunFolder, model: Any) -> Any:
    """How values became levels when the run was trained; None for real values."""
    from kerasar.data import Quantizer

    if model.data_levels is None:
        return None
    low, high = run.config["range"]
    return Quantizer(low, high, model.data_levels)
