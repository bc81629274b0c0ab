"""Scaling of integers for a network: levels 0 … L-1 become evenly spaced in [-1, 1]."""

import keras
from keras import ops

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.layers.output_dtype import ElementwiseLayer
from kerasar.layers.protocol import declares_what_it_sees
from kerasar.typing import Config, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class ScaleLevels(ElementwiseLayer):
    """Scales integers in `[0, levels)` to [-1, 1], so that zero padding means mid-range.

    It belongs inside the network, before any shift or padding: an exported model then takes raw
    integers.

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

    #: Channels do not mix: the engine asks where colors are drawn in turn.
    keeps_channels = True

    @checks_arguments
    def __init__(self, levels: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.levels = check_count(levels, f"levels of layer '{self.name}'", least=2)

    def call(self, inputs: Tensor) -> Tensor:
        scaled = ops.cast(inputs, "float32") * (2.0 / (self.levels - 1)) - 1.0
        return ops.cast(scaled, self.compute_dtype)

    def get_config(self) -> Config:
        return {**super().get_config(), "levels": self.levels}
