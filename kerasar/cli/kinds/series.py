"""Series: columns of a CSV file, or an array in an `.npy` file."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

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
from kerasar.data import Quantizer, SeriesData, find_seasons, load_series, windows
from kerasar.data.frequency import Frequency, time_text
from kerasar.data.plain_text import picture_text, plain_text

if TYPE_CHECKING:
    from kerasar.forecasting import Backtest, Choice
    from kerasar.training import DensityModel

#: Places of a series from which a backtest forecasts.
ORIGINS = 20
#: Paths of a backtest, all together and at least.
_ALL_PATHS = 4_000
#: Options of the reader that a run keeps, besides the columns.
_READING = ("covariates", "calendar", "series")
#: Steps of a forecast, at least and where no season is longer.
_STEPS = 12
#: How many seasons a series has whose forecasts are for one of them.
_SEASONS = 8
#: Steps of a piece of the series in training, where there are as many; and how many it may take
#: until what came before the first season is forgotten.
_PIECE, _LONGEST_PIECE = 128, 1024


class _Source(NamedTuple):
    """What was read, and how it is normalized; None for levels."""

    series: SeriesData
    choice: Choice | None


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
    next_commands = (
        ("forecast {run} --steps 48", "paths and bands after its end"),
        ("backtest {run}", "how good such forecasts were"),
    )
    accepted = "a .csv or .npy file"
    #: Steps of a forecast, where nothing says how many.
    usual_steps = 48

    def claims(self, spec: str) -> bool:
        return Path(spec).suffix.lower() in (".csv", ".tsv", ".txt", ".npy")

    def load(
        self, spec: str, data_dir: Path | None, levels: int | None, settings: dict[str, Any]
    ) -> TrainingData:
        from kerasar.forecasting import choose

        beside = {name: settings[name] for name in _READING if settings.get(name)}
        if levels is not None and (settings.get("covariates") or settings.get("calendar")):
            raise ValueError("--covariate and --calendar are for real values: leave out --levels.")
        data = load_series(spec, settings.get("column"), levels, gaps=levels is None, **beside)
        given = data.covariates_of(len(data.train) + len(data.test))
        if len(data.train) < 10:
            raise ValueError(
                f"A series needs at least 10 steps to train on, but '{spec}' has "
                f"{len(data.train)} that are not held out. Add steps."
            )
        for name, end in zip(data.columns, data.test.reshape(len(data.test), -1).T, strict=True):
            if data.levels is None and not np.isfinite(end).any():
                raise ValueError(
                    f"The last tenth of a series is for testing, but in '{spec}' all its values of "
                    f"column '{name}' are missing. Cut the file where that column ends, or choose "
                    "other columns with --column."
                )
        seasons = find_seasons(data.train)
        horizon = horizon_for(seasons, len(data.train))
        cut = len(data.train)
        choice = None
        if data.levels is None:
            known = None if given is None else given[:cut]
            choice = choose(data.train, horizon, seasons, covariates=known)
        size, held_out = _sizes(data, choice, horizon)
        stride = max(1, size // 8)
        train: Any = windows(data.train[:-held_out], size, stride)
        if given is not None:
            beside_train = windows(given[: cut - held_out], size, stride)
            train = {"x": train, "condition": beside_train}
        # The last steps are validation, behind such as a model needs to see them.
        validation = _judged(data.train, cut - held_out, size, given)
        test = _judged(np.concatenate([data.train, data.test]), cut, size, given)
        arguments = {
            "length": None,
            "levels": data.levels,
            "num_variables": data.num_variables,
            "likelihood": _likelihood(data) if choice is None else choice.likelihood(),
            "input_encoding": "scalar",
            **({} if choice is None else choice.arguments),
        }
        about = f"{len(data.train)} steps of {', '.join(data.columns)}, "
        about += describe_design(choice) if choice is not None else f"{data.levels} levels"
        about += "" if data.frequency is None else f", a step each {data.frequency}"
        gaps = int(np.isnan(data.train).sum() + np.isnan(data.test).sum())
        about += f", {gaps:,} values missing" if gaps else ""
        if data.undated is not None:
            name, text = map(plain_text, data.undated)
            about += f"; {name} is not read as times, for it holds {text!r}: steps get no dates"
        if data.left_out:
            about += f"; {', '.join(data.left_out)} only counts, and is left out"
        if given is not None:
            about += f", {given.shape[1]} covariates"
        kept: dict[str, Any] = {"column": list(data.columns), "length": size, "horizon": horizon}
        kept |= beside | frequency_setting(data.frequency)
        if choice is not None:
            kept |= {
                "held_out": held_out,
                "widening": choice.widening,
                "season": min(seasons, default=None),
            }
        if Path(spec).suffix.lower() == ".npy":
            kept["column"] = settings.get("column")
        elif data.num_variables is None:
            kept["column"] = data.columns[0]
        if data.quantizer is not None:
            kept["range"] = [data.quantizer.low.tolist(), data.quantizer.high.tolist()]
        source = _Source(data, choice)
        return TrainingData(data.name, train, validation, test, arguments, about, kept, source)

    def start(self, model: DensityModel, data: TrainingData) -> bool:
        if data.source.choice is None or model.name != "forecaster":
            return False
        from kerasar.forecasting import start_from

        start_from(model, data.source.choice.fitted)
        return True

    def has_learned(self, model: DensityModel, data: TrainingData, start: list[Any]) -> bool:
        from kerasar.forecasting import learned_more

        series, held_out = data.source.series.train, data.settings["held_out"]
        horizon = data.settings["horizon"]
        given = data.source.series.covariates_of(len(series))
        return learned_more(model, start, series, horizon, len(series) - held_out, given)

    def check_model(
        self, name: str, model: DensityModel, data: TrainingData, conditional: bool
    ) -> None:
        super().check_model(name, model, data, conditional)
        takes = "covariates" in model.conditions.shapes
        if data.source.series.covariates_of(1) is not None and not takes:
            raise ValueError(
                f"--covariate and --calendar are for 'forecaster', but '{name}' takes no "
                "covariates. Leave them out."
            )

    def load_named(
        self, run: RunFolder, model: DensityModel, spec: str, data_dir: Path | None, part: str
    ) -> NamedExamples:
        data = read_series(spec, run, model)
        steps = np.concatenate([data.train, data.test])
        if part == "train":
            steps = data.train
        first = len(data.train) if part in ("test", "auto") else 0
        pieces = _judged(steps, first, run.config["length"], data.covariates_of(len(steps)))
        begins = first + np.cumsum(pieces["length"] - pieces["start"])
        begins -= pieces["length"] - pieces["start"]
        if data.times is None:
            return NamedExamples(pieces, [f"steps {begin}…" for begin in begins])
        return NamedExamples(pieces, [f"{time_text(data.times[begin])}…" for begin in begins])

    def judge(self, run: RunFolder, model: DensityModel, data: TrainingData) -> str | None:
        series = data.source.series
        found = self.backtest(run, model, series, len(series.train))
        write_backtest(run.path / "backtest.json", found)
        return backtest_in_words(found)

    def backtest(
        self,
        run: RunFolder,
        model: DensityModel,
        series: SeriesData,
        first: int,
        horizon: int | None = None,
        origins: int = ORIGINS,
        **options: Any,
    ) -> Backtest:
        """Forecasts from several places of a series, with the bands of the run."""
        from kerasar.forecasting import backtest

        whole = series.whole
        steps = int(horizon or run.config.get("horizon", _STEPS))
        if horizon is None:  # as far as there is something to judge it by
            steps = min(steps, max(len(whole) - first, 1))
        settings = {"temperature": widened(run), "verbose": False, "chunk_size": 2_000, **options}
        settings.setdefault("num_paths", _paths_for(origins, len(whole) - first - steps + 1))
        return backtest(
            model,
            whole,
            steps,
            origins,
            min(first, len(whole) - steps),
            run.config.get("season"),
            data=series,
            **settings,
        )

    def showcase(
        self, run: RunFolder, model: DensityModel, data: TrainingData, result: str
    ) -> None:
        from kerasar.forecasting import forecast
        from kerasar.pictures import fan_chart, save

        series = data.source.series
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
            temperature=widened(run),
            verbose=False,
        )
        names = tuple(map(picture_text, series.columns))
        figure = fan_chart(past[-3 * steps :], found.paths, future, columns=names)
        figure.suptitle(f"{run.title}: the steps held out ({result}){warning(found)}")
        with atomic_write(run.path / "forecast.png") as file:
            save(figure, file)

    def draw(self, run: RunFolder, model: DensityModel, request: SamplingRequest) -> Samples:
        from kerasar.forecasting import forecast

        source = Path(request.prompt or run.config["data_path"])
        series = read_series(source, run, model, held_out=0)
        past = series.whole
        steps = self.usual_steps if request.length is None else whole_steps(request.length)
        found = forecast(
            model,
            past,
            steps,
            request.num,
            series=series,
            on_runaway=request.on_runaway,
            **request.options | {"temperature": request.options["temperature"] * widened(run)},
        )
        description = (
            f"{steps} steps after the end of {picture_text(source.name)}, {request.num} paths "
        )
        description += f"({request.describe_options()}){warning(found)}"
        return Samples(found.paths, description, forecast=found)

    def write_readable(
        self, path: Path, samples: Samples, run: RunFolder, model: DensityModel
    ) -> None:
        from kerasar.pictures import fan_chart, save

        found = samples.forecast
        name = re.sub(r"-\d+$", "", path.stem)  # a number makes it a new file
        if path.suffix.lower() == ".csv" and name.endswith("quantiles"):
            found.write_quantiles(path)
        elif path.suffix.lower() == ".csv":
            found.write_paths(path)
        else:
            steps = found.paths.shape[1]
            names = tuple(map(picture_text, found.columns))
            figure = fan_chart(found.past[-3 * steps :], found.paths, columns=names)
            figure.suptitle(f"{run.title}: {samples.description}")
            save(figure, path)


def write_backtest(path: Path, found: Any) -> None:
    """Writes the scores of a backtest as JSON."""
    with atomic_write(path) as file:
        file.write_text(json.dumps(found.to_dict(), indent=2) + "\n", encoding="utf-8")


def backtest_in_words(found: Backtest) -> str:
    """The scores of a backtest beside those of the seasonal naive forecast."""
    return (
        f"Forecasts of {found.paths.shape[2]} steps from {len(found.origins)} places: "
        + scores_in_words(found)
    )


def scores_in_words(found: Any) -> str:
    """CRPS and how much bands held, of a `Backtest` or `PanelBacktest`."""
    ours, naive = found.scores, found.seasonal_naive
    runaway = f" {found.clipped:,} paths ran away." if found.clipped else ""
    return (
        f"CRPS {ours['crps']:.4g} (seasonal naive {naive['crps']:.4g}); bands of 50 and 90 % held "
        f"{ours['coverage_50']:.0%} and {ours['coverage_90']:.0%} of the values "
        f"({naive['coverage_50']:.0%} and {naive['coverage_90']:.0%}).{runaway}"
    )


def warning(found: Any) -> str:
    """What the heading of a forecast adds if paths had to be clipped."""
    return f"; {found.clipped:,} paths ran away" if found.clipped else ""


def series_run(path: Path) -> RunFolder:
    """The run at a path.

    Raises:
        ValueError: unless it was trained on a series.
    """
    run = RunFolder.open(path)
    if run.config.get("kind") not in (Series.name, "panel"):
        raise ValueError(
            f"Forecasts are of series, but '{run.path}' was trained on "
            f"{run.config.get('kind', 'images')}. Train on a table of numbers: "
            "kerasar train forecaster --data FILE.csv."
        )
    return run


def read_for_run(data: Path | None, run: RunFolder, model: DensityModel) -> SeriesData:
    """Another series, or that of a run."""
    return read_series(data or run.config["data_path"], run, model)


def _paths_for(origins: int, possible: int) -> int:
    """Paths of each forecast of a backtest.

    Scores are means over forecasts: of a few, chance in the paths would decide.
    """
    return int(np.clip(_ALL_PATHS // max(min(origins, possible), 1), 200, 2_000))


def widened(run: RunFolder) -> float:
    """The temperature with which the deviation of drawn steps is that of bands that hold."""
    return float(run.config.get("widening", 1.0)) ** 2


def horizon_for(seasons: Sequence[int], steps: int) -> int:
    """Steps of a forecast: a season, where the series has several of them, or a year of months."""
    short = [season for season in seasons[:1] if _SEASONS * season <= steps]
    return min(max([*short, _STEPS]), max(steps // 4, 1))


def _sizes(data: SeriesData, choice: Choice | None, horizon: int) -> tuple[int, int]:
    """The steps of a piece of the series, and how many at its end are for validation."""
    steps = len(data.train)
    if choice is None:
        size = min(_PIECE, max(2, steps // 10))
        held_out = max(size, steps // 10)
        return min(size, steps - held_out), held_out
    held_out = min(max(horizon, steps // 10), steps // 3)
    seen = max(_PIECE, 2 * choice.design.reach, min(choice.design.settled, _LONGEST_PIECE))
    return min(seen, steps - held_out), held_out


def _judged(series: Any, first: int, size: int, covariates: Any = None) -> dict[str, Any]:
    """Pieces of so many steps in which each step from the first on is judged once.

    A step is judged behind at least half of a piece, where the series has as much before it.
    """
    size = min(size, len(series))
    stride = -(-size // 2)
    begins = np.arange(first, len(series), stride)
    ends = np.minimum(begins + stride, len(series))
    lows = np.maximum(ends - size, 0)
    pieces = windows(series, size)[lows]
    found = {"x": pieces, "start": begins - lows, "length": ends - lows}
    if covariates is not None:
        found["condition"] = windows(covariates[: len(series)], size)[lows]
    return found


def describe_design(choice: Choice) -> str:
    """How a series is normalized."""
    design = choice.design
    support = {"real": [], "positive": ["logarithms"], "counts": ["counts"]}[design.support]
    level = {
        "none": [],
        "window": ["relative to their running mean"],
        "difference": ["relative to the last value"],
        "seasonal": [f"relative to the value {design.season} steps before"],
    }[design.normalization]
    return ", ".join([*support, *level]) or "real values"


def read_series(
    spec: str | Path, run: RunFolder, model: DensityModel, held_out: float = 0.1
) -> SeriesData:
    """Another series, or the same, in the columns and levels that the run was trained on."""
    quantizer = None
    if model.data_levels is not None:
        low, high = run.setting("range")
        quantizer = Quantizer(low, high, model.data_levels)
    columns = run.config.get("column")
    beside = {name: run.config[name] for name in _READING if name in run.config}
    beside["frequency"] = frequency_of(run)
    beside |= {"held_out": held_out, "gaps": quantizer is None}
    return load_series(spec, columns, quantizer=quantizer, **beside)


def frequency_setting(frequency: Frequency | None) -> dict[str, Any]:
    """How a run keeps the steps between times."""
    return {} if frequency is None else {"frequency": frequency.to_dict()}


def frequency_of(run: RunFolder) -> Frequency | None:
    """The steps between times that a run was trained on, if it says them."""
    kept = run.config.get("frequency")
    return None if kept is None else Frequency.from_dict(kept)


def _likelihood(series: SeriesData) -> Any:
    from kerasar.distributions import Categorical, Independent

    if series.num_variables is None:
        return Categorical()
    return Independent(series.num_variables, Categorical())
