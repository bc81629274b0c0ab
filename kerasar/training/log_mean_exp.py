"""Means of probabilities that are known by their logarithms."""

import numpy as np


def log_mean_exp(draws: np.ndarray) -> np.ndarray:
    """log of the mean over the first axis of exp(draws), in float64 inside."""
    total = np.logaddexp.reduce(draws.astype("float64"), axis=0)  # -inf where all draws are
    return (total - np.log(len(draws))).astype(draws.dtype)
