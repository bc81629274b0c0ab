"""Feeds arrays to training: shuffled over the whole set, batched, prepared ahead."""

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kerasar.typing import Tensor


def pipeline(
    x: ArrayLike,
    batch_size: int,
    shuffle: bool = True,
    seed: int = 0,
    condition: ArrayLike | Mapping[str, ArrayLike] | None = None,
) -> Tensor:
    """Makes a `tf.data.Dataset` of batches for `fit`, `evaluate` or a loop of your own.

    Each pass gives every example once, in a new order; the last batch may be smaller. The orders
    follow from `seed` (and from `tf.random.set_seed`, if that was called): two pipelines with the
    same seed give the same batches in their first pass, their second, and so on.

    Args:
        x: array, `(n, ...)`. Its dtype is kept.
        batch_size: int, at least 1.
        shuffle: bool. False keeps the order of `x`.
        seed: int. Another seed shuffles otherwise.
        condition: array, `(n, ...)`, or a dict of such arrays by input name; row i belongs to
            example i.

    Returns:
        A data set of `x` batches or, with a condition, of `{"x": ..., "condition": ...}`.

    Raises:
        ValueError: if there are no examples, `condition` has another number of rows, or
            `batch_size` is below 1.

    Example:

    >>> import kerasar
    >>> batches = kerasar.data.pipeline([10, 11, 12], batch_size=2, shuffle=False)
    >>> [batch.tolist() for batch in batches.as_numpy_iterator()]
    [[10, 11], [12]]
    """
    import tensorflow as tf

    try:
        batch_size = operator.index(batch_size)
    except TypeError:
        raise TypeError(
            f"batch_size must be an integer, but got {batch_size!r} of type "
            f"{type(batch_size).__name__}. Pass 32, say."
        ) from None
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, but got {batch_size}. Pass 32, say.")
    x = np.asarray(x)
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(
            f"x must hold at least one example along its first axis, but got shape {x.shape}. Pass "
            "an array of shape (n, ...)."
        )
    examples: Any = x
    if isinstance(condition, Mapping):
        parts = {name: np.asarray(part) for name, part in condition.items()}
        for name, part in parts.items():
            _check_rows(part, len(x), f"condition['{name}']")
        examples = {"x": x, "condition": parts}
    elif condition is not None:
        condition = np.asarray(condition)
        _check_rows(condition, len(x), "condition")
        examples = {"x": x, "condition": condition}

    # Only indices are shuffled: a buffer of whole examples would double the memory.
    indices = tf.data.Dataset.range(len(x))
    if shuffle:
        indices = indices.shuffle(len(x), seed=seed, reshuffle_each_iteration=True)
    with tf.device("CPU:0"):  # the whole set need not fit on a GPU
        whole = tf.nest.map_structure(tf.constant, examples)

    def gather(batch: Tensor) -> Tensor:
        return tf.nest.map_structure(lambda part: tf.gather(part, batch), whole)

    return indices.batch(batch_size).map(gather).prefetch(tf.data.AUTOTUNE)


def _check_rows(part: np.ndarray[Any, Any], count: int, name: str) -> None:
    if part.ndim == 0 or len(part) != count:
        raise ValueError(
            f"Each of the {count} examples of x needs its row of {name}, but that has shape "
            f"{part.shape}. Pass an array of shape ({count}, ...)."
        )
