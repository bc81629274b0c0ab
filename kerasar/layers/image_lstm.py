"""What the two LSTMs over images share: weights, checks and groups of colors."""

import numpy as np
import tensorflow as tf

from kerasar.layers.image_recurrence import ImageRecurrence
from kerasar.typing import Shape, Tensor


class ImageLSTM(ImageRecurrence):
    """Base of `RowLSTM` and `DiagonalBiLSTM`.

    The layer's input is the input-to-state part of the gates, computed by a masked convolution; its
    weights are the state-to-state kernel and the biases. A subclass sets `directions` and `reads`.

    Args:
        units: int. Channels of a state, and of the output.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.
    """

    #: Number of directions in which the image is scanned.
    directions = 1
    #: Offsets of the entries of the line before that an entry reads.
    reads: tuple[int, ...] = (0,)

    @property
    def splits(self) -> int:
        return 4 * self.directions

    def build(self, input_shape: Shape) -> None:
        wanted = self.splits * self.units
        if len(input_shape) != 4 or input_shape[-1] != wanted:
            raise ValueError(
                f"{type(self).__name__} takes the input-to-state part of its gates, (batch, "
                f"height, width, {wanted}): {self.splits} splits of units={self.units} "
                f"channels. But layer '{self.name}' got input shape {tuple(input_shape)}. Put "
                f"MaskedConv2D({wanted}, …, output_splits={self.splits}) before it."
            )
        self.kernel = self.add_weight(
            shape=(self.directions, len(self.reads), self.units, 4 * self.units),
            initializer="orthogonal",
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(self.directions, 4 * self.units), initializer=_remember, name="bias"
        )

    def matrices(self) -> tuple[Tensor, Tensor]:
        """The kernel `(directions, reads * units, 4 * units)` and the biases."""
        kernel, bias = (
            tf.cast(tf.convert_to_tensor(weight), self.compute_dtype)
            for weight in (self.kernel, self.bias)
        )
        shape = (self.directions, len(self.reads) * self.units, 4 * self.units)
        return tf.reshape(kernel, shape), bias


def _remember(shape: tuple[int, ...], dtype: object = None) -> Tensor:
    """Ones for the forget gates, so that a new LSTM remembers; zeros for all other biases."""
    units = shape[-1] // 4
    parts = [np.full((shape[0], units), value) for value in (0.0, 1.0, 0.0, 0.0)]
    return tf.constant(np.concatenate(parts, axis=-1), dtype)
