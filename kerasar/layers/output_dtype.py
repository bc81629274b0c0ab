"""How layers determine the dtype of their output: that of the input, or the compute dtype."""

from typing import Any

import keras

from kerasar.layers.protocol import POINTWISE, Pointwise
from kerasar.typing import Shape, Tensor


def same_dtype_spec(layer: keras.layers.Layer, inputs: Tensor) -> keras.KerasTensor:
    """The symbolic output of a layer that keeps integers integers; Keras would state floats.

    Floats arrive in the layer's compute dtype; all other types arrive as they are.
    """
    is_float = keras.backend.is_float_dtype(inputs.dtype)
    return keras.KerasTensor(
        layer.compute_output_shape(inputs.shape),
        dtype=layer.compute_dtype if is_float else inputs.dtype,
    )


class ElementwiseLayer(keras.layers.Layer):
    """Base of layers that map each element of the data by itself, to the compute dtype.

    `call` gets the data in their own dtype: rounded to the compute dtype before, they would lose
    digits (bfloat16 has no 257).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)

    def taps(self, position_rank: int) -> Pointwise:
        return POINTWISE

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape
