"""The lecture's network for sequences: from values and a mask to the next value, by convolutions.

Two convolutions with pooling and two dense layers see all known values, near and far; only the
mask determines which value comes next.
"""

from collections.abc import Sequence

import keras

from kerasar.checks import check_count, check_sizes
from kerasar.density_models.masked_input import MaskedInputModel
from kerasar.layers import mask_and_values
from kerasar.models.parts.builder import builder
from kerasar.models.parts.masked_inputs import masked_input_model, masked_inputs


@builder
def MaskedInputConvNet(
    length: int,
    levels: int,
    *,
    order: str | Sequence[int] = "raster",
    filters: tuple[int, int] = (32, 64),
    kernel_size: int = 5,
    hidden_units: int = 200,
) -> MaskedInputModel:
    """The lecture's masked-input network for sequences, ready to compile and fit.

    Convolution to 32 channels, ReLU, max-pooling by 2, convolution to 64, ReLU, max-pooling by 2,
    dense layer to 200, ReLU, dense layer to the logits. Of 32 steps 5 are left when it flattens,
    320 features.

    Args:
        length: int. Steps of a sequence, at least 16 for kernels of 5.
        levels: int. The sequences hold integers in `[0, levels)`.
        order: "raster", "random" or a permutation; see `kerasar.MaskedInputModel`. With random
            orders a third channel marks the position to predict.
        filters: channels of the two convolutions.
        kernel_size: int. Size of their kernels; they do not pad.
        hidden_units: int. Units of the first dense layer.

    Returns:
        A `kerasar.MaskedInputModel`. Its network maps integers `x` and Booleans `known`,
        `(batch, length)`, and for random orders integers `position`, `(batch,)`, to logits,
        `(batch, levels)`.

    Raises:
        ValueError: if nothing is left of so short a sequence, or `order` is not a permutation.

    References:
        Fleuret. Deep Learning course (EPFL / UNIGE), lecture 10.1, Auto-regression.
        https://fleuret.org/dlc/
    """
    check_sizes(length=length, filters=filters, kernel_size=kernel_size, hidden_units=hidden_units)
    check_count(levels, "levels", least=2)
    left = ((length - kernel_size + 1) // 2 - kernel_size + 1) // 2
    if left < 1:
        raise ValueError(
            f"Two convolutions of kernel {kernel_size} and two poolings leave nothing of a "
            f"sequence of length={length}. It takes {3 * kernel_size + 1} steps, or a smaller "
            "kernel_size."
        )
    inputs = masked_inputs((length,), order)
    h = mask_and_values(**inputs, levels=levels)
    h = keras.layers.Conv1D(
        filters[0], kernel_size, activation="relu", data_format="channels_last", name="conv1"
    )(h)
    h = keras.layers.MaxPooling1D(2, data_format="channels_last", name="pool1")(h)
    h = keras.layers.Conv1D(
        filters[1], kernel_size, activation="relu", data_format="channels_last", name="conv2"
    )(h)
    # The lecture has a second ReLU here, which changes nothing.
    h = keras.layers.MaxPooling1D(2, data_format="channels_last", name="pool2")(h)
    return masked_input_model(inputs, h, hidden_units, levels, order, "masked_input_conv_net")
