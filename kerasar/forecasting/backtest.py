"""How good forecasts were: drawn from many places of a series, and judged by what came."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count, check_kind, check_memory
from kerasar.data import SeriesData
from kerasar.forecasting.draw import SequenceModel, context_of, covariate_rows
from kerasar.forecasting.runaway import Limits, keep_within
from kerasar.forecasting.scores import Array, crps, energy_score, quantile_loss
from kerasar.forecasting.seasonal_naive import seasonal_naive
from kerasar.statistics import quantiles

#: The quantiles whose loss is `wql`.
_NINE = tuple(round(0.1 * i, 1) for i in range(1, 10))


@dataclass(frozen=True, eq=False)  # eq=False: comparing arrays gives no single truth
class Backtest:
    """Forecasts from several origins, what came, and their scores.

    Attributes:
        origins: how many steps were known to each.
        paths: `(origins, num_paths, steps, variables)`.
        actual: `(origins, steps, variables)`.
        scores: `crps`, `wql` (quantile losses over the mean size of the values), `mase` (absolute
            errors of the median over those of the seasonal naive forecast before the first
            origin), `coverage_50` and `coverage_90` (how many values lay in such bands), and
            `energy_score` of whole paths; all but the coverages: lower is better.
        by_step: `crps`, `coverage_50` and `coverage_90` of each step ahead.
        seasonal_naive: the same scores of the seasonal naive forecast.
        clipped: how many paths ran away.
    """

    origins: tuple[int, ...]
    paths: Array
    actual: Array
    scores: dict[str, float]
    by_step: dict[str, list[float]]
    seasonal_naive: dict[str, float]
    clipped: int

    def to_dict(self) -> dict[str, Any]:
        """What `backtest.json` holds."""
        return {
            **self.scores,
            "seasonal_naive": self.seasonal_naive,
            "by_step": self.by_step,
            "origins": list(self.origins),
            "steps": int(self.paths.shape[2]),
            "num_paths": int(self.paths.shape[1]),
            "clipped_paths": self.clipped,
        }


@checks_arguments
def backtest(
    model: SequenceModel,
    series: Any,
    horizon: int,
    origins: int | Sequence[int] = 10,
    first: int | None = None,
    season: int | None = None,
    num_paths: int = 200,
    seed: int = 0,
    context: int | None = None,
    data: SeriesData | None = None,
    covariates: Any = None,
    **options: Any,
) -> Backtest:
    """Forecasts a series from several places in it, without training again, and judges them.

    All paths from all origins are drawn in one batch.

    Args:
        model: an `AutoregressiveModel` of sequences of open length.
        series: `(time,)` or `(time, variables)`, in the units of the file; NaN is missing, in the
            past where the model knows of such, and in what came.
        horizon: int. Steps of each forecast.
        origins: how many places, spread evenly from `first` on; or the places themselves, each the
            number of steps that are known there.
        first: int. The first place; None: that at which a tenth of the series is left, or one
            horizon.
        season: int. Steps of a season, of the seasonal naive forecast; None: the last value.
        num_paths: int. Paths of each forecast.
        seed: as for `model.sample`.
        context: as for `kerasar.forecast`.
        data: as `series` of `kerasar.forecast`: what the model was trained on, if quantized.
        covariates: `(time, covariates)`, of a model that has some. None takes those of `data`.
        **options: `temperature` and so on, as for `model.sample`.

    Returns:
        A `Backtest`.

    Raises:
        ValueError, TypeError: for arguments that do not fit.
    """
    check_count(horizon, "horizon")
    check_count(num_paths, "num_paths", least=2)
    if season is not None:
        check_count(season, "season")
    given = check_kind(series, "series")
    encoded = given if data is None else data.encode(given)
    if encoded.ndim != len(model.data_shape) or len(model.data_shape) == 3:
        raise ValueError(
            f"series must be one series of shape {('time', *model.data_shape[1:])}, but its shape "
            f"is {encoded.shape}."
        )
    starts = _starts(origins, first, len(encoded), horizon)
    kept = context_of(model, context, horizon, [encoded[:start] for start in starts])
    kept = min(kept, starts[0])
    check_memory("num_paths", num_paths, (len(starts), num_paths, kept + horizon))
    prompts = np.stack([encoded[start - kept : start] for start in starts])
    size = {"length": kept + horizon} if model.data_shape[0] is None else {}
    if covariates is None and data is not None:
        covariates = data.covariates_of(len(encoded))
    rows = covariate_rows(model, covariates, starts, kept, horizon)
    if rows is not None:
        options["condition"] = np.repeat(rows, num_paths, axis=0)
    drawn = model.sample(
        len(starts) * num_paths,
        seed=seed,
        prompt=np.repeat(prompts, num_paths, axis=0),
        **size,
        **options,
    )[:, kept:]
    if data is not None:
        drawn = data.decode(drawn)
    values = given.reshape(len(given), -1).astype("float64")
    variables = values.shape[1]
    flat, clipped = drawn.reshape(len(drawn), horizon, variables).astype("float64"), 0
    if model.data_levels is None:
        limits = Limits.of(model.likelihood, values[: starts[-1]])
        flat, clipped = keep_within(flat, limits, [""] * variables, "clip", model.name)
    paths = flat.reshape(len(starts), num_paths, horizon, variables)
    actual = np.stack([values[start : start + horizon] for start in starts])
    if not np.isfinite(actual).any():
        raise ValueError(
            f"A backtest needs values that came, but all of those in the {horizon} steps behind "
            "each of the origins are missing. Choose other origins."
        )
    naive = seasonal_naive(values, starts, horizon, season or 1, num_paths, seed)
    unit = naive_error(values[: starts[0]], season or 1)
    scores, by_step = score_paths(paths, actual, unit)
    beside, _ = score_paths(naive, actual, unit)
    return Backtest(starts, paths, actual, scores, by_step, beside, clipped)


def _starts(
    origins: int | Sequence[int], first: int | None, steps: int, horizon: int
) -> tuple[int, ...]:
    """The origins, in their order, each with a whole horizon behind it."""
    last = steps - horizon
    if last < 1:
        raise ValueError(
            f"A backtest of horizon={horizon} needs a longer series: this one has {steps} steps, "
            "and at least one must be known."
        )
    if isinstance(origins, int):
        check_count(origins, "origins")
        start = min(steps - steps // 10, last) if first is None else first
        check_count(start, "first", most=last)
        return tuple(int(i) for i in np.unique(np.linspace(start, last, origins).astype(int)))
    found = tuple(sorted(set(origins)))
    if not found:
        raise ValueError("origins must name at least one place, but is empty.")
    for start in (found[0], found[-1]):
        check_count(start, "each of origins", most=last)
    return found


def naive_error(past: Array, season: int) -> Array:
    """The mean absolute error of the seasonal naive forecast, of each variable."""
    back = season if len(past) > season else 1
    with np.errstate(invalid="ignore"):
        found: Array = np.nanmean(np.abs(past[back:] - past[:-back]), axis=0)
    return found


def score_paths(
    paths: Array, actual: Array, unit: Array
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """All scores, over origins, steps and variables, and those of each step."""
    flat = paths.reshape(*paths.shape[:2], -1)  # steps and variables in one
    score = crps(flat, actual.reshape(len(actual), -1)).reshape(actual.shape)
    levels = [0.05, 0.25, *_NINE, 0.75, 0.95]
    found = dict(zip(levels, quantiles(np.moveaxis(paths, 1, 0), levels), strict=True))
    seen = np.isfinite(actual)

    def inside(low: float, high: float) -> NDArray[Any]:
        held = (found[low] <= actual) & (actual <= found[high])
        return np.where(seen, held, np.nan)

    bands = {"coverage_50": inside(0.25, 0.75), "coverage_90": inside(0.05, 0.95)}
    losses = [quantile_loss(found[p], actual, p) for p in _NINE]
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = np.abs(found[0.5] - actual) / unit
    scores = {
        "crps": float(np.nanmean(score)),
        "wql": float(np.nanmean(losses)) / max(float(np.nanmean(np.abs(actual))), 1e-30),
        "mase": float(np.nanmean(np.where(np.isfinite(scaled), scaled, np.nan))),
        **{name: float(np.nanmean(held)) for name, held in bands.items()},
        "energy_score": float(energy_score(flat, actual.reshape(len(actual), -1)).mean()),
    }
    each = {"crps": score, **bands}
    return scores, {name: np.nanmean(part, axis=(0, 2)).tolist() for name, part in each.items()}
