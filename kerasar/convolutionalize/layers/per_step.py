"""A layer or model of a window model, applied to each time step by itself.

After `Flatten`, a window model's layers see `(batch, features)`; `BatchNormalization` and a few
others refuse, or misread, `(batch, time, features)`. Operations that need a whole window see
`(batch, window, features)`.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kerasar.convolutionalize.layers.stream_layout import as_list
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
        width = 1
        for size in outputs.shape[1:]:
            width *= size
        return ops.reshape(outputs, (-1, steps, width))

    def taps(self, position_rank: int) -> Pointwise:
        return POINTWISE

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
