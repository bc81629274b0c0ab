"""What the loops of the cached sampler share."""

from typing import Any

import tensorflow as tf

from kerasar.sampling.draft import Options, apply_options
from kerasar.stepwise.rings import while_loop as while_loop
from kerasar.typing import Tensor


def pick(
    model: Any, parameters: Tensor, noise: Tensor, options: Options, given: Tensor, known: Tensor
) -> Tensor:
    """The event at one position: what is known, else a draw. All `(batch, *event)`."""
    parameters = apply_options(model.likelihood, parameters, options)
    drawn = model.likelihood.sample(parameters, noise)
    return tf.where(known, given, tf.cast(drawn, given.dtype))


def by_place(tensor: Tensor) -> Tensor:
    """Swaps batch and places, so that a place is one contiguous slice."""
    rank = tensor.shape.rank
    return tf.transpose(tensor, (1, 0, *range(2, rank)))
