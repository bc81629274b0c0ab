"""The lecture's network for images: from values and a mask to the next value, after LeNet."""

from collections.abc import Sequence

import keras

from kerasar.checks import check_count, check_sizes
from kerasar.density_models.masked_input import MaskedInputModel
from kerasar.layers import mask_and_values
from kerasar.models.parts.builder import builder
from kerasar.models.parts.masked_inputs import masked_input_model, masked_inputs


@builder
def MaskedInputLeNet(
    image_shape: tuple[int, int, int] = (28, 28, 1),
    levels: int = 256,
    *,
    order: str | Sequence[int] = "raster",
    filters: tuple[int, int] = (32, 64),
    kernel_sizes: tuple[int, int] = (3, 5),
    hidden_units: int = 512,
) -> MaskedInputModel:
    """The lecture's masked-input network for images, ready to compile and fit.

    Convolution 3 × 3 to 32 channels, max-pooling by 2, ReLU, convolution 5 × 5 to 64, ReLU, dense
    layer to 512, ReLU, dense layer to the logits. Of 28 × 28 pixels 9 × 9 are left when it
    flattens, 64 · 81 features. Scoring and sampling take 784 passes.

    Args:
        image_shape: `(height, width, channels)`; at least 12 × 12 for kernels of 3 and 5. Each
            channel of the data has its own mask and is predicted in turn.
        levels: int. The images hold integers in `[0, levels)`.
        order: "raster", "random" or a permutation; see `kerasar.MaskedInputModel`. With random
            orders another channel marks the position to predict.
        filters: channels of the two convolutions.
        kernel_sizes: sizes of their kernels; they do not pad.
        hidden_units: int. Units of the first dense layer.

    Returns:
        A `kerasar.MaskedInputModel`. Its network maps integers `x` and Booleans `known`,
        `(batch, height, width, channels)`, and for random orders integers `position`, `(batch,)`,
        to logits, `(batch, levels)`.

    Raises:
        ValueError: if nothing is left of so small an image, or `order` is not a permutation.

    References:
        Fleuret. Deep Learning course (EPFL / UNIGE), lecture 10.1, Auto-regression.
        https://fleuret.org/dlc/
    """
    check_sizes(
        image_shape=image_shape,
        filters=filters,
        kernel_sizes=kernel_sizes,
        hidden_units=hidden_units,
    )
    check_count(levels, "levels", least=2)
    for size in image_shape[:2]:
        left = (size - kernel_sizes[0] + 1) // 2 - kernel_sizes[1] + 1
        if left < 1:
            raise ValueError(
                f"Convolutions of kernels {kernel_sizes} and a pooling leave nothing of an image "
                f"of {image_shape[0]} × {image_shape[1]} pixels. It takes at least "
                f"{2 * kernel_sizes[1] + kernel_sizes[0] - 1} each way, or smaller kernel_sizes."
            )
    inputs = masked_inputs(image_shape, order)
    h = mask_and_values(**inputs, levels=levels)
    h = keras.layers.Conv2D(filters[0], kernel_sizes[0], data_format="channels_last", name="conv1")(
        h
    )
    h = keras.layers.MaxPooling2D(2, data_format="channels_last", name="pool")(h)
    h = keras.layers.ReLU(name="relu1")(h)
    h = keras.layers.Conv2D(
        filters[1], kernel_sizes[1], activation="relu", data_format="channels_last", name="conv2"
    )(h)
    return masked_input_model(inputs, h, hidden_units, levels, order, "masked_input_le_net")
