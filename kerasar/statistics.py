"""Small statistics that several rooms share."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def log_mean_exp(draws: np.ndarray) -> np.ndarray:
    """The log of the mean of exp(draws) over the first axis, computed in float64."""
    total = np.logaddexp.reduce(draws.astype("float64"), axis=0)  # -inf where all draws are
    return (total - np.log(len(draws))).astype(draws.dtype)


def quantiles(paths: Any, probabilities: Sequence[float]) -> Any:
    """Quantiles over paths, `(probabilities, steps, …)`.

    Weibull's rule: a further path falls below the quantile of p with a probability of exactly p,
    whatever the distribution and the number of paths (as long as there are 1 / p of them).

    References:
        Hyndman & Fan. Sample Quantiles in Statistical Packages. The American Statistician 50,
        1996, definition 6. https://doi.org/10.2307/2684934
    """
    return np.quantile(np.asarray(paths, "float64"), probabilities, axis=0, method="weibull")
