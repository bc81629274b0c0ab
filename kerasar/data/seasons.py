"""The seasons that a series may have, from how its steps repeat."""

from typing import Any

import numpy as np

from kerasar.checks import check_kind

#: Lengths of seasons by the usual calendars: quarters, weekdays, months, hours, weeks, half and
#: quarter hours, tens of minutes, minutes, and days of a year.
_USUAL = (4, 5, 6, 7, 10, 12, 24, 30, 48, 52, 60, 96, 144, 168, 288, 336, 365, 672, 1440)
#: The autocorrelation of steps one season apart, at least; by how many standard errors it must be
#: above that of noise; and how much longer a second season is.
_CORRELATED, _BEYOND, _LONGER = 0.3, 3.0, 4


def find_seasons(series: Any, among: Any = _USUAL, independent: bool = False) -> tuple[int, ...]:
    """Lengths of seasons by which a series repeats, the shortest first.

    Those are found whose steps are more alike one season apart than those less far apart, by more
    than chance, in their distances from the mean over a season around each, so that a trend is no
    season. At least three seasons must be there. A second one is at least four times as long.

    Args:
        series: `(steps,)` or `(steps, variables)`; NaN is missing.
        among: the lengths that are looked at.
        independent: bool. Whether chance in one variable is none in another, as in unlike series of
            a panel: together they show a season which each alone is too short to.

    Returns:
        At most two of them, those that are most alike.
    """
    values = check_kind(series, "series").astype("float64")
    values = _without_outliers(values.reshape(len(values), -1))
    count = values.shape[1] if independent else 1
    alike = _alike(values, among, count)
    if not alike:
        return ()
    first = max(alike, key=lambda season: (alike[season], -season))
    # Twice a season repeats as well.
    within = [s for s in alike if first % s == 0 and alike[s] > alike[first] - 0.05]
    first = min(within)
    shorter = [s for s in alike if first % s == 0 and first // s >= _LONGER]
    if shorter:
        return max(shorter, key=alike.__getitem__), first
    rest = values - _profile(values, first)
    longer = _alike(rest, [s for s in among if s >= _LONGER * first], count)
    return (first, max(longer, key=longer.__getitem__)) if longer else (first,)


def _alike(values: Any, among: Any, count: int) -> dict[int, float]:
    """The autocorrelation one season apart, of the seasons where it is beyond chance."""
    found = {}
    for season in among:
        if 3 * season <= len(values):
            apart = _detrended(values, season)
            alike = _correlation(apart, season)
            within = (_correlation(apart, part * season // 4) for part in (1, 2, 3))
            beyond = alike - max(min(within), 0.0)
            pairs = np.isfinite(apart[season:] * apart[:-season]).sum(axis=0).mean()
            error = _error(apart, season) / np.sqrt(max(count * pairs, 1.0))
            if beyond > max(_CORRELATED, _BEYOND * error):
                found[season] = alike
    return found


def _error(apart: Any, season: int) -> float:
    """By how much less sure an autocorrelation is than that of noise, where neighbors are alike.

    They are in a random walk, which wanders as if it had a season of any length (Bartlett 1946,
    On the theoretical specification and sampling properties of autocorrelated time-series).
    """
    rest = np.array(apart)
    for phase in range(season):
        rest[phase::season] -= np.nanmean(rest[phase::season], axis=0)
    square = min(max(_correlation(rest, 1), 0.0), 0.99) ** 2
    return float(np.sqrt((1 + square) / (1 - square)))


def _detrended(values: Any, season: int) -> Any:
    """The distances from the mean over the season around each step."""
    kernel = np.full(season + 1 - season % 2, 1.0)
    if season % 2 == 0:
        kernel[[0, -1]] = 0.5
    half = len(kernel) // 2
    found = []
    for column in values.T:
        seen = np.isfinite(column)
        total = np.convolve(np.where(seen, column, 0.0), kernel, "valid")
        count = np.convolve(seen, kernel, "valid")
        with np.errstate(invalid="ignore", divide="ignore"):
            found.append(column[half : len(column) - half] - total / count)
    distances = np.stack(found, axis=1)
    return distances - np.nanmean(distances, axis=0)


def _profile(values: Any, season: int) -> Any:
    """The mean distance of each step of a season from the mean of its season."""
    half = season // 2
    apart = np.full_like(values, np.nan)
    inside = _detrended(values, season)
    apart[half : half + len(inside)] = inside
    found = np.zeros_like(values)
    for phase in range(season):
        found[phase::season] = np.nan_to_num(np.nanmean(apart[phase::season], axis=0))
    return found


def _without_outliers(values: Any) -> Any:
    """Values held within what the middle of the series makes likely: an outlier is no season."""
    low, middle, high = np.nanquantile(values, [0.25, 0.5, 0.75], axis=0)
    reach = 2 * (high - low)
    return np.where(reach > 0, np.clip(values, middle - reach, middle + reach), values)


def _correlation(changes: Any, lag: int) -> float:
    """The autocorrelation at a lag, of steps that both are there, the mean over variables."""
    one, other = changes[lag:], changes[:-lag]
    seen = np.isfinite(one * other)
    one, other = np.where(seen, one, np.nan), np.where(seen, other, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        each = np.nansum(one * other, axis=0) / np.sqrt(
            np.nansum(one**2, axis=0) * np.nansum(other**2, axis=0)
        )
    each = each[np.isfinite(each)]
    return float(each.mean()) if len(each) else 0.0
