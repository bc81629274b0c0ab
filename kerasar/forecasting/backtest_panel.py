"""How good forecasts of a panel were: all series from some places of each, in one batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.data import PanelData
from kerasar.forecasting.backtest import naive_error, score_paths
from kerasar.forecasting.draw import SequenceModel
from kerasar.forecasting.panels import Origin, draw_panel
from kerasar.forecasting.runaway import Limits, keep_within
from kerasar.forecasting.scores import Array, crps
from kerasar.forecasting.seasonal_naive import seasonal_naive


@dataclass(frozen=True, eq=False)  # eq=False: comparing arrays gives no single truth
class PanelBacktest:
    """Forecasts of many series, what came, and their scores.

    Attributes:
        names: of the series of each forecast.
        origins: how many steps of it were known to each.
        paths: `(forecasts, num_paths, steps)`.
        actual: `(forecasts, steps)`; NaN behind the end of a series.
        scores: as those of a `Backtest`, over all forecasts; and `scaled_crps`, CRPS over the mean
            absolute error of the seasonal naive forecast before the first origin of each series,
            so that large series do not outweigh others.
        by_step: as that of a `Backtest`.
        by_series: `crps` and `coverage_90` of each series, and `seasonal_naive`, its CRPS.
        seasonal_naive: the same scores of the seasonal naive forecast.
        clipped: how many paths ran away.
    """

    names: tuple[str, ...]
    origins: tuple[int, ...]
    paths: Array
    actual: Array
    scores: dict[str, float]
    by_step: dict[str, list[float]]
    by_series: dict[str, dict[str, float]]
    seasonal_naive: dict[str, float]
    clipped: int

    def to_dict(self) -> dict[str, Any]:
        """What `backtest.json` holds."""
        return {
            **self.scores,
            "seasonal_naive": self.seasonal_naive,
            "by_step": self.by_step,
            "by_series": self.by_series,
            "forecasts": len(self.names),
            "steps": int(self.paths.shape[2]),
            "num_paths": int(self.paths.shape[1]),
            "clipped_paths": self.clipped,
        }


@checks_arguments
def backtest_panel(
    model: SequenceModel,
    panel: PanelData,
    horizon: int,
    origins: int | Mapping[str, Sequence[int]] = 1,
    season: int | None = None,
    num_paths: int = 200,
    seed: int = 0,
    known: Sequence[str] = (),
    train_only: bool = False,
    **options: Any,
) -> PanelBacktest:
    """Forecasts the series of a panel from places of their test parts, and judges it all.

    Args:
        model: as for `forecast_panel`.
        panel: the series.
        horizon: int. Steps of each forecast; where a series ends before, it is judged up to there.
        origins: how many places of each test part, spread evenly from its first step on; or the
            places themselves by name, each the number of steps that are known there: series that
            are not named are left out.
        season: int. Steps of a season, of the seasonal naive forecast; None: the last value.
        num_paths: int. Paths of each forecast.
        seed: as for `model.sample`.
        known: as for `forecast_panel`.
        train_only: bool. Whether the series end with their training parts.
        **options: `temperature` and so on, as for `model.sample`.

    Returns:
        A `PanelBacktest`.

    Raises:
        ValueError, TypeError: for arguments that do not fit.
    """
    check_count(horizon, "horizon")
    check_count(num_paths, "num_paths", least=2)
    if season is not None:
        check_count(season, "season")
    which = {name: i + 1 for i, name in enumerate(known)}
    names, begun, ends, drawn_from, units, naive = [], [], [], [], [], []
    for one in panel.series:
        values = np.asarray(one.train if train_only else one.whole, "float32")
        for place in _origins(one.name, len(one.train), len(values), horizon, origins):
            past = values[:place]
            if not np.isfinite(past).any() or not np.isfinite(values[place:]).any():
                continue
            beside = one.covariates_of(place + horizon)
            if beside is not None and len(beside) < place + horizon:  # judged up to their end
                lack = place + horizon - len(beside)
                beside = np.concatenate([beside, np.repeat(beside[-1:], lack, axis=0)])
            names.append(one.name)
            begun.append(place)
            drawn_from.append(Origin(past, beside, which.get(one.name, 0)))
            after = values[place : place + horizon].astype("float64")
            ends.append(np.pad(after, (0, horizon - len(after)), constant_values=np.nan))
            column = past.astype("float64")[:, None]
            units.append(naive_error(column, season or 1)[0])
            naive.append(seasonal_naive(column, [place], horizon, season or 1, num_paths, seed)[0])
    if not names:
        raise ValueError(
            "A backtest needs values that came, but there are none behind the origins of any "
            "series. Choose other origins."
        )
    paths = draw_panel(model, drawn_from, horizon, num_paths, seed, **options).astype("float64")
    clipped = 0
    for i, origin in enumerate(drawn_from):
        limits = Limits.of(model.likelihood, origin.past[:, None])
        kept, gone = keep_within(paths[i][..., None], limits, [names[i]], "clip", model.name)
        paths[i], clipped = kept[..., 0], clipped + gone
    actual, unit = np.stack(ends), np.array(units)[:, None, None]
    scores, by_step = score_paths(paths[..., None], actual[..., None], unit)
    beside_scores, _ = score_paths(np.stack(naive), actual[..., None], unit)
    own, other = crps(paths, actual), crps(np.stack(naive)[..., 0], actual)
    for found, each in ((scores, own), (beside_scores, other)):
        found["scaled_crps"] = _scaled(each, unit[:, 0])
    return PanelBacktest(
        tuple(names),
        tuple(begun),
        paths,
        actual,
        scores,
        by_step,
        _by_series(names, paths, actual, own, other),
        beside_scores,
        clipped,
    )


def _origins(
    name: str,
    cut: int,
    steps: int,
    horizon: int,
    origins: int | Mapping[str, Sequence[int]],
) -> list[int]:
    if isinstance(origins, int):
        check_count(origins, "origins")
        return np.unique(np.linspace(cut, max(steps - horizon, cut), origins).astype(int)).tolist()
    for place in origins.get(name, ()):
        check_count(place, f"each of origins of '{name}'", most=steps - 1)
    return list(origins.get(name, ()))


def _scaled(each: Array, unit: Array) -> float:
    with np.errstate(invalid="ignore", divide="ignore"):
        found = each / unit
    return float(np.mean(found[np.isfinite(found)])) if np.isfinite(found).any() else float("nan")


def _by_series(
    names: Sequence[str], paths: Array, actual: Array, own: Array, other: Array
) -> dict[str, dict[str, float]]:
    low, high = np.quantile(paths, [0.05, 0.95], axis=1)
    held = np.where(np.isfinite(actual), (low <= actual) & (actual <= high), np.nan)
    found = {}
    for name in dict.fromkeys(names):
        rows = [i for i, each in enumerate(names) if each == name]
        found[name] = {
            "crps": float(np.nanmean(own[rows])),
            "seasonal_naive": float(np.nanmean(other[rows])),
            "coverage_90": float(np.nanmean(held[rows])),
        }
    return found
