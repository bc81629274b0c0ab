"""Chooses how a series is normalized, on windows at several places of its training part.

Each candidate is a linear autoregression (`kerasar.forecasting.linear`), fitted to what comes
before the windows and judged by the paths that it draws there: by the score of a forecast over its
whole horizon, not of the next step alone, which says little about trends and seasons.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count, check_kind
from kerasar.data import find_seasons
from kerasar.distributions import GaussianMixture, Independent, NegativeBinomial, Relative
from kerasar.forecasting.blend import Mix, fit_blend
from kerasar.forecasting.dynamics import DYNAMICS
from kerasar.forecasting.linear import SCALES, Array, Design, LinearForecaster
from kerasar.forecasting.scores import crps
from kerasar.layers.support import Support
from kerasar.statistics import quantiles

#: Where the parts begin on which candidates are judged, and windows of each.
_CUTS, _WINDOWS = (0.5, 0.62, 0.75, 0.87), 4
#: Paths of each, penalties that are tried, and how many steps at the end decide at least.
_PATHS, _RIDGES, _ENOUGH = 60, (300.0, 100.0, 30.0, 10.0, 3.0), 1_000
#: The band that is to hold, and the factors that are tried for it.
_BAND, _FACTORS = 0.9, (1.0, 1.07, 1.15, 1.25, 1.4, 1.6, 1.8, 2.0)
#: No error counts as less than such a part of the usual change of a step: where a series stands
#: still for long, all forecasts are exact, and some a thousand times as exact as others.
_EXACT = 0.01
#: What stands for a value that is not finite: the worst.
_HUGE = 1e30
#: Fewer steps than this are too few.
_LEAST_STEPS = 10
#: The longest of the last steps that are seen one by one, and the least memory of a scale.
_LAGS, _MEMORY = 50, 30
#: Levels that move with the series. Others draw it back to where it was, which is tried only on
#: series so long that a fit can tell.
_MOVING, _LONG = ("seasonal", "difference"), 300
#: How many standard errors better those must be.
_BEYOND = 2.0
#: By what part a design must be better for each step of its complexity, times the root of the steps
#: of the series.
_PRICE = 0.4
#: From how many standard errors on a drift is beyond doubt.
_CERTAIN = 3.0
#: As good as the naive forecast is a design whose gain is within so many standard errors.
_WITHIN = 1.0
#: By what part a design must be worse for its share in the mean to fall by the factor e, and the
#: least share there.
_FALLS, _LEAST_SHARE = 0.1, 0.05
#: By what part wider bands may worsen forecasts.
_WORSE = 0.05
#: How much less than they should bands may hold: on so few windows chance is as large on a long
#: series, and a short one has rather seen too little.
_CHANCE, _SHORT = 0.05, 0.015
#: Counts whose median is less are modeled as such.
_SMALL = 30
#: How many variables of a step are drawn together, at most.
_JOINT = 8


@dataclass(frozen=True, eq=False)
class Choice:
    """How a series is best normalized, and the linear autoregression that says so.

    Attributes:
        design: what is seen, and relative to what.
        fitted: a linear autoregression for each variable, fitted to the whole training part.
        widening: by what the deviation of drawn steps is multiplied, so that bands of 90 % hold as
            much on the windows.
        series: `(steps,)` or `(steps, variables)`, that it was chosen for.
        covariates: mean and scale of each.
    """

    design: Design
    fitted: tuple[LinearForecaster, ...]
    widening: float
    series: NDArray[Any]
    covariates: tuple[tuple[float, float], ...] = ()

    def likelihood(self, num_components: int = len(SCALES)) -> Relative:
        """The likelihood for a model of the series, relative to its level and scale."""
        variables = None if self.series.ndim == 1 else self.series.shape[1]
        counts = self.design.support == "counts"
        each = NegativeBinomial() if counts else GaussianMixture(num_components)
        inside: Any = each
        if variables is not None:
            joint = variables <= _JOINT and not counts and not np.isnan(self.series).any()
            inside = (
                GaussianMixture(num_components, variables)
                if joint
                else Independent(variables, each)
            )

        def units(values: Sequence[float]) -> Any:
            return values[0] if variables is None else tuple(values)

        columns = self.series.reshape(len(self.series), -1).astype("float64")
        design = self.design
        return Relative(
            inside,
            design.normalization,
            season=design.season,
            memory=design.memory,
            support=design.support,
            mean=units(np.nanmean(columns, axis=0).tolist()),
            scale=units(np.maximum(np.nanstd(columns, axis=0), 1e-30).tolist()),
            center=units([each.center for each in self.fitted]),
            unit=units([each.unit for each in self.fitted]),
            spread=units([each.spread for each in self.fitted]),
            own_scale=design.own_scale,
        )

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of `kerasar.models.Forecaster`, besides the likelihood."""
        design = self.design
        found = {"lags": design.lags, "seasons": design.seasons, "cycles": design.cycles}
        return found | ({"covariates": self.covariates} if self.covariates else {})


@checks_arguments
def choose(
    series: Any,
    horizon: int,
    seasons: Sequence[int] | None = None,
    support: Any = None,
    normalization: str | None = None,
    covariates: Any = None,
) -> Choice:
    """Chooses level, season, support and lags by the forecasts of linear autoregressions.

    Args:
        series: the training part, `(steps,)` or `(steps, variables)`; NaN is missing.
        horizon: int. How many steps ahead forecasts are for.
        seasons: steps of each season that the series may have, such as 24 and 168 for hours; `()`
            for none. None takes what `kerasar.data.find_seasons` finds.
        support: as for `kerasar.distributions.Relative`; None tries "positive" too where all values
            are, and takes "counts" for small ones.
        normalization: as for `Relative`; None tries all.
        covariates: what is known of each step before it comes, `(steps, covariates)`, finite.

    Returns:
        A `Choice`: the mean of the designs whose geometric means of CRPS over all windows are the
        least, or the naive forecast, if nothing is better than it beyond a standard error.

    Raises:
        ValueError: for a series that is too short, or has a variable without two different values.
        TypeError: for arguments of other kinds.

    References:
        Gneiting & Raftery. Strictly Proper Scoring Rules, Prediction, and Estimation. JASA 102,
        2007 (CRPS). https://doi.org/10.1198/016214506000001437
        Breiman et al. Classification and Regression Trees. 1984, section 3.4.3 (the rule of one
        standard error).
    """
    check_count(horizon, "horizon")
    for season in seasons or ():
        check_count(season, "each of seasons", least=2)
    array = check_kind(series, "series").astype("float64")
    columns = array.reshape(len(array), -1)
    for i, column in enumerate(columns.T):
        seen = column[np.isfinite(column)]
        if len(seen) < _LEAST_STEPS:
            raise ValueError(
                f"A series needs at least {_LEAST_STEPS} steps that are observed, but variable {i} "
                f"of series has {len(seen)}. Add steps."
            )
        if seen.min() == seen.max():
            raise ValueError(
                f"Variable {i} of series is {seen[0]:g} throughout, so there is nothing to learn. "
                "Leave it out."
            )
    beside, units = standardize(covariates, len(columns))
    if seasons is None:
        seasons = find_seasons(columns)
    usable = [s for s in sorted(set(seasons)) if 3 * s <= len(columns)]
    last = max(_ENOUGH, 6 * max(usable, default=1), 4 * horizon)
    recent = columns[-last:]
    recent_beside = None if beside is None else beside[-last:]
    judge = functools.partial(_judge, recent, horizon, recent_beside, [{} for _ in columns.T])
    if support is None:
        supports: list[Any] = ["real", "positive"] if np.nanmin(columns) > 0 else ["real"]
        if are_counts(columns):
            supports = ["counts"]
    else:
        supports = [Support(support).kind]
    if normalization is not None:
        tried: tuple[str, ...] = (normalization,)
    else:
        tried = _MOVING if len(recent) < _LONG else (*_MOVING, "window", "none")
    gaps = bool(np.isnan(recent).any())
    candidates = list(candidates_for(tried, usable, supports, len(recent), gaps))
    if not candidates:
        raise ValueError(
            f"normalization={normalization!r} needs a season that the series has three times, but "
            f"seasons is {tuple(seasons)} and the series has {len(columns)} steps."
        )
    if len(recent) > _LONG:  # what is far behind at one place is not looked at elsewhere
        rough = [float(np.mean(judge(d, _CUTS[2:3]))) for d in candidates]
        candidates = [
            candidates[i]
            for moves in (True, False)
            for i in np.argsort(rough, kind="stable")
            if (candidates[i].normalization in _MOVING) == moves
        ]
        moving = sum(design.normalization in _MOVING for design in candidates)
        kept = max(moving // 4, 8), max((len(candidates) - moving) // 4, 8)
        candidates = candidates[:moving][: kept[0]] + candidates[moving:][: kept[1]]
    drifts = {season: _drifts(columns, season) for season in (1, *usable)}
    judged = [judge(design) for design in candidates]
    mix = best_mix(candidates, judged, len(recent), lambda design: drifts[design.season or 1])
    fitted = tuple(fit_blend(column, mix, None, beside) for column in columns.T)
    widening = _widening(recent, horizon, recent_beside, mix)
    return Choice(fitted[0].design, fitted, widening, array, units)


def standardize(
    covariates: Any, steps: int
) -> tuple[Array | None, tuple[tuple[float, float], ...]]:
    """Covariates with mean 0 and scale 1, and what these were."""
    if covariates is None:
        return None, ()
    array = check_kind(covariates, "covariates").astype("float64")
    if array.ndim != 2 or len(array) != steps or not np.isfinite(array).all():
        raise ValueError(
            f"covariates must be finite and of shape ({steps}, covariates), a row for each step of "
            f"series, but their shape is {array.shape}."
        )
    scales = array.std(axis=0)
    scales = np.where(scales > 0, scales, 1.0)
    means = array.mean(axis=0)
    units = tuple(zip(means.tolist(), scales.tolist(), strict=True))
    return (array - means) / scales, units


def are_counts(columns: Array) -> bool:
    """Whether all are counts, and so small that it matters."""
    seen = columns[np.isfinite(columns)]
    whole = bool((seen >= 0).all() and (seen == np.round(seen)).all())
    return whole and float(np.nanmax(np.nanmedian(columns, axis=0))) < _SMALL


def candidates_for(
    normalizations: Sequence[str],
    seasons: list[int],
    supports: list[Any],
    steps: int,
    gaps: bool = False,
) -> Iterator[Design]:
    """Designs that a series of so many steps can bear, with gaps or not, the simplest first."""
    for support, normalization in itertools.product(supports, normalizations):
        for season in seasons if normalization == "seasonal" else [None]:
            memory = max(2 * (season or max(seasons, default=1)), _MEMORY)
            memory = min(memory, max(steps // 2, 2))
            common = normalization, season, memory, support
            yield from _classical(*common, steps)
            learned = list(_learned(*common, seasons, steps))
            yield from learned
            yield from (replace(design, gapless=True) for design in learned if gaps)


def _classical(
    normalization: str, season: int | None, memory: int, support: Any, steps: int
) -> Iterator[Design]:
    """Designs of whose dynamics a few numbers are found, and nothing else."""
    if normalization not in _MOVING:
        return
    lags = min(max(steps // 4, 3), 2 * (season or _LAGS) + 2, _LAGS)
    cycles = 0 if season is None else min(steps // 2 // (season + 1), 3)
    among = () if season is None else (season,)
    for dynamics, drift in itertools.product(DYNAMICS, (False, True)):
        if drift and dynamics == ("damped" if season is None else "persistent"):
            continue  # a slope has its own drift
        common = normalization, season, memory, support
        if dynamics == "still":
            yield Design(*common, 3, drift=drift)
        elif season is None or cycles:
            sight = lags, among, max(cycles, 1)
            yield Design(*common, *sight, dynamics=dynamics, drift=drift)


def _learned(
    normalization: str,
    season: int | None,
    memory: int,
    support: Any,
    seasons: list[int],
    steps: int,
) -> Iterator[Design]:
    """Designs that learn the weight of each lag."""
    sights: list[tuple[int, tuple[int, ...], int]] = [(3, (), 1)]
    for upto in range(1, len(seasons) + 1):
        among = tuple(seasons[:upto])
        sights.append((min(max(among[0] + 1, 8), _LAGS), among, 2))
        sights.append((3, among, 2))
    for lags, among, cycles in sights:
        if among and max([lags, *(cycles * each + 1 for each in among)]) > steps // 4:
            continue
        common = normalization, season, memory, support, lags, among, cycles
        yield from (Design(*common, ridge) for ridge in _RIDGES)
        if lags > 3 and normalization in _MOVING:
            for dynamics, ridge in itertools.product(DYNAMICS[1:], _RIDGES[:2]):
                yield Design(*common, ridge, dynamics)


def _drifts(columns: Array, season: int) -> bool:
    """Whether each variable drifts, from value to value or from season to season, beyond doubt."""
    for column in columns.T:
        apart = column[season:] - column[:-season]
        apart = apart[np.isfinite(apart)]
        # Differences to the same season overlap: there are as many as seasons.
        error = float(apart.std()) / math.sqrt(max(len(apart) / season, 1.0)) + 1e-30
        if not len(apart) or abs(float(apart.mean())) < _CERTAIN * error:
            return False
    return True


def best_mix(
    candidates: Sequence[Design],
    judged: Sequence[Array],
    steps: int,
    drifts: Callable[[Design], bool] = lambda design: False,
) -> Mix:
    """The best of those whose level moves with the series, unless another is so beyond chance.

    A level that stays draws a series back to where it was. Of a random walk that has hardly left
    its place that looks good, too, until it leaves. And of many candidates some look good by
    chance: what learns more must be better by more, and anything than the naive forecast beyond
    chance. What is about as good as the best, in the same frame, has a share in the mean.

    Args:
        candidates: the designs.
        judged: the mean logs of CRPS of each, over the same windows.
        steps: of the series.
        drifts: whether the naive forecast of a design's frame is one with a drift.
    """
    means = [
        float(part.mean()) + _PRICE / math.sqrt(steps) * design.complexity
        for design, part in zip(candidates, judged, strict=True)
    ]
    order = sorted(range(len(means)), key=means.__getitem__)
    best = order[0]
    moving = next((i for i in order if candidates[i].normalization in _MOVING), best)
    if moving != best and len(judged[best]) > 1:
        gain = judged[moving] - judged[best]
        best = best if float(gain.mean()) > _BEYOND * _error(gain) else moving
    naive = next((i for i in order if _is_naive(candidates[i], drifts)), best)
    gain = judged[naive] - judged[best]
    if len(gain) > 1 and means[naive] - means[best] <= _WITHIN * _error(gain):
        return ((candidates[naive], 1.0),)
    return _about_as_good(candidates, means, best)


def _is_naive(design: Design, drifts: Callable[[Design], bool]) -> bool:
    """Whether it forecasts the last value or season, with a drift if there is one."""
    return design.complexity == int(design.drift) and (not design.drift or drifts(design))


def _error(gains: Array) -> float:
    """The standard error of a mean."""
    return float(gains.std(ddof=1)) / math.sqrt(len(gains))


def _about_as_good(candidates: Sequence[Design], means: Sequence[float], best: int) -> Mix:
    """Designs of the best one's frame and their shares: the best of each kind."""
    kinds: dict[Any, int] = {}
    for i in sorted(range(len(means)), key=means.__getitem__):
        design = candidates[i]
        if design.frame == candidates[best].frame:
            kinds.setdefault((design.dynamics, design.drift, math.isinf(design.ridge)), i)
    shares = {i: math.exp((means[best] - means[i]) / _FALLS) for i in kinds.values()}
    kept = {i: share for i, share in shares.items() if share > _LEAST_SHARE * sum(shares.values())}
    return tuple((candidates[i], share / sum(kept.values())) for i, share in kept.items())


def _judge(
    columns: Array,
    horizon: int,
    beside: Array | None,
    known: list[dict[Any, Any]],
    design: Design,
    cuts: Sequence[float] = _CUTS,
) -> Array:
    """The mean log of CRPS over the windows of each part, behind what the candidate is fitted to.

    Returns:
        One for each variable and part; infinite if there is nothing to judge by.
    """
    logs: list[float] = []
    for column, shared in zip(columns.T, known, strict=True):
        mix = ((design, 1.0),)
        for paths, actual in _windows(column, horizon, beside, shared, mix, cuts=cuts):
            logs += log_scores(paths, actual, column)
    return np.array(logs or [math.inf])


def log_scores(paths: Array, actual: Array, column: Array) -> list[float]:
    """The mean log of CRPS over the windows of a part; empty if there is nothing to judge by."""
    found = crps(paths, actual, fair=False)  # (origins, steps)
    seen = np.isfinite(found)
    if not seen.any():
        return []
    each = np.where(seen, found, 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    moved = np.abs(np.diff(column))
    usual = np.nanmean(moved) if np.isfinite(moved).any() else np.nanstd(column)
    least = _EXACT * usual + 1e-30
    return [float(np.log(np.maximum(each[seen.any(axis=1)], least)).mean())]


def _widening(columns: Array, horizon: int, beside: Array | None, mix: Mix) -> float:
    """The least factor with which bands of a series hold."""
    known: dict[Any, Any] = {}

    def windows(factor: float) -> Iterator[tuple[Array, Array, Array]]:
        for column in columns.T:
            for pair in _windows(column, horizon, beside, known, mix, factor, 4 * _PATHS):
                yield *pair, column

    return narrowest_that_holds(windows, len(columns))


def narrowest_that_holds(
    windows: Callable[[float], Iterator[tuple[Array, Array, Array]]], steps: int
) -> float:
    """The least factor with which bands hold, as far as forecasts hardly become worse.

    A level that has once shifted leaves all bands of a few windows; wider ones would be worse
    everywhere else.

    Args:
        windows: gives for a factor paths, what came and the series they are of.
        steps: how many there are of the series.
    """
    allowed = _CHANCE if steps > _LONG else _SHORT
    least, chosen = math.inf, _FACTORS[0]
    for factor in _FACTORS:
        inside, count = 0, 0
        logs: list[float] = []
        for paths, actual, column in windows(factor):
            low, high = quantiles(np.moveaxis(paths, 1, 0), [0.5 - _BAND / 2, 0.5 + _BAND / 2])
            inside += int(((low <= actual) & (actual <= high)).sum())
            count += int(np.isfinite(actual).sum())
            logs += log_scores(paths, actual, column)
        least = min(least, float(np.mean(logs)))
        if float(np.mean(logs)) > least + _WORSE:
            break
        chosen = factor
        if inside >= (_BAND - allowed) * count:
            break
    return chosen


def _windows(
    column: Array,
    horizon: int,
    beside: Array | None,
    known: dict[Any, Any],
    mix: Mix,
    factor: float = 1.0,
    paths: int = _PATHS,
    cuts: Sequence[float] = _CUTS,
) -> Iterator[tuple[Array, Array]]:
    """Paths `(origins, paths, steps)`, and what came, of each part with what is fitted before."""
    steps = len(column)
    ends = dict(zip(_CUTS, (*_CUTS[1:], 1.0), strict=True))
    for share in cuts:
        cut, end = int(share * steps), int(ends[share] * steps)
        ahead = min(horizon, steps - cut)
        latest = min(max(end - ahead, cut), steps - ahead)
        origins = np.unique(np.linspace(cut, latest, _WINDOWS).astype(int))
        if np.isfinite(column[:cut]).sum() < _LEAST_STEPS // 2:
            continue
        model = fit_blend(column[:cut], mix, known, beside)
        model.widen(factor)
        drawn = model.simulate(column, origins, ahead, paths, known=known, covariates=beside)
        drawn = np.nan_to_num(drawn, nan=_HUGE, posinf=_HUGE, neginf=-_HUGE)
        yield drawn, np.stack([column[origin : origin + ahead] for origin in origins])
