"""What the loops of the cached sampler share."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kerasar.sampling.draft import Options, bend
from kerasar.typing import Tensor


def pick(
    model: Any, parameters: Tensor, noise: Tensor, options: Options, given: Tensor, known: Tensor
) -> Tensor:
    """The event at one position: what is known, else a draw. All `(batch, *event)`."""
    parameters = bend(model.likelihood, parameters, options)
    drawn = model.likelihood.sample(parameters, noise)
    return tf.where(known, given, tf.cast(drawn, given.dtype))


def by_place(tensor: Tensor) -> Tensor:
    """Swaps batch and places, so that a place is one contiguous slice."""
    rank = tensor.shape.rank
    return tf.transpose(tensor, (1, 0, *range(2, rank)))


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
