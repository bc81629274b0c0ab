"""A smooth corridor for log scales: a scale of 0 or infinity is where mixtures break down.

The bound is the identity well inside the corridor and bends within a few units of its walls, so
gradients never jump, and a network that has strayed is led back. (PixelCNN++ clips, which lets go
of what is outside.)
"""

import tensorflow as tf

from kerasar.typing import Tensor

#: How close to a wall `unbounded` goes.
_NEAR = 1e-3


def bounded(raw: Tensor, low: float, high: float) -> Tensor:
    """Any numbers to between low and high, smoothly and in order; low may be missed by a hair."""
    above = low + tf.math.softplus(raw - low)
    return high - tf.math.softplus(high - above)


def unbounded(value: Tensor, low: float, high: float) -> Tensor:
    """The inverse of `bounded`; what lies outside comes from just inside."""
    value = tf.clip_by_value(value, low + _NEAR, high - _NEAR)
    above = high - _inverse_softplus(high - value)
    return low + _inverse_softplus(above - low)


def _inverse_softplus(value: Tensor) -> Tensor:
    return value + tf.math.log(-tf.math.expm1(-value))
