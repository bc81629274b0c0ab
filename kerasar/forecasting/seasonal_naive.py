"""The seasonal naive forecast, which every other one must beat."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasar.forecasting.scores import Array


def seasonal_naive(
    series: Any, origins: Sequence[int], steps: int, season: int, num_paths: int, seed: int = 0
) -> Array:
    """Paths that repeat the last season, and drift from it as seasons have differed so far.

    Each step is that of the season before, plus a normal error with the root mean square of the
    differences between seasons before the origin: a random walk from season to season.

    Args:
        series: `(time, variables)`; NaN is missing: the season before it counts.
        origins: how many steps are known, for each forecast.
        steps: to go on.
        season: its steps; 1 repeats the last value.
        num_paths: of each origin.
        seed: of the errors.

    Returns:
        `(origins, num_paths, steps, variables)`.

    References:
        Hyndman & Athanasopoulos. Forecasting: Principles and Practice, sections 5.2 and 5.5.
        https://otexts.com/fpp3/
    """
    series = _filled(np.asarray(series, "float64"), season)
    rng = np.random.default_rng(seed)
    found = np.empty((len(origins), num_paths, steps, series.shape[1]))
    for i, origin in enumerate(origins):
        past = series[:origin]
        back = season if origin > season else 1
        apart = past[back:] - past[:-back]
        deviation = np.sqrt(np.mean(apart**2, axis=0)) if len(apart) else np.zeros(series.shape[1])
        whole = np.repeat(past[None, -back:], num_paths, axis=0)
        for step in range(steps):
            noise = deviation * rng.normal(size=(num_paths, series.shape[1]))
            whole = np.concatenate([whole, (whole[:, step] + noise)[:, None]], axis=1)
        found[i] = whole[:, back:]
    return found


def _filled(series: Array, season: int) -> Array:
    """Each missing value as the one a season before it, else the last, else the first."""
    filled = series.copy()
    for t in range(len(filled)):
        for back in (season, 1):
            gaps = np.isnan(filled[t])
            if t >= back:
                filled[t, gaps] = filled[t - back, gaps]
    for column in filled.T:
        seen = column[np.isfinite(column)]
        column[np.isnan(column)] = seen[0] if len(seen) else 0.0
    return filled
