"""Means of probabilities that are known by their logarithms."""

import numpy as np


def log_mean_exp(draws: np.ndarray) -> np.ndarray:
    """log of the mean over the first axis of exp(draws), in float64 inside."""
    most = draws.max(axis=0)
    mean = np.mean(np.exp(draws.astype("float64") - most), axis=0)
    return (most + np.log(mean)).astype(draws.dtype)
