"""Standard noise from uniform values, by the inverse CDF, and the argmax that draws with it."""

import tensorflow as tf

from kerasar.typing import Tensor


def logistic(uniforms: Tensor) -> Tensor:
    """Standard logistic values from uniform values in (0, 1)."""
    return tf.math.log(uniforms) - tf.math.log1p(-uniforms)


def logistic_log_density(z: Tensor) -> Tensor:
    """Log density of the standard logistic distribution: the log of the sigmoid's derivative."""
    return -(tf.nn.softplus(z) + tf.nn.softplus(-z))


def gumbel(uniforms: Tensor) -> Tensor:
    """Standard Gumbel values from uniform values in (0, 1)."""
    return -tf.math.log(-tf.math.log(uniforms))


def argmax(scores: Tensor) -> Tensor:
    """The index of the first of the largest scores on the last axis.

    XLA's own argmax takes six times as long on a CPU.
    """
    size = scores.shape[-1]
    largest = scores >= tf.reduce_max(scores, axis=-1, keepdims=True)
    return tf.reduce_min(tf.where(largest, tf.range(size), size - 1), axis=-1)
