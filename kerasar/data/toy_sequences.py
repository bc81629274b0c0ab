"""Toy sequences whose exact probability is known: a bound that no model can beat.

A sequence of length T starts at the value T and runs with a random slope; at a random step it
starts again at T with a new slope. Values are rounded, so a sequence leaves open an interval of
slopes, and its probability is a sum over the T possible cuts of products of two such intervals.

References:
    Fleuret. Deep Learning course (EPFL / UNIGE), lecture 10.1, Auto-regression.
    https://fleuret.org/dlc/
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count, check_memory

#: Sequences scored at once, which bounds the memory: 50,000 × 32 doubles are 13 MB.
_CHUNK = 50_000


@checks_arguments
def toy_sequences(n: int, length: int = 32, seed: int = 0) -> NDArray[np.int32]:
    """Draws toy sequences: two straight runs from the value `length`, the second from a cut on.

    With T = `length`: the cut is uniform over 1 … T (at T there is no second run), each slope
    uniform over (-1, 1), and step t holds `T + round(slope * (t - start of its run))`.

    Args:
        n: the number of sequences.
        length: the number of steps T of each sequence.
        seed: integer, at least 0.

    Returns:
        int32, `(n, length)`, values in `[0, 2 * length)`: a run of at most T - 1 steps with a
        slope below 1 stays inside, so nothing is clipped.

    Raises:
        ValueError: if an argument is too small.
        TypeError: if one is not an integer.

    Example:
        >>> x = toy_sequences(1000, length=32)
        >>> x.shape, bool((x[:, 0] == 32).all())
        ((1000, 32), True)
        >>> -toy_log_prob(x).mean().round(1)  # nats; toy_entropy(32) is 12.538
        np.float64(12.5)
    """
    check_count(n, "n")
    check_count(length, "length")
    check_memory("n", n, (n, length))
    check_count(seed, "seed", least=0, most=None)
    rng = np.random.default_rng(seed)
    cut = rng.integers(1, length, size=(n, 1), endpoint=True)
    first, second = rng.uniform(-1, 1, size=(2, n, 1))
    step = np.arange(length)
    risen = np.where(step < cut, first * step, second * (step - cut))
    return (length + np.round(risen)).astype(np.int32)


def toy_log_prob(x: Any) -> NDArray[np.float64]:
    """The exact log-probability of toy sequences, of `toy_sequences(…, length=x.shape[1])`.

    Args:
        x: integers, `(batch, length)`.

    Returns:
        float64 `(batch,)`, in nats; -inf for sequences that cannot occur.

    Raises:
        ValueError: if `x` is not of that rank, is empty, or holds values that are not integers.
        TypeError: if `x` is not numeric.
    """
    x = _check_sequences(x)
    with np.errstate(divide="ignore"):  # the logarithm of 0 is what we mean
        parts = [
            np.log(_probability(x[start : start + _CHUNK])) for start in range(0, len(x), _CHUNK)
        ]
    return np.concatenate(parts)


@checks_arguments
def toy_entropy(length: int = 32) -> float:
    """The exact entropy of toy sequences, summed over all of them; 12.5378 nats for 32.

    Args:
        length: steps of each sequence. The 659,354 pairs of runs of 32 steps take 10 seconds.

    Returns:
        The entropy in nats per sequence.

    Raises:
        ValueError, TypeError: if `length` is not an integer of at least 1.
    """
    check_count(length, "length")
    entropy = 0.0
    for cut in range(1, length + 1):
        first, first_measures = _all_runs(cut)
        second, second_measures = _all_runs(length - cut)
        pairs = np.concatenate(
            [np.repeat(first, len(second), axis=0), np.tile(second, (len(first), 1))], axis=1
        )
        weights = np.outer(first_measures, second_measures).ravel() / length
        entropy -= float(weights @ toy_log_prob(length + pairs))
    return entropy


def _probability(x: NDArray[np.float64]) -> NDArray[np.float64]:
    length = x.shape[1]
    risen = x - length
    # From 1 step to all of them, the measure of slopes that give the beginning of the sequence.
    beginnings = _measures(risen)
    total = beginnings[:, -1].copy()  # the cut at `length`
    for cut in range(1, length):
        total += beginnings[:, cut - 1] * _measures(risen[:, cut:])[:, -1]
    return total / length


def _measures(risen: NDArray[np.float64]) -> NDArray[np.float64]:
    """How likely the slopes are that give a run up to each of its steps, `(batch, steps)`.

    At step t a run has risen by `round(slope * t)`, so the slope lies within half a step of
    `risen / t`. All steps together leave an interval; slopes have the density 1/2 on (-1, 1).
    Ties have measure zero. Two ends that are the same fraction are the same double, for division
    rounds correctly; so intervals that only touch have the measure 0 exactly.
    """
    step = np.maximum(np.arange(risen.shape[1]), 1)
    low, high = (risen - 0.5) / step, (risen + 0.5) / step
    # A run starts at 0 whatever its slope.
    possible = risen[:, :1] == 0
    low[:, :1], high[:, :1] = np.where(possible, -1.0, 1.0), 1.0
    low = np.maximum.accumulate(low, axis=1)
    high = np.minimum.accumulate(high, axis=1)
    return np.maximum(high - low, 0.0) / 2


def _all_runs(steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """All runs of some steps that can occur, `(runs, steps)`, and their probabilities."""
    ends = {-1.0, 1.0}
    for step in range(1, steps):
        ends |= {(2 * k + 1) / (2 * step) for k in range(-step, step)}
    slopes = np.sort(list(ends))
    middles = (slopes[1:] + slopes[:-1]) / 2
    return np.round(middles[:, None] * np.arange(steps)), np.diff(slopes) / 2


def _check_sequences(x: Any) -> NDArray[np.float64]:
    array = np.asarray(x)
    if not np.issubdtype(array.dtype, np.number) or np.issubdtype(array.dtype, np.complexfloating):
        raise TypeError(f"x must hold integers, but its dtype is {array.dtype}.")
    if array.ndim != 2 or 0 in array.shape:
        hint = " For one sequence, pass x[None]." if array.ndim == 1 else ""
        raise ValueError(
            "x must hold sequences, (batch, length), at least one of at least one step, but its "
            f"shape is {array.shape}.{hint}"
        )
    whole: NDArray[np.float64] = array.astype(np.float64)
    if not (whole == np.round(whole)).all():  # NaN differs from itself
        raise ValueError(
            "x must hold whole numbers, as toy_sequences draws them, but holds "
            f"{whole[whole != np.round(whole)][0]}. Round x first."
        )
    return whole
