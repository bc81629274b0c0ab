"""Arrays as batches, in a new order each pass, prepared ahead."""

from typing import Any

import numpy as np

from kerasar.checks import is_mapped
from kerasar.data.lazy_rows import is_lazy
from kerasar.typing import Tensor


def array_dtype(part: np.ndarray, dtype: str) -> np.dtype:
    """The dtype that training takes for an array: `dtype` for real values, else bytes or int32."""
    if np.issubdtype(part.dtype, np.floating):
        return np.dtype(dtype)
    return part.dtype if part.dtype in (np.uint8, np.bool_) else np.dtype("int32")


def array_batches(
    examples: Any,
    batch_size: int,
    shuffle: bool = True,
    seed: int | None = None,
    dtype: str | None = None,
) -> Tensor:
    """Makes a `tf.data.Dataset` of batches; each pass gives every example once.

    The last batch may be smaller.

    Args:
        examples: an array, `(n, ...)`, or a dict of such, nested if need be.
        batch_size: how many examples a batch holds.
        shuffle: whether each pass has an order of its own.
        seed: of the orders; None follows `tf.random.set_seed` alone.
        dtype: what real values of memory maps and lazy rows are cast to, their integers becoming
            int32; None keeps their dtypes. Of both no more is read than a batch.
    """
    import tensorflow as tf

    # Only indices are shuffled: a buffer of whole examples would double the memory.
    count = len(tf.nest.flatten(examples)[0])
    indices = tf.data.Dataset.range(count)
    if shuffle:
        indices = indices.shuffle(count, seed=seed, reshuffle_each_iteration=True)
    with tf.device("CPU:0"):  # the whole set need not fit on a GPU
        whole = tf.nest.map_structure(
            lambda part: part if is_mapped(part) or is_lazy(part) else tf.constant(part), examples
        )

    def rows(part: Any, batch: Tensor) -> Tensor:
        if isinstance(part, tf.Tensor):
            return tf.gather(part, batch)
        wanted = part.dtype if dtype is None else array_dtype(part, dtype)
        found = tf.numpy_function(lambda i: part[i].astype(wanted, copy=False), [batch], wanted)
        return tf.ensure_shape(found, (None, *part.shape[1:]))

    def gather(batch: Tensor) -> Tensor:
        return tf.nest.map_structure(lambda part: rows(part, batch), whole)

    # Nothing here is worth tuning, and TensorFlow 2.21 often waits for its tuner at the end of a
    # pass: until that wakes by itself, up to a minute later.
    options = tf.data.Options()
    options.autotune.enabled = False
    return indices.batch(min(batch_size, count)).map(gather).prefetch(2).with_options(options)
