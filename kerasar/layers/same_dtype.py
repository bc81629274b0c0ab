"""The symbolic output of layers that keep integers integers; Keras would state floats."""

import keras

from kerasar.typing import Tensor


def same_dtype_spec(layer: keras.layers.Layer, inputs: Tensor) -> keras.KerasTensor:
    """What a layer's `compute_output_spec` returns if its output has the dtype of its input.

    Floats arrive in the layer's compute dtype; all other types arrive as they are.
    """
    is_float = keras.backend.is_float_dtype(inputs.dtype)
    return keras.KerasTensor(
        layer.compute_output_shape(inputs.shape),
        dtype=layer.compute_dtype if is_float else inputs.dtype,
    )
