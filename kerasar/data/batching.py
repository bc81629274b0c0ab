"""Arrays as batches, in a new order each pass, prepared ahead."""

from typing import Any

from kerasar.typing import Tensor


def array_batches(
    examples: Any, batch_size: int, shuffle: bool = True, seed: int | None = None
) -> Tensor:
    """Makes a `tf.data.Dataset` of batches; each pass gives every example once.

    The last batch may be smaller.

    Args:
        examples: an array, `(n, ...)`, or a dict of such, nested if need be.
        batch_size: how many examples a batch holds.
        shuffle: whether each pass has an order of its own.
        seed: of the orders; None follows `tf.random.set_seed` alone.
    """
    import tensorflow as tf

    # Only indices are shuffled: a buffer of whole examples would double the memory.
    indices = tf.data.Dataset.range(len(tf.nest.flatten(examples)[0]))
    if shuffle:
        indices = indices.shuffle(len(indices), seed=seed, reshuffle_each_iteration=True)
    with tf.device("CPU:0"):  # the whole set need not fit on a GPU
        whole = tf.nest.map_structure(tf.constant, examples)

    def gather(batch: Tensor) -> Tensor:
        return tf.nest.map_structure(lambda part: tf.gather(part, batch), whole)

    # Nothing here is worth tuning, and TensorFlow 2.21 often waits for its tuner at the end of a
    # pass: until that wakes by itself, up to a minute later.
    options = tf.data.Options()
    options.autotune.enabled = False
    return indices.batch(batch_size).map(gather).prefetch(2).with_options(options)
