"""Mean and variance of each channel of a batch, for the normalising bijections."""

import tensorflow as tf
from keras import ops

from kerasar.typing import Tensor


def batch_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance over all axes but the last, each `(channels,)`."""
    return tf.nn.moments(x, axes=list(range(len(x.shape) - 1)))


def positions(x: Tensor, dtype: str) -> Tensor:
    """How many numbers of each channel an event holds: its pixels; 1 for vectors."""
    return ops.cast(ops.prod(ops.shape(x)[1:-1]), dtype)
