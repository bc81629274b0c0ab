"""The last step of a head: one vector of parameters for each value, `(…, channels, parameters)`."""

import keras
from keras import ops

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.layers.output_dtype import same_dtype_spec
from kerasar.layers.protocol import POINTWISE, Pointwise, declares_what_it_sees
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class SplitChannels(keras.layers.Layer):
    """Splits the last axis into `(channels, rest)`, at any image size.

    Args:
        channels: int. Channels of the data; 1 for gray images.
        **kwargs: `name` and `dtype`, as for `keras.layers.Layer`.

    Input shape:
        `(…, channels * rest)`.

    Output shape:
        `(…, channels, rest)`.

    Raises:
        ValueError: if `channels` is below 1, or (when built) the last axis is not a multiple of
            it.
    """

    #: Channels do not mix: the engine asks where colors are drawn in turn.
    keeps_channels = True

    @checks_arguments
    def __init__(self, channels: int = 1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.channels = check_count(channels, f"channels of layer '{self.name}'")

    def build(self, input_shape: Shape) -> None:
        if input_shape[-1] is None or input_shape[-1] % self.channels:
            raise ValueError(
                f"SplitChannels divides the last axis among {self.channels} channels, but layer "
                f"'{self.name}' got input shape {input_shape}. Give the layer before it "
                f"{self.channels} × (parameters per value) units."
            )

    def call(self, inputs: Tensor) -> Tensor:
        shape = ops.shape(inputs)[:-1]
        return ops.reshape(inputs, (*shape, self.channels, inputs.shape[-1] // self.channels))

    def taps(self, position_rank: int) -> Pointwise:
        return POINTWISE

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return same_dtype_spec(self, inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        size = input_shape[-1]
        return (*input_shape[:-1], self.channels, None if size is None else size // self.channels)

    def get_config(self) -> Config:
        return {**super().get_config(), "channels": self.channels}
