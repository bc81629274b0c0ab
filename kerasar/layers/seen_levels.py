"""Levels that were drawn before: their logits, raised by how often they were."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.layers.protocol import POINTWISE, Pointwise, declares_what_it_sees
from kerasar.typing import Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class SeenLevels(keras.layers.Layer):
    """Adds weights to the logits of levels that occurred before: the more, the more often.

    With the weights u and v of a pixel, and the count n of a level: logit + u · [n > 0] +
    v · log(1 + n). A palette of few levels is learned as it is drawn.

    Args:
        **kwargs: `name` and `dtype`, as for `keras.layers.Layer`.

    Input shape:
        A list: logits `(batch, height, width, levels)`, weights `(batch, height, width, 2)`, and
        counts of the logits' shape, such as those of `kerasar.layers.LevelCountsAbove`, shifted
        down, and `kerasar.layers.LevelCountsLeft` together.

    Output shape:
        That of the logits.

    Raises:
        ValueError: when built, for other inputs.

    References:
        Grave, Joulin & Usunier. Improving Neural Language Models with a Continuous Cache. ICLR
        2017, section 3, raises the probability of words that occurred before.
        https://arxiv.org/abs/1612.04426
    """

    @checks_arguments
    def __init__(self, **kwargs: object) -> None:
        super().__init__(autocast=False, **kwargs)

    def build(self, input_shape: Sequence[Shape]) -> None:
        shapes = [tuple(shape) for shape in input_shape if isinstance(shape, (list, tuple))]
        if len(shapes) != 3 or shapes[0] != shapes[2] or shapes[1] != (*shapes[0][:-1], 2):
            raise ValueError(
                f"SeenLevels takes logits, 2 weights for each pixel, and counts of the logits' "
                f"shape, but layer '{self.name}' got input shapes {shapes or tuple(input_shape)}."
            )
        super().build(input_shape)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        logits, weights, counts = inputs
        seen, often = (
            tf.cast(counts > 0, logits.dtype),
            tf.cast(tf.math.log1p(counts), logits.dtype),
        )
        weights = tf.cast(weights, logits.dtype)
        return logits + weights[..., :1] * seen + weights[..., 1:] * often

    def taps(self, position_rank: int) -> Pointwise:
        return POINTWISE

    def compute_output_spec(self, inputs: Sequence[Tensor]) -> keras.KerasTensor:
        return keras.KerasTensor(inputs[0].shape, dtype=inputs[0].dtype)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return tuple(input_shape[0])
