"""Chooses how a panel of series is normalized: as `choose`, for all of them together.

What can be learned from one short series is little, from hundreds that behave alike much. So the
weights are fitted to all series at once, each relative to its own level and scale.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count, check_kind
from kerasar.forecasting.blend import Mix
from kerasar.forecasting.choose import (
    Choice,
    are_counts,
    best_mix,
    candidates_for,
    log_scores,
    narrowest_that_holds,
    standardize,
)
from kerasar.forecasting.linear import Array, Design
from kerasar.forecasting.pooled import fit_pooled, simulate_pooled
from kerasar.layers.support import Support

#: On how many series candidates are judged, at first and those that are left; and how many are.
_ROUGH, _SERIES, _LEFT = 25, 80, 8
#: Where the parts begin that are forecast, and paths of each.
_CUTS, _PATHS = (0.6, 0.75, 0.88), 60
#: Fewer observed steps than this say nothing of a scale.
_LEAST_STEPS = 4


@checks_arguments
def choose_panel(
    series: Sequence[Any],
    horizon: int,
    seasons: Sequence[int] = (),
    support: Any = None,
    normalization: str | None = None,
    covariates: Sequence[Any] | None = None,
) -> Choice:
    """Chooses level, season, support and lags for series that one model is to forecast.

    Args:
        series: the training part of each, `(steps,)`; lengths may differ, NaN is missing.
        horizon, seasons, support, normalization: as for `kerasar.forecasting.choose`; "none" is not
            for series of unlike sizes.
        covariates: of each series, `(steps, covariates)`.

    Returns:
        A `Choice` with a single linear autoregression, for a `Forecaster` whose likelihood has
        `own_scale=True`: it forecasts all of them, and other series like them.

    Raises:
        ValueError: for no series, or one that is too short or without two different values.
        TypeError: for arguments of other kinds.

    Example:
        >>> import numpy as np, kerasar
        >>> rng = np.random.default_rng(0)
        >>> shops = [size * (5 + rng.normal(size=40)) for size in (1.0, 100.0, 1e4)]
        >>> choice = kerasar.forecasting.choose_panel(shops, horizon=6)
        >>> model = kerasar.models.Forecaster(None, likelihood=choice.likelihood(),
        ...                                   **choice.arguments)
        >>> kerasar.forecasting.start_from(model, choice.fitted)
        >>> kerasar.forecast(model, shops[2], steps=6).paths.shape
        (200, 6)
    """
    check_count(horizon, "horizon")
    for season in seasons:
        check_count(season, "each of seasons", least=2)
    arrays = [check_kind(one, f"series[{i}]").astype("float64") for i, one in enumerate(series)]
    _check(arrays)
    beside, units = _beside(covariates, arrays)
    lengths = [len(one) for one in arrays]
    usual = int(np.median(lengths))
    whole = np.concatenate(arrays)
    usable = [s for s in sorted(set(seasons)) if 2 * s <= usual]
    if support is not None:
        supports: list[Any] = [Support(support).kind]
    elif are_counts(whole[:, None]):
        supports = ["counts"]
    else:
        supports = ["real", "positive"] if np.nanmin(whole) > 0 else ["real"]
    tried = ("seasonal", "difference", "window") if normalization is None else (normalization,)
    gaps = bool(np.isnan(whole).any())
    candidates = [
        replace(design, own_scale=True)
        # All series together bear more lags than one: up to three quarters of its steps.
        for design in candidates_for(tried, usable, supports, 3 * usual, gaps)
    ]
    if not candidates:
        raise ValueError(
            f"normalization={normalization!r} needs a season that half of the series have twice, "
            f"but seasons is {tuple(seasons)} and they have {usual} steps."
        )
    judge = _Judge(arrays, horizon, beside)
    rough = [float(np.mean(judge.score(design, _ROUGH, _CUTS[1:2]))) for design in candidates]
    order = np.argsort(rough, kind="stable")
    plain = [i for i in order if candidates[i].complexity == 0][:1]
    left = [candidates[i] for i in dict.fromkeys([*order[:_LEFT], *plain])]
    judged = [judge.score(design, _SERIES, _CUTS) for design in left]
    mix = best_mix(left, judged, int(np.isfinite(whole).sum()))
    fitted = fit_pooled(arrays, mix, None, beside)
    widening = narrowest_that_holds(
        lambda factor: judge.windows(mix, _SERIES, _CUTS, factor), len(whole)
    )
    return Choice(fitted.design, (fitted,), widening, whole, units)


class _Judge:
    """Forecasts parts of some of the series behind what candidates are fitted to."""

    def __init__(
        self, series: Sequence[Array], horizon: int, beside: Sequence[Array] | None
    ) -> None:
        rng = np.random.default_rng(0)
        order = rng.permutation(len(series))[:_SERIES]
        self.series = [series[i] for i in order]
        self.beside = None if beside is None else [beside[i] for i in order]
        self.horizon = horizon
        self._known: dict[Any, dict[Any, Any]] = {}

    def score(self, design: Design, count: int, cuts: Sequence[float]) -> Array:
        """The mean log of CRPS of each series and part."""
        logs: list[float] = []
        for paths, actual, past in self.windows(((design, 1.0),), count, cuts):
            logs += log_scores(paths, actual, past)
        return np.array(logs or [math.inf])

    def windows(
        self, mix: Mix, count: int, cuts: Sequence[float], factor: float = 1.0
    ) -> Iterator[tuple[Array, Array, Array]]:
        """Paths `(1, paths, steps)`, what came and the series, of each part and series."""
        series = self.series[:count]
        beside = None if self.beside is None else self.beside[:count]
        for share in cuts:
            ends = [max(int(share * len(x)), min(len(x) - 1, _LEAST_STEPS)) for x in series]
            pasts = [x[:end] for x, end in zip(series, ends, strict=True)]
            usable = [i for i, past in enumerate(pasts) if _is_usable(past)]
            if not usable:
                continue
            chosen = [pasts[i] for i in usable]
            known = self._known.setdefault((share, count), {})
            given = None if beside is None else [beside[i] for i in usable]
            model = fit_pooled(chosen, mix, known, given)
            model.widen(factor)
            steps = min(self.horizon, max(len(series[i]) - ends[i] for i in usable))
            ahead = None if given is None else [_longer(one, steps) for one in given]
            frames = known.setdefault("paths", [{} for _ in chosen])
            drawn = simulate_pooled(
                model,
                chosen,
                [ends[i] for i in usable],
                steps,
                _PATHS,
                covariates=ahead,
                known=frames,
            )
            drawn = np.nan_to_num(drawn, nan=1e30, posinf=1e30, neginf=-1e30)
            for paths, i in zip(drawn, usable, strict=True):
                actual = series[i][ends[i] : ends[i] + steps]
                yield paths[None, :, : len(actual)], actual[None], series[i]


def _longer(covariates: Array, steps: int) -> Array:
    """The same with the last row again, for paths that go on beyond what is judged."""
    return np.concatenate([covariates, np.repeat(covariates[-1:], steps, axis=0)])


def _is_usable(past: Array) -> bool:
    seen = past[np.isfinite(past)]
    return len(seen) >= _LEAST_STEPS and bool(seen.min() < seen.max())


def _check(arrays: Sequence[Array]) -> None:
    if not arrays:
        raise ValueError("A panel needs at least one series, but got none.")
    for i, one in enumerate(arrays):
        if one.ndim != 1:
            raise ValueError(
                f"A series of a panel has the shape (steps,), but that of series[{i}] is "
                f"{one.shape}."
            )
        if not _is_usable(one):
            raise ValueError(
                f"Each series of a panel needs {_LEAST_STEPS} observed steps and two different "
                f"values, but series[{i}] has {int(np.isfinite(one).sum())} steps with "
                f"{len(np.unique(one[np.isfinite(one)]))} different values. Leave it out: a "
                "trained model forecasts it nevertheless."
            )


def _beside(
    covariates: Sequence[Any] | None, series: Sequence[Array]
) -> tuple[list[Array] | None, tuple[tuple[float, float], ...]]:
    """Covariates of each series, standardized alike, and their units."""
    if covariates is None:
        return None, ()
    arrays = [check_kind(one, "covariates").astype("float64") for one in covariates]
    if len(arrays) != len(series) or any(a.ndim != 2 for a in arrays):
        raise ValueError(
            f"covariates must be those of each of the {len(series)} series, (steps, covariates), "
            f"but got {len(arrays)} of shapes {sorted({a.shape for a in arrays})[:3]}."
        )
    steps = [min(len(a), len(x)) for a, x in zip(arrays, series, strict=True)]
    joined = np.concatenate([a[:n] for a, n in zip(arrays, steps, strict=True)])
    whole, units = standardize(joined, sum(map(len, series)))
    if whole is None:
        return None, ()
    return np.split(whole, list(itertools.accumulate(steps))[:-1]), units
