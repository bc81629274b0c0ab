"""Panels: tables of many series, one below the other or one in each row, for one model."""

from __future__ import annotations

import re
from collections.abc import Sequence
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
from kerasar.cli.kinds.series import (
    describe_design,
    frequency_of,
    frequency_setting,
    horizon_for,
    scores_in_words,
    warning,
    widened,
)
from kerasar.cli.support.outputs import atomic_write
from kerasar.cli.support.run_folder import RunFolder
from kerasar.data import PanelData, find_seasons, load_panel, panel_pieces
from kerasar.data.frequency import time_text
from kerasar.data.plain_text import picture_text

if TYPE_CHECKING:
    from kerasar.forecasting import Choice, PanelBacktest, PanelForecast
    from kerasar.training import DensityModel

#: Options of the reader that a run keeps.
_READING = ("column", "covariates", "calendar", "statics", "wide")
#: How many series are looked at for seasons, and how many are drawn.
_LOOKED_AT, _DRAWN = 100, 4
#: Steps of a piece, at most where lags need no more.
_PIECE = 128


class _Source:
    """What was read, how it is normalized, and how many steps of each are for validation."""

    def __init__(self, panel: PanelData, choice: Choice, held_out: Sequence[int]) -> None:
        self.panel, self.choice, self.held_out = panel, choice, held_out


class Panel(DataKind):
    """Many series of real values, which one model forecasts."""

    name = "panel"
    noun = "pieces of series"
    unit = "value"
    num_samples = 200
    endings = (".csv", ".png", ".npz")
    sample_files = ("paths.csv", "quantiles.csv", "forecast.png")
    pictures = ("forecast.png",)
    example = MappingProxyType({"length": None, "levels": None})
    next_commands = (
        ("forecast {run} --steps 12", "paths and bands after the end of each"),
        ("backtest {run}", "how good such forecasts were"),
    )
    accepted = "a .csv file with a column that names the series of each row"
    #: Steps of a forecast, where nothing says how many.
    usual_steps = 12

    def claims(self, spec: str) -> bool:
        return False  # the options of the command, and what the file holds, say so

    def load(
        self, spec: str, data_dir: Path | None, levels: int | None, settings: dict[str, Any]
    ) -> TrainingData:
        from kerasar.forecasting import choose_panel

        if levels is not None:
            raise ValueError("--levels is for a single series: leave it out.")
        reading = {name: settings[name] for name in _READING if settings.get(name)}
        if isinstance(reading.get("column"), list):
            raise ValueError("A panel has one variable: give --column once.")
        panel = load_panel(spec, **reading)
        lengths = [len(one) for one in panel.train]
        usual = int(np.median(lengths))
        if usual < 10:
            raise ValueError(
                f"Half of the {len(panel)} series in '{spec}' have less than 10 steps to train on. "
                "Add steps, or leave out the shortest."
            )
        for one in panel.series:
            seen = one.train[np.isfinite(one.train)]
            if len(seen) < 4 or seen.min() == seen.max():
                what = f"{len(seen)} values" if len(seen) < 4 else "one value throughout"
                raise ValueError(
                    f"Series '{one.name}' of '{spec}' has {what} in the steps that are for "
                    "training, so there is nothing to learn from it. Leave it out: the trained "
                    "model forecasts it all the same (kerasar forecast RUN --history FILE)."
                )
        seasons = find_seasons(_beside_each_other(panel.train), independent=True)
        horizon = horizon_for(seasons, usual)
        given = panel.covariates_of(train_only=True)
        choice = choose_panel(panel.train, horizon, seasons, covariates=given)
        held_out = [min(max(n // 8, min(horizon, n // 4), 1), max(n - 1, 1)) for n in lengths]
        source = _Source(panel, choice, held_out)
        size = min(max(_PIECE, 2 * choice.design.reach), max(len(x) for x in panel.whole.values()))
        arguments = {
            "length": None,
            "levels": None,
            "num_variables": None,
            "likelihood": choice.likelihood(),
            **choice.arguments,
            **({"num_series": len(panel)} if settings.get("embed") else {}),
        }
        about = f"{len(panel)} series of {panel.column}, {min(lengths)} to {max(lengths)} steps"
        about += f" for training, {describe_design(choice)}"
        frequency = panel.series[0].frequency
        about += "" if frequency is None else f", a step each {frequency}"
        about += f", {given[0].shape[1]} covariates" if given else ""
        kept: dict[str, Any] = {
            **reading,
            "column": panel.column if "column" in reading else None,
            "length": size,
            "horizon": horizon,
            "widening": choice.widening,
            "season": min(seasons, default=None),
            "embed": bool(settings.get("embed")),
            "names": panel.names if settings.get("embed") else [],
            "categories": {name: list(found) for name, found in panel.categories.items()},
            **frequency_setting(frequency),
        }
        parts = _pieces(panel, size, held_out, bool(settings.get("embed")), choice)
        return TrainingData(panel.name, *parts, arguments, about, kept, source)

    def start(self, model: DensityModel, data: TrainingData) -> bool:
        from kerasar.forecasting import start_from

        start_from(model, data.source.choice.fitted)
        return True

    def has_learned(self, model: DensityModel, data: TrainingData, start: list[Any]) -> bool:
        from kerasar.forecasting import learned_more_of_panel

        source = data.source
        return learned_more_of_panel(
            model, start, source.panel, data.settings["horizon"], source.held_out
        )

    def load_named(
        self, run: RunFolder, model: DensityModel, spec: str, data_dir: Path | None, part: str
    ) -> NamedExamples:
        panel = read_panel(spec, run)
        names, pieces = [], []
        for one in panel.series:
            steps = one.train if part == "train" else one.whole
            first = len(one.train) if part in ("test", "auto") else 0
            given = one.covariates_of(len(steps))
            found = panel_pieces(
                [steps],
                run.config["length"],
                [first],
                None if given is None else [given],
                known="series" in model.conditions.shapes,
                unknown=1.0,
            )
            begin = first
            for start, length in zip(found["start"], found["length"], strict=True):
                where = f"step {begin}" if one.times is None else time_text(one.times[begin])
                names.append(f"{one.name} {where}…")
                begin += int(length - start)
            pieces.append(found)
        return NamedExamples(_joined(pieces), names)

    def judge(self, run: RunFolder, model: DensityModel, data: TrainingData) -> str | None:
        from kerasar.cli.kinds.series import write_backtest

        found = self.backtest(run, model, data.source.panel)
        write_backtest(run.path / "backtest.json", found)
        return panel_backtest_in_words(found)

    def backtest(
        self,
        run: RunFolder,
        model: DensityModel,
        panel: PanelData,
        horizon: int | None = None,
        origins: int = 1,
        **options: Any,
    ) -> PanelBacktest:
        """Forecasts from places of the test part of each series, with the bands of the run."""
        from kerasar.forecasting import backtest_panel

        steps = int(horizon or run.config.get("horizon", self.usual_steps))
        if horizon is None:  # as far as there is something to judge it by
            steps = min(steps, max(len(one.test) for one in panel.series))
        settings = {"temperature": widened(run), "verbose": False, **options}
        return backtest_panel(
            model,
            panel,
            steps,
            origins,
            run.config.get("season"),
            known=run.config.get("names", ()),
            **settings,
        )

    def showcase(
        self, run: RunFolder, model: DensityModel, data: TrainingData, result: str
    ) -> None:
        from kerasar.forecasting import forecast_panel
        from kerasar.pictures import save

        panel: PanelData = data.source.panel
        shown = [panel.series[i] for i in _spread(len(panel))]
        steps = min(max(len(one.test) for one in shown), 48)
        found = forecast_panel(
            model,
            {one.name: one.train for one in shown},
            steps,
            self.num_samples,
            known=run.config.get("names", ()),
            covariates=_of_each(shown, steps),
            on_runaway="clip",
            temperature=widened(run),
            verbose=False,
        )
        futures = [np.resize(np.append(one.test, np.nan), steps) for one in shown]
        for future, one in zip(futures, shown, strict=True):
            future[len(one.test) :] = np.nan
        figure = _figure(found, steps, np.stack(futures, axis=1))
        figure.suptitle(f"{run.title}: the steps held out ({result}){warning(found)}")
        with atomic_write(run.path / "forecast.png") as file:
            save(figure, file)

    def draw(self, run: RunFolder, model: DensityModel, request: SamplingRequest) -> Samples:
        from kerasar.forecasting import forecast_panel

        source = Path(request.prompt or run.config["data_path"])
        panel = only(read_panel(source, run, held_out=0), request.options.get("series"), source)
        steps = self.usual_steps if request.length is None else whole_steps(request.length)
        options = {key: value for key, value in request.options.items() if key != "series"}
        options["temperature"] *= widened(run)
        found = forecast_panel(
            model,
            panel,
            steps,
            request.num,
            known=run.config.get("names", ()),
            on_runaway=request.on_runaway,
            **options,
        )
        description = (
            f"{steps} steps after the end of {len(panel)} series of {picture_text(source.name)}, "
            f"{request.num} paths ({request.describe_options()}){warning(found)}"
        )
        values = np.stack([each.paths for each in found.forecasts.values()])
        return Samples(values, description, forecast=found)

    def write_readable(
        self, path: Path, samples: Samples, run: RunFolder, model: DensityModel
    ) -> None:
        from kerasar.pictures import save

        found: PanelForecast = samples.forecast
        name = re.sub(r"-\d+$", "", path.stem)  # a number makes it a new file
        if path.suffix.lower() == ".csv" and name.endswith("quantiles"):
            found.write_quantiles(path)
        elif path.suffix.lower() == ".csv":
            found.write_paths(path)
        else:
            figure = _figure(found, samples.values.shape[2])
            figure.suptitle(f"{run.title}: {samples.description}")
            save(figure, path)

    def write(self, path: Path, samples: Samples, run: RunFolder, model: DensityModel) -> None:
        if path.suffix.lower() == ".npz":
            names = np.array(list(samples.forecast.forecasts))
            np.savez_compressed(path, samples=samples.values, unique_id=names)
            return
        self.write_readable(path, samples, run, model)


def read_panel(spec: str | Path, run: RunFolder, held_out: float = 0.1) -> PanelData:
    """Another panel, or the same, in the columns that the run was trained on."""
    reading = {name: run.config[name] for name in _READING if run.config.get(name)}
    reading |= {"frequency": frequency_of(run), "held_out": held_out}
    return load_panel(spec, categories=run.config.get("categories") or None, **reading)


def only(panel: PanelData, name: str | None, source: Path) -> PanelData:
    """One of the series, or all of them.

    Raises:
        ValueError: if there is none of that name.
    """
    import dataclasses
    import difflib

    if name is None:
        return panel
    if name not in panel.names:
        near = difflib.get_close_matches(name, panel.names, 2)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        shown = ", ".join(map(repr, panel.names[:8]))
        raise ValueError(f"'{source}' has no series {name!r}, but {shown}.{hint}")
    return dataclasses.replace(panel, series=(panel.series[panel.names.index(name)],))


def panel_backtest_in_words(found: PanelBacktest) -> str:
    """The scores of a backtest beside those of the seasonal naive forecast."""
    better = sum(each["crps"] < each["seasonal_naive"] for each in found.by_series.values())
    return (
        f"Forecasts of {len(found.by_series)} series: scaled CRPS "
        f"{found.scores['scaled_crps']:.4g} (seasonal naive "
        f"{found.seasonal_naive['scaled_crps']:.4g}), better than it on {better} of them. "
        + scores_in_words(found)
    )


def _beside_each_other(series: Sequence[Any]) -> Any:
    """Some of the longest series as columns that end together, `(steps, series)`."""
    longest = sorted(series, key=len, reverse=True)[:_LOOKED_AT]
    found = np.full((len(longest[0]), len(longest)), np.nan)
    for i, one in enumerate(longest):
        found[len(found) - len(one) :, i] = one
    return found


def _pieces(
    panel: PanelData, size: int, held_out: Sequence[int], embed: bool, choice: Choice
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Pieces for training, validation and testing."""
    from kerasar.forecasting.pooled import warm_up

    train, whole = panel.train, list(panel.whole.values())
    ends = [len(x) - held for x, held in zip(train, held_out, strict=True)]
    fitted = [x[:end] for x, end in zip(train, ends, strict=True)]
    begins = [warm_up(choice.design.season, len(x)) for x in fitted]
    given = panel.covariates_of()
    return (
        panel_pieces(fitted, size, begins, given, embed),
        panel_pieces(train, size, ends, given, embed, unknown=0.0),
        panel_pieces(whole, size, [len(x) for x in train], given, embed, unknown=0.0),
    )


def _joined(pieces: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """All pieces in one batch."""
    found: dict[str, Any] = {}
    for name in pieces[0]:
        parts = [part[name] for part in pieces]
        if isinstance(parts[0], dict):
            found[name] = {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
        else:
            found[name] = np.concatenate(parts)
    return found


def _of_each(series: Sequence[Any], steps: int) -> dict[str, Any] | None:
    """Covariates of the training part and of so many steps behind it, by name."""
    found = {one.name: one.covariates_of(len(one.train) + steps) for one in series}
    if any(each is None for each in found.values()):
        return None
    for one in series:  # a test part may be shorter than others
        lack = len(one.train) + steps - len(found[one.name])
        if lack > 0:
            last = np.repeat(found[one.name][-1:], lack, axis=0)
            found[one.name] = np.concatenate([found[one.name], last])
    return found


def _spread(count: int) -> list[int]:
    """Some of so many, evenly spread."""
    return np.unique(np.linspace(0, count - 1, _DRAWN).astype(int)).tolist()


def _figure(found: PanelForecast, steps: int, actual: Any = None) -> Any:
    """Fan charts of some of the series."""
    from kerasar.pictures import fan_chart

    names = list(found.forecasts)
    chosen = [names[i] for i in _spread(len(names))]
    most = min(3 * steps, max(len(found[name].past) for name in chosen))
    past = np.full((most, len(chosen)), np.nan, "float32")
    for i, name in enumerate(chosen):
        end = found[name].past[-most:]
        past[most - len(end) :, i] = end
    paths = np.stack([found[name].paths for name in chosen], axis=-1)
    labels = tuple(map(picture_text, chosen))
    if len(chosen) == 1:
        return fan_chart(past[:, 0], paths[..., 0], actual, columns=labels)
    return fan_chart(past, paths, actual, columns=labels)
