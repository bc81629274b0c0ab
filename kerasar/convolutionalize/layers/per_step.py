"""A layer or model of a window model, applied to each time step by itself.

After `Flatten`, a window model's layers see `(batch, features)`; `BatchNormalization` and a few
others refuse, or misread, `(batch, time, features)`. Operations that need a whole window see
`(batch, window, features)`.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kerasar.convolutionalize.layers.stream_layout import as_list, shapes_of
from kerasar.layers.protocol import POINTWISE, Pointwise, declares_what_it_sees
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class PerStep(keras.layers.Layer):
    """Calls a layer on `(batch * time, *shape)`: every step by itself.

    Args:
        layer: the layer or model.
        shapes: for each input the shape that the layer is called on, without the batch. Its
            elements are the features of a step.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, time, features)`, one such or a list of them.

    Output shape:
        `(batch, time, elements of the layer's output)`.
    """

    def __init__(
        self, layer: keras.layers.Layer, shapes: Sequence[Sequence[int]], **kwargs: Any
    ) -> None:
        # The layer casts its inputs itself, to its own precision.
        super().__init__(**{"autocast": False, **kwargs})
        self.layer = layer
        self.shapes = [list(shape) for shape in shapes]

    def build(self, input_shape: Shape) -> None:
        if not self.layer.built:
            self.layer.build((None, *self.shapes[0]))

    def call(self, inputs: Tensor) -> Tensor:
        inputs = as_list(inputs)
        steps = ops.shape(inputs[0])[1]
        given = [ops.reshape(x, (-1, *shape)) for x, shape in zip(inputs, self.shapes, strict=True)]
        outputs = self.layer(given if len(given) > 1 else given[0])
        if keras.backend.is_float_dtype(outputs.dtype):
            outputs = ops.cast(outputs, self.compute_dtype)
        return ops.reshape(outputs, (-1, steps, math.prod(outputs.shape[1:])))

    def taps(self, position_rank: int) -> Pointwise:
        return POINTWISE

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        # By running it: only that says the dtype of any layer.
        return keras.Operation.compute_output_spec(self, inputs)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        given = [(None, *shape) for shape in self.shapes]
        made = self.layer.compute_output_shape(given if len(given) > 1 else given[0])
        return (*shapes_of(input_shape)[0][:2], math.prod(made[1:]))

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "layer": keras.saving.serialize_keras_object(self.layer),
            "shapes": self.shapes,
        }

    @classmethod
    def from_config(cls, config: Config) -> "PerStep":
        layer = keras.saving.deserialize_keras_object(config["layer"])
        return cls(**{**config, "layer": layer})
