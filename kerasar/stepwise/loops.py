"""The one loop from which all others here are made."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kerasar.typing import Tensor


def while_loop(cond: Callable[..., Tensor], body: Callable[..., Any], start: Any) -> Any:
    """`tf.while_loop` over any structure, whose static shapes stay those of the start."""
    flat = tf.nest.flatten(start, expand_composites=False)

    def fixed(*now: Any) -> Any:
        after = tf.nest.flatten(body(*tf.nest.pack_sequence_as(start, now)))
        return [
            tf.ensure_shape(new, old.shape) if isinstance(old, tf.Tensor) else new
            for new, old in zip(after, flat, strict=True)
        ]

    done = tf.while_loop(lambda *now: cond(*tf.nest.pack_sequence_as(start, now)), fixed, flat)
    return tf.nest.pack_sequence_as(start, done)
