"""Runs a compiled function on any number of examples, of which XLA sees few sizes.

XLA compiles anew for each size that it meets, takes seconds for it and keeps the result for ever.
So examples are taken in shares of equal size, a power of two: no request makes a server compile
more than once, and all of them a few times. A compiled function runs on one core, so shares run
side by side.
"""

import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kerasar.typing import Tensor


def in_shares(
    run: Callable[[Any], Tensor], spec: tf.TensorSpec, rows: Any, least: int, most: int
) -> Tensor:
    """A function of rows, run on shares of them of equal size.

    Args:
        run: from some rows to their values.
        spec: of the values, with the number of rows left open.
        rows: a structure of tensors with the same first axis, and None.
        least: how many rows are worth a core of their own.
        most: how many a share has at most.
    """
    first = tf.nest.flatten(rows)[0]
    count, cores = tf.shape(first)[0], os.cpu_count() or 1
    share = next_power(tf.maximum(-(-count // cores), tf.minimum(count, least)))
    share = tf.minimum(share, most)

    def body(index: Tensor, done: tf.TensorArray) -> tuple[Tensor, tf.TensorArray]:
        own = tf.minimum(index * share + tf.range(share), count - 1)
        part = tf.nest.map_structure(lambda row: None if row is None else tf.gather(row, own), rows)
        return index + 1, done.write(index, run(part))

    shares = -(-count // share)
    _, done = tf.while_loop(
        lambda index, _: index < shares,
        body,
        (tf.constant(0), tf.TensorArray(spec.dtype, shares, infer_shape=False)),
        parallel_iterations=cores,
    )
    return tf.ensure_shape(done.concat()[:count], spec.shape)


def next_power(count: Tensor) -> Tensor:
    """The least power of two that is not below a count, which is below 2**30."""
    powers = tf.bitwise.left_shift(1, tf.range(31))
    return tf.reduce_min(tf.where(powers >= count, powers, powers[-1]))
