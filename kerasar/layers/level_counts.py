"""How often each level was drawn: in the rows of an image down to here, and left of a pixel.

A cumulative sum of one-hot values over an image is too long for a convolution and too wide for a
learned state. It takes no weights.
"""

from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.layers.lstm_scan import wide
from kerasar.layers.protocol import Offset, declares_what_it_sees
from kerasar.typing import Config, Shape, Tensor


class _LevelCounts(keras.layers.Layer):
    """Base of counts: integers below `levels` in, a number for each level out."""

    @checks_arguments
    def __init__(self, levels: int, **kwargs: object) -> None:
        super().__init__(autocast=False, **kwargs)  # integers stay exact
        self.levels = check_count(levels, f"levels of layer '{self.name}'", least=2)

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 4 or input_shape[-1] != 1:
            raise ValueError(
                f"{type(self).__name__} counts the levels of gray images, (batch, height, width, "
                f"1), but layer '{self.name}' got input shape {tuple(input_shape)}."
            )
        super().build(input_shape)

    def _ones(self, x: Tensor) -> Tensor:
        """`(…, 1)` levels as `(…, levels)` ones and zeros."""
        return tf.one_hot(tf.cast(x[..., 0], tf.int32), self.levels, dtype=self._dtype)

    @property
    def _dtype(self) -> Any:
        return wide(self.compute_dtype)  # counts stay exact

    def _zeros(self, *sizes: Any) -> Tensor:
        return tf.zeros(tf.stack([*sizes, self.levels]), self._dtype)

    def compute_output_spec(self, x: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor((*x.shape[:-1], self.levels), dtype=self._dtype.name)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.levels)

    def get_config(self) -> Config:
        return {**super().get_config(), "levels": self.levels}


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class LevelCountsAbove(_LevelCounts):
    """How often each level occurs in an image's rows, from the first one to the pixel's own.

    All pixels of a row have the same counts. They see their whole row: put a
    `kerasar.layers.CausalShift(axis=1)` behind the layer (with `dtype="float32"`, so that large
    counts stay exact under a policy of lower precision). With `kerasar.layers.LevelCountsLeft`,
    these are the counts of all that was drawn before a pixel.

    Args:
        levels: int. Number of levels.
        **kwargs: `name` and `dtype`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, 1)`, integers in `[0, levels)`, or floats that hold them. Height
        and width may be open.

    Output shape:
        `(batch, height, width, levels)`, at least float32.

    Raises:
        ValueError: for less than 2 levels; when built, for another input shape.
    """

    def call(self, x: Tensor) -> Tensor:
        rows = tf.cumsum(tf.reduce_sum(self._ones(x), axis=2, keepdims=True), axis=1)
        return tf.broadcast_to(rows, tf.concat([tf.shape(x)[:-1], [self.levels]], axis=0))

    # Step by step (`kerasar.layers.protocol.RowRecurrence`).

    def sees(self, height: int, width: int) -> Iterable[Offset]:
        return ((-row, col) for row in range(height) for col in range(1 - width, width))

    def initial_rows(self, batch: Tensor, width: Tensor) -> tuple[Tensor, tuple[()]]:
        return self._zeros(batch, width), ()

    def row(
        self, above: Tensor, kept: Tensor, carry: tuple[()], y: Tensor
    ) -> tuple[Tensor, tuple[()]]:
        return kept, ()

    def initial(self, batch: Tensor) -> tuple[()]:
        return ()

    def step(
        self, x: Tensor, left: tuple[()], part: Tensor, position: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[()], Tensor]:
        counts = part + tf.reduce_sum(self._ones(x), axis=1, keepdims=True)
        return counts, (), counts


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class LevelCountsLeft(_LevelCounts):
    """How often each level occurs left of a pixel, in its row.

    A pixel does not see itself.

    Args:
        levels: int. Number of levels.
        **kwargs: `name` and `dtype`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, 1)`, as for `kerasar.layers.LevelCountsAbove`.

    Output shape:
        `(batch, height, width, levels)`, at least float32.

    Raises:
        ValueError: for less than 2 levels; when built, for another input shape.
    """

    #: An image's recurrence of `initial` and `step` runs along its rows.
    along_rows = True
    step_offset = -1

    def call(self, x: Tensor) -> Tensor:
        return tf.cumsum(self._ones(x), axis=2, exclusive=True)

    # Step by step (`kerasar.layers.protocol.Recurrence`).

    def initial(self, batch: Tensor) -> Tensor:
        return self._zeros(batch)

    def step(self, x: Tensor, carry: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        left = tf.where(position > 0, self._ones(x), tf.zeros((), self._dtype))
        return carry + left, carry + left
