"""Known values and their mask as a tensor, the input of a network that predicts a further value.

Each value becomes two channels: the value if it is known (otherwise zero), and a mask that
distinguishes a known zero from an unknown value.
"""

import math

from keras import ops

from kerasar.layers.scale_levels import ScaleLevels
from kerasar.typing import Tensor


def mask_and_values(
    x: Tensor, known: Tensor, levels: int, position: Tensor | None = None
) -> Tensor:
    """Stacks known values, the mask and, for varying orders, the index to predict as channels.

    Args:
        x: integers in `[0, levels)`: `(batch, time)`, `(batch, time, features)` or
            `(batch, height, width, channels)`. Unknown values are ignored.
        known: Boolean, shape of `x`, True where the value is known.
        levels: int. Number of distinct values; they are scaled to [-1, 1].
        position: integers `(batch,)`: the index, in raster order, of the value to predict. Leave
            it out if the mask determines it, as in a fixed order.

    Returns:
        Floats `(batch, time, 2)` for sequences of single values, otherwise with twice the channels
        of `x`: first the scaled values, 0 where unknown, then the mask. With `position` one more
        such block, 1 at the index to predict.

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
        index = ops.one_hot(position, math.prod(sizes), dtype="float32")
        blocks.append(ops.reshape(index, (-1, *sizes)))
    if len(x.shape) == 2:
        return ops.stack(blocks, axis=-1)
    return ops.concatenate(blocks, axis=-1)
