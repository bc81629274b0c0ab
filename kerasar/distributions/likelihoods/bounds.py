"""A smooth interval for log scales: mixtures break down at a scale of 0 or infinity.

The bound is the identity well inside the interval and saturates within a few units of its ends, so
gradients are continuous and lead back inside. (PixelCNN++ clips, which has no gradient outside.)
"""

import tensorflow as tf

from kerasar.typing import Tensor

#: Least distance of `unbounded` from the ends.
_NEAR = 1e-3


def bounded(raw: Tensor, low: float, high: float) -> Tensor:
    """Maps real numbers smoothly and monotonically to (low, high), up to rounding at low."""
    above = low + tf.math.softplus(raw - low)
    return high - tf.math.softplus(high - above)


def unbounded(value: Tensor, low: float, high: float) -> Tensor:
    """The inverse of `bounded`; values outside of the interval are first clipped to its inside."""
    value = tf.clip_by_value(value, low + _NEAR, high - _NEAR)
    above = high - _inverse_softplus(high - value)
    return low + _inverse_softplus(above - low)


def _inverse_softplus(value: Tensor) -> Tensor:
    return value + tf.math.log(-tf.math.expm1(-value))
