"""From integers to numbers a network likes: levels 0 … L-1 become evenly spaced in [-1, 1]."""

import keras
from keras import ops

from kerasar.checks import check_count
from kerasar.layers.protocol import POINTWISE, Pointwise
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class ScaleLevels(keras.layers.Layer):
    """Scales integers in `[0, levels)` to [-1, 1], so that zero padding means mid-range.

    It belongs inside the network, before anything is shifted or padded: an exported model then
    takes raw integers and needs no side code.

    Args:
        levels: int, at least 2. Number of distinct values.
        **kwargs: `name` and `dtype`, as for `keras.layers.Layer`.

    Input shape:
        Any; integers, or floats that hold them.

    Output shape:
        The input shape, in the layer's compute dtype.

    Raises:
        ValueError: if `levels` is below 2.
    """

    def __init__(self, levels: int, **kwargs: object) -> None:
        # Else floats are rounded to the compute dtype before `call`: bfloat16 has no 257.
        super().__init__(autocast=False, **kwargs)
        self.levels = check_count(levels, f"levels of layer '{self.name}'", least=2)

    def call(self, inputs: Tensor) -> Tensor:
        scaled = ops.cast(inputs, "float32") * (2.0 / (self.levels - 1)) - 1.0
        return ops.cast(scaled, self.compute_dtype)

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def taps(self, position_rank: int) -> Pointwise:
        return POINTWISE

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> Config:
        return {**super().get_config(), "levels": self.levels}
