"""Levels as inputs of a network: a scaled value, concatenated to learned features of each level.

The scaled value represents the order of the levels; the learned features distinguish each level
from all others. Images whose levels repeat exactly (anti-aliased digits, palettes, drawings) need
both.
"""

import keras
import numpy as np
from keras import ops

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.layers.protocol import Taps, declares_what_it_sees
from kerasar.layers.scale_levels import ScaleLevels
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class EmbedLevels(keras.layers.Layer):
    """Turns each channel into its value in [-1, 1] and learned features of its level.

    The features of different channels remain separate and in the channels' order, so that networks
    can draw the colors of a pixel in turn; the channels share one table.

    Args:
        levels: int, at least 2. Number of distinct values.
        features: int, at least 1. Number of learned features of each level.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, …, channels)`; integers in `[0, levels)`, or floats that hold them.

    Output shape:
        `(batch, …, channels * (1 + features))`: the features of the first channel, then those of
        the second …

    Raises:
        ValueError: if `levels` is below 2 or `features` below 1, or (when built) if the number of
            channels is open.
    """

    @checks_arguments
    def __init__(self, levels: int, features: int, **kwargs: object) -> None:
        super().__init__(autocast=False, **kwargs)  # see ElementwiseLayer
        self.levels = levels
        self.features = check_count(features, f"features of layer '{self.name}'")
        self.scale = ScaleLevels(levels, dtype=self.dtype_policy)

    def build(self, input_shape: Shape) -> None:
        if input_shape[-1] is None:
            raise ValueError(
                f"EmbedLevels needs a known number of channels, but layer '{self.name}' got input "
                f"shape {input_shape}."
            )
        self.channels = input_shape[-1]
        self.table = self.add_weight(
            shape=(self.levels, self.features), initializer="uniform", name="table"
        )

    def call(self, inputs: Tensor) -> Tensor:
        scaled = ops.expand_dims(self.scale(inputs), -1)
        learned = ops.take(self.table, ops.cast(inputs, "int32"), axis=0)
        both = ops.concatenate([scaled, ops.cast(learned, self.compute_dtype)], axis=-1)
        width = inputs.shape[-1] * (1 + self.features)
        return ops.reshape(both, (*ops.shape(inputs)[:-1], width))

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)

    def taps(self, position_rank: int) -> Taps:
        channels = np.eye(self.channels, dtype=np.bool_)
        return Taps(
            ((0,) * position_rank,),
            combine=lambda values, position: self(values[0]),
            connects=np.repeat(channels, 1 + self.features, axis=1)[None],
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        channels = input_shape[-1]
        return (*input_shape[:-1], None if channels is None else channels * (1 + self.features))

    def get_config(self) -> Config:
        return {**super().get_config(), "levels": self.levels, "features": self.features}
