"""The seasons that a series may have, from how its steps repeat."""

from typing import Any

import numpy as np

from kerasar.checks import check_kind

#: Lengths of seasons by the usual calendars: quarters, weekdays, months, hours, weeks, half and
#: quarter hours, tens of minutes, minutes, and days of a year.
_USUAL = (4, 5, 7, 10, 12, 24, 48, 52, 60, 96, 144, 168, 288, 336, 365, 672, 1440)
#: The autocorrelation of steps one season apart, at least, and how many seasons are found at most.
_CORRELATED, _MOST = 0.2, 2


def find_seasons(series: Any, among: Any = _USUAL) -> tuple[int, ...]:
    """Lengths of seasons by which a series repeats, the shortest first.

    Those are found whose steps are more alike one season apart than those half a season apart, in
    the differences of the series, so that a trend is no season. At least three seasons must be
    there.

    Args:
        series: `(steps,)` or `(steps, variables)`; NaN is missing.
        among: the lengths that are looked at.

    Returns:
        At most two of them, those that are most alike.
    """
    values = check_kind(series, "series").astype("float64")
    changes = np.diff(values.reshape(len(values), -1), axis=0)
    changes -= np.nanmean(changes, axis=0) if len(changes) else 0.0
    found = []
    for season in among:
        if 3 * season <= len(values):
            alike = _correlation(changes, season)
            if alike - max(_correlation(changes, season // 2), 0.0) > _CORRELATED:
                found.append((alike, season))
    best = sorted(found, reverse=True)[:_MOST]
    return tuple(sorted(season for _, season in best))


def _correlation(changes: Any, lag: int) -> float:
    """The autocorrelation at a lag, the mean over variables."""
    one, other = changes[lag:], changes[:-lag]
    with np.errstate(invalid="ignore", divide="ignore"):
        each = np.nansum(one * other, axis=0) / np.sqrt(
            np.nansum(one**2, axis=0) * np.nansum(other**2, axis=0)
        )
    each = each[np.isfinite(each)]
    return float(each.mean()) if len(each) else 0.0
