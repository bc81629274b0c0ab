"""Positions as Boolean channels: the binary digits of the row and of the column of each pixel.

A convolution treats all positions alike; these channels give it the position (Fleuret, lecture
10.2). They are added to the image *before* the causal shift.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from kerasar.layers.output_dtype import same_dtype_spec
from kerasar.layers.protocol import Taps, declares_what_it_sees
from kerasar.typing import Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class PositionalEncoding2D(keras.layers.Layer):
    """Appends the bits of the row and of the column, as zeros and ones, to the channels.

    A size n takes ceil(log2(n)) bits, lowest first: 5 + 5 channels for an image of 28×28.

    Input shape:
        `(batch, height, width, channels)`, height and width known.

    Output shape:
        `(batch, height, width, channels + row bits + column bits)`.

    Raises:
        ValueError: when built, if the input is not an image, or height or width is open.
    """

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 4:
            raise ValueError(
                "PositionalEncoding2D encodes the positions of pixels, (batch, height, width, "
                f"channels), but layer '{self.name}' got input shape {input_shape}."
            )
        _, height, width, _ = input_shape
        if height is None or width is None:
            raise ValueError(
                "PositionalEncoding2D encodes rows and columns, so both sizes must be known, "
                f"but layer '{self.name}' got input shape {input_shape}. Give the image's size, or "
                "leave the positional encoding out."
            )
        self.bits = position_bits(height, width)

    def call(self, inputs: Tensor) -> Tensor:
        bits = ops.cast(self.bits, inputs.dtype)
        bits = ops.broadcast_to(bits, (ops.shape(inputs)[0], *self.bits.shape))
        return ops.concatenate([inputs, bits], axis=-1)

    def taps(self, position_rank: int) -> Taps:
        return Taps(((0, 0),))

    def combine(self, values: Sequence[Tensor], position: tuple[Tensor, ...]) -> Tensor:
        rows, columns = position
        bits = ops.cast(
            ops.take(ops.take(self.bits, rows, axis=0), columns, axis=-2), values[0].dtype
        )
        bits = ops.broadcast_to(bits, (*ops.shape(values[0])[:-1], self.bits.shape[-1]))
        return ops.concatenate([values[0], bits], axis=-1)

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return same_dtype_spec(self, inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        channels = input_shape[-1]
        extra = _bit_count(input_shape[1]) + _bit_count(input_shape[2])
        return (*input_shape[:-1], None if channels is None else channels + extra)


def position_bits(height: int, width: int) -> np.ndarray:
    """The bits of the row, then of the column, `(height, width, bits)`, zeros and ones.

    >>> position_bits(2, 4)[1, 2].tolist()  # row 1 is '1', column 2 is '10', lowest bit first
    [1.0, 0.0, 1.0]
    """
    rows, columns = np.indices((height, width))
    planes = [(rows >> bit) & 1 for bit in range(_bit_count(height))]
    planes += [(columns >> bit) & 1 for bit in range(_bit_count(width))]
    if not planes:
        return np.zeros((height, width, 0), "float32")
    return np.stack(planes, axis=-1).astype("float32")


def _bit_count(size: int | None) -> int:
    return 0 if size is None else (size - 1).bit_length()
