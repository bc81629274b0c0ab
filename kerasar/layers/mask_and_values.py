"""A conditioning event as a tensor: which values are known, and what they are.

A network that is to predict one value from any others is given two channels for each value: the
value where it is known (zero elsewhere), and a mask that tells a known zero from an unknown value.
"""

import math

from keras import ops

from kerasar.layers.scale_levels import ScaleLevels
from kerasar.typing import Tensor


def mask_and_values(
    x: Tensor, known: Tensor, levels: int, position: Tensor | None = None
) -> Tensor:
    """Stacks known values, the mask and, where orders vary, the place asked for as channels.

    Args:
        x: integers in `[0, levels)`: `(batch, time)`, `(batch, time, features)` or
            `(batch, height, width, channels)`. Whatever stands at unknown places is ignored.
        known: Boolean, shape of `x`, True where the value is known.
        levels: int. Number of distinct values; they are scaled to [-1, 1].
        position: integers `(batch,)`: the place, in raster order, of the value to be predicted.
            Leave it out where the mask alone says it, as in a fixed order.

    Returns:
        Floats `(batch, time, 2)` for sequences of single values, else with twice the channels of
        `x`: first the scaled values, 0 where unknown, then the mask. With `position` one more
        such block, 1 at the place asked for.

    References:
        Fleuret. Deep Learning course (EPFL / UNIGE), lecture 10.1, Auto-regression.
        https://fleuret.org/dlc/

    Example:
        >>> import keras
        >>> x = keras.Input((32,), dtype="int32", name="x")
        >>> known = keras.Input((32,), dtype="bool", name="known")
        >>> mask_and_values(x, known, levels=64).shape
        (None, 32, 2)
    """
    mask = ops.cast(known, "float32")
    blocks = [ops.multiply(ScaleLevels(levels, name="scale")(x), mask), mask]
    if position is not None:
        sizes = tuple(x.shape[1:])
        place = ops.one_hot(position, math.prod(sizes), dtype="float32")
        blocks.append(ops.reshape(place, (-1, *sizes)))
    if len(x.shape) == 2:
        return ops.stack(blocks, axis=-1)
    return ops.concatenate(blocks, axis=-1)
