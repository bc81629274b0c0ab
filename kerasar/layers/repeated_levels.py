"""Levels that repeat exactly: the logits of those that pixels nearby have, raised by a weight each.

A head computes the logits of all levels from a few dozen features, and these say well how bright a
pixel is, but not which of 256 levels its neighbors had. Where levels repeat exactly (anti-aliased
digits, drawings, palettes), that is much of what there is to know.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.layers.protocol import Offset, Taps, declares_what_it_sees
from kerasar.typing import Config, Shape, Tensor

#: What stands for a level outside of the image: none.
_OUTSIDE = -1


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class RepeatedLevels(keras.layers.Layer):
    """Adds a weight to the logit of the level of each pixel that is near and was drawn before.

    The weights are outputs of the network, so that it says where a level is repeated and from
    where, as a pointer network does (Vinyals et al. 2015); `neighbors` is their number.

    Args:
        reach: int. How many rows up and how many columns to either side are near.
        **kwargs: `name` and `dtype`, as for `keras.layers.Layer`.

    Input shape:
        A list: logits `(batch, height, width, levels)`, weights
        `(batch, height, width, neighbors)`, and the image `(batch, height, width, 1)` of integers
        in `[0, levels)`, or of floats that hold them. Pixels outside of the image have no weight.

    Output shape:
        That of the logits.

    Raises:
        ValueError: if `reach` is below 1, or (when built) for other inputs.

    References:
        Vinyals, Fortunato & Jaitly. Pointer Networks. NIPS 2015, equation 3.
        https://arxiv.org/abs/1506.03134. Merity, Xiong, Bradbury & Socher. Pointer Sentinel Mixture
        Models. ICLR 2017, section 2.2, mix probabilities of what was seen before with those of a
        vocabulary. https://arxiv.org/abs/1609.07843
    """

    @checks_arguments
    def __init__(self, reach: int = 2, **kwargs: object) -> None:
        super().__init__(autocast=False, **kwargs)  # integers stay exact
        self.reach = check_count(reach, f"reach of layer '{self.name}'")

    @property
    def offsets(self) -> tuple[Offset, ...]:
        """Where the neighbors are, (rows, columns) from the pixel, in raster order."""
        columns = range(-self.reach, self.reach + 1)
        above = [(row, column) for row in range(-self.reach, 0) for column in columns]
        return (*above, *((0, column) for column in range(-self.reach, 0)))

    @property
    def neighbors(self) -> int:
        """The number of pixels that are near and drawn before, 2 · reach · (reach + 1)."""
        return len(self.offsets)

    def build(self, input_shape: Sequence[Shape]) -> None:
        shapes = [tuple(shape) for shape in input_shape if isinstance(shape, (list, tuple))]
        # Each image (rows, columns, 1), and so many weights for each of its pixels.
        ends = [shape[-1] for shape in shapes if len(shape) == 4]
        if len(shapes) != 3 or ends[1:] != [self.neighbors, 1]:
            raise ValueError(
                f"RepeatedLevels takes logits, {self.neighbors} weights and the levels of gray "
                f"images, but layer '{self.name}' got input shapes {shapes or tuple(input_shape)}."
            )
        super().build(input_shape)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        logits, weights, image = inputs
        reach, (height, width) = self.reach, tf.unstack(tf.shape(image)[1:3])
        sides = [[0, 0], [reach, 0], [reach, reach], [0, 0]]
        padded = tf.pad(tf.cast(image, tf.int32), sides, constant_values=_OUTSIDE)
        levels = tf.concat(
            [
                padded[:, reach + row :, reach + column :][:, :height, :width]
                for row, column in self.offsets
            ],
            axis=-1,
        )
        weights = tf.where(levels == _OUTSIDE, tf.zeros_like(weights), weights)
        # The logits of each pixel are a row, and each neighbor adds to one of them.
        rows = tf.reshape(logits, [-1, logits.shape[-1]])
        columns = tf.reshape(tf.maximum(levels, 0), [-1])
        pixels = tf.repeat(tf.range(tf.shape(rows)[0]), self.neighbors)
        added = tf.reshape(tf.cast(weights, logits.dtype), [-1])
        raised = tf.tensor_scatter_nd_add(rows, tf.stack([pixels, columns], axis=-1), added)
        return tf.ensure_shape(tf.reshape(raised, tf.shape(logits)), logits.shape)

    def taps(self, position_rank: int) -> Taps:
        here = (0, 0)
        sources = (0, 1, *(2 for _ in self.offsets))
        return Taps((here, here, *self.offsets), pad=float(_OUTSIDE), sources=sources)

    def combine(self, values: Sequence[Tensor], position: tuple[Tensor, ...]) -> Tensor:
        logits, weights, *levels = values
        every = tf.range(logits.shape[-1])
        for number, level in enumerate(levels):
            same = tf.cast(tf.cast(level, tf.int32) == every, logits.dtype)
            logits = logits + tf.cast(weights[..., number : number + 1], logits.dtype) * same
        return logits

    def compute_output_spec(self, inputs: Sequence[Tensor]) -> keras.KerasTensor:
        return keras.KerasTensor(inputs[0].shape, dtype=inputs[0].dtype)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return tuple(input_shape[0])

    def get_config(self) -> Config:
        return {**super().get_config(), "reach": self.reach}
