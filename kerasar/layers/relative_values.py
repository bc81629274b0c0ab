"""The values of a series relative to the level and scale that were known before each step."""

from typing import Any

import keras
import tensorflow as tf

from kerasar.layers.level_and_scale import Frame
from kerasar.layers.lstm_scan import wide
from kerasar.layers.protocol import POINTWISE, Pointwise, declares_what_it_sees
from kerasar.typing import Shape, Tensor

#: Within a few of this many scales, relative values enter a network as they are.
USUAL = 10.0


class _Pointwise(keras.layers.Layer):
    """Base of layers that compute in float32 at least, step by step."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)

    def taps(self, position_rank: int) -> Pointwise:
        return POINTWISE

    def _wide(self, tensor: Tensor) -> Tensor:
        return tf.cast(tensor, wide(self.compute_dtype))


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class RelativeValues(_Pointwise):
    """Each value's distance from its level, in scales; and its mask.

    What enters a network must not run away with what the network draws, so distances are squashed
    smoothly: z / √(1 + (z/10)²), which is z for a few scales, and 10 at most.

    Args:
        **kwargs: `name` and `dtype`, as for `keras.layers.Layer`.

    Input shape:
        A list: values and masks `(batch, time, 2 * variables)` of `ObservedValues`, and the
        `(batch, time, 4 * variables)` of `LevelAndScale` for the same steps.

    Output shape:
        `(batch, time, 2 * variables)`: distances, 0 where missing, and masks.
    """

    def call(self, inputs: list[Tensor]) -> Tensor:
        values, frame = self._wide(inputs[0]), Frame.split(self._wide(inputs[1]))
        x, seen = tf.split(values, 2, axis=-1)
        z = squashed((x - frame.level) * tf.exp(-frame.log_scale))
        return tf.cast(tf.concat([seen * z, seen], -1), self.compute_dtype)

    def compute_output_spec(self, inputs: list[Tensor]) -> keras.KerasTensor:
        return keras.KerasTensor(inputs[0].shape, dtype=self.compute_dtype)

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        return tuple(input_shape[0])


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class FrameFeatures(_Pointwise):
    """What level and scale themselves say of the step that they are for.

    Args:
        **kwargs: `name` and `dtype`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, time, 4 * variables)`, of `LevelAndScale`.

    Output shape:
        `(batch, time, 3 * variables)`: the log of the scale, and the distances of the running mean
        and of the last value from the level, in scales and squashed as in `RelativeValues`.
    """

    def call(self, inputs: Tensor) -> Tensor:
        frame = Frame.split(self._wide(inputs))
        narrow = tf.exp(-frame.log_scale)
        others = [squashed((part - frame.level) * narrow) for part in (frame.mean, frame.last)]
        return tf.cast(tf.concat([frame.log_scale, *others], -1), self.compute_dtype)

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        channels = input_shape[-1]
        return (*input_shape[:-1], None if channels is None else 3 * channels // 4)


def squashed(z: Tensor) -> Tensor:
    """z, smoothly bounded."""
    return z * tf.math.rsqrt(1.0 + tf.square(z / USUAL))
