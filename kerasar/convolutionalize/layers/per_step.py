"""A layer that was built for single vectors, applied to each time step.

After `Flatten`, a window model's layers see `(batch, features)`. `BatchNormalization` and a few
others then refuse, or misread, `(batch, time, features)`.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kerasar.layers.protocol import POINTWISE, Pointwise, declares_what_it_sees
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class PerStep(keras.layers.Layer):
    """Calls a layer on `(batch * time, …, features)`: every step by itself.

    Args:
        layer: the layer; it must leave the shape as it is but for the last axis.
        layer_shape: the input shape that it was built for, `(batch, …, features)`. Axes in between
            get size 1.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, time, features)`.

    Output shape:
        `(batch, time, features of the layer's output)`.
    """

    def __init__(
        self, layer: keras.layers.Layer, layer_shape: Sequence[int | None], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.layer = layer
        self.layer_shape = list(layer_shape)

    def build(self, input_shape: Shape) -> None:
        if not self.layer.built:
            self.layer.build(tuple(self.layer_shape))

    def call(self, inputs: Tensor) -> Tensor:
        steps = ops.shape(inputs)[1]
        single = [1] * (len(self.layer_shape) - 2)
        outputs = self.layer(ops.reshape(inputs, (-1, *single, inputs.shape[-1])))
        outputs = ops.cast(outputs, self.compute_dtype)
        return ops.reshape(outputs, (-1, steps, outputs.shape[-1]))

    def taps(self, position_rank: int) -> Pointwise:
        return POINTWISE

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        shape = self.layer.compute_output_shape((None, *self.layer_shape[1:-1], input_shape[-1]))
        return (*input_shape[:2], shape[-1])

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "layer": keras.saving.serialize_keras_object(self.layer),
            "layer_shape": self.layer_shape,
        }

    @classmethod
    def from_config(cls, config: Config) -> "PerStep":
        layer = keras.saving.deserialize_keras_object(config["layer"])
        return cls(**{**config, "layer": layer})
