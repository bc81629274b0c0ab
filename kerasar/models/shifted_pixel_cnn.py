"""The lecture's PixelCNN: two stacks of ordinary convolutions on shifted images.

One stack sees the rows above, the other the pixels to the left in the same row; together they see
all pixels before the present one within their reach, and there is no blind spot.
"""

import keras

from kerasar.checks import check_count, check_sizes
from kerasar.density_models.autoregressive import AutoregressiveModel
from kerasar.layers import (
    CausalShift,
    HorizontalConv2D,
    PositionalEncoding2D,
    ScaleLevels,
    SplitChannels,
    VerticalConv2D,
)
from kerasar.models.parts.builder import builder


@builder
def ShiftedPixelCNN(
    image_shape: tuple[int | None, int | None, int],
    levels: int = 256,
    *,
    kernel_size: tuple[int, int] = (3, 5),
    filters: tuple[int, ...] = (32, 64),
    head_filters: int = 128,
    positional_encoding: bool = True,
) -> AutoregressiveModel:
    """The lecture's two-stack PixelCNN by shifting, ready to compile and fit.

    Args:
        image_shape: `(height, width, 1)`. Height and width may be None without positional
            encoding.
        levels: int. Number of gray levels; the images hold integers in `[0, levels)`.
        kernel_size: `(rows, columns)` of the vertical convolutions; columns must be odd. The
            horizontal ones have the left half and the center, `(1, (columns + 1) / 2)`.
        filters: channels of each convolution of a stack; its length is the depth.
        head_filters: int. Channels of the first 1×1 layer after the stacks are concatenated.
        positional_encoding: bool. Whether the bits of row and column are added as channels.

    Returns:
        An `AutoregressiveModel` of images with a categorical likelihood. Its network outputs
        logits, `(batch, height, width, 1, levels)`.

    Raises:
        ValueError: for color images, or an open size with positional encoding.

    References:
        Fleuret. Deep Learning course (EPFL / UNIGE), lecture 10.2, Causal convolutions.
        https://fleuret.org/dlc/
        Van den Oord et al. Conditional Image Generation with PixelCNN Decoders. 2016.
        https://arxiv.org/abs/1606.05328
    """
    if image_shape[-1] != 1:
        raise ValueError(
            f"ShiftedPixelCNN is for gray images, (height, width, 1), but got image_shape="
            f"{tuple(image_shape)}: it has no order among color channels. Take PixelCNN or "
            "GatedPixelCNN, which draw the channels in turn, or convert the images to gray."
        )
    check_sizes(
        image_shape=[size for size in image_shape if size is not None],
        kernel_size=kernel_size,
        filters=filters,
        head_filters=head_filters,
    )
    check_count(levels, "levels", least=2)
    x = keras.Input(image_shape, dtype="int32", name="x")
    h = ScaleLevels(levels, name="scale")(x)
    if positional_encoding:
        h = PositionalEncoding2D(name="position")(h)

    above = CausalShift(axis=1, name="shift_down")(h)  # knows only rows above
    for i, width in enumerate(filters, 1):
        conv = VerticalConv2D(width, kernel_size, activation="relu", name=f"conv{i}h")
        above = conv(above)

    left = CausalShift(axis=2, name="shift_right")(h)  # knows only pixels to the left
    for i, width in enumerate(filters, 1):
        taps = (kernel_size[1] + 1) // 2
        conv = HorizontalConv2D(width, taps, activation="relu", name=f"conv{i}v")
        left = conv(left)

    h = keras.layers.Concatenate(name="join")([above, left])
    h = keras.layers.Dense(head_filters, activation="relu", name="final1")(h)
    h = keras.layers.Dense(levels, name="final2")(h)
    network = keras.Model(x, SplitChannels(name="logits")(h), name="shifted_pixel_cnn")
    return AutoregressiveModel(network, name="shifted_pixel_cnn")
