"""Scores of forecasts that are paths: proper ones, and how often bands hold."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def crps(paths: Any, actual: Any, fair: bool = True) -> Array:
    """The continuous ranked probability score of paths, in the series' units; lower is better.

    The fair estimate, whose mean does not depend on the number of paths,

        mean |x_i - y| - mean over pairs i ≠ j of |x_i - x_j| / 2

    in O(paths log paths) by sorting.

    Args:
        paths: `(…, paths, steps)`, at least two.
        actual: `(…, steps)`; NaN where there is no value, which gives NaN.
        fair: whether pairs of a path with itself are left out. A single path that runs away costs
            nothing then, and the score may be below 0; with them it is that of the paths as they
            are, which is never negative.

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
    found: Array = away - (ranks * paths).sum(axis=-2) / (count * (count - int(fair)))
    return found


def energy_score(paths: Any, actual: Any) -> Array:
    """The energy score of joint paths, in the series' units; lower is better.

    mean |x_i - y| - mean over pairs i ≠ j of |x_i - x_j| / 2 with Euclidean norms over whole paths:
    unlike CRPS it is lower only if how steps go together is right too.

    Args:
        paths: `(…, paths, dims)`, at least two.
        actual: `(…, dims)`; a dimension with NaN is left out.

    Returns:
        `(…,)`.

    References:
        Gneiting & Raftery. Strictly Proper Scoring Rules, Prediction, and Estimation. JASA 102,
        2007, section 4.3. https://doi.org/10.1198/016214506000001437
    """
    paths, actual = np.asarray(paths, "float64"), np.asarray(actual, "float64")[..., None, :]
    seen = np.isfinite(actual)
    paths, actual = np.where(seen, paths, 0.0), np.where(seen, actual, 0.0)
    count = paths.shape[-2]
    # A few paths further on at a time: all pairs at once may not fit into the memory.
    between = sum(
        np.linalg.norm(paths - np.roll(paths, shift, axis=-2), axis=-1).sum(axis=-1)
        for shift in range(1, count)
    )
    away = np.linalg.norm(paths - actual, axis=-1).mean(axis=-1)
    found: Array = away - between / (2 * count * (count - 1))
    return found


def quantile_loss(quantile: Any, actual: Any, probability: float) -> Array:
    """Twice the pinball loss of a quantile; its mean over all probabilities is CRPS."""
    apart = np.asarray(actual, "float64") - np.asarray(quantile, "float64")
    found: Array = 2 * np.maximum(probability * apart, (probability - 1) * apart)
    return found
