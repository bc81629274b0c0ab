"""Scores of forecasts that are paths: proper ones, and how often bands hold."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def crps(paths: Any, actual: Any) -> Array:
    """The continuous ranked probability score of paths, in the series' units; lower is better.

    The fair estimate, whose mean does not depend on the number of paths,

        mean |x_i - y| - mean over pairs i ≠ j of |x_i - x_j| / 2

    in O(paths log paths) by sorting.

    Args:
        paths: `(…, paths, steps)`, at least two.
        actual: `(…, steps)`; NaN where there is no value, which gives NaN.

    Returns:
        `(…, steps)`.

    References:
        Zamo & Naveau. Estimation of the Continuous Ranked Probability Score with Limited
        Information. Mathematical Geosciences 50, 2018. https://doi.org/10.1007/s11004-017-9709-7
    """
    paths = np.sort(np.asarray(paths, "float64"), axis=-2)
    count = paths.shape[-2]
    away = np.abs(paths - np.asarray(actual, "float64")[..., None, :]).mean(axis=-2)
    ranks = (2 * np.arange(1, count + 1) - count - 1)[:, None]
    found: Array = away - (ranks * paths).sum(axis=-2) / (count * (count - 1))
    return found
