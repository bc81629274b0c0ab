"""Operations over all pixels in a row, one image row after the other, as operations on images.

A causal convolution or a shift over such a row reads, at a lag, the pixel to the left, or near the
left edge one at the right end of a row above. A recurrence goes on from row to row.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasar.keras_internals import automatic_names_kept, takes_training
from kerasar.layers.protocol import (
    POINTWISE,
    Declaration,
    Offset,
    Pointwise,
    Recurrence,
    Taps,
    declares_what_it_sees,
)
from kerasar.typing import Tensor


class _OverPixels(keras.layers.Layer):
    """An operation on `(batch, height · width, …)`, called with `(batch, height, width, …)`.

    Args:
        operation: to be called.
        declared: what it sees of a sequence.
        width: of the images.
    """

    def __init__(self, operation: Any, declared: Any, width: int) -> None:
        # What is declared of the operation casts already.
        super().__init__(autocast=False, name=operation.name)
        self.operation, self.declared, self.width = operation, declared, width
        self.keeps_channels = getattr(operation, "keeps_channels", False)

    def call(self, x: Tensor, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        if takes_training(self.operation):
            kwargs["training"] = training
        sizes = tf.shape(x)
        in_a_row = tf.concat([sizes[:1], [self._pixels(sizes)], sizes[3:]], axis=0)
        made, *states = keras.tree.flatten(self.operation(tf.reshape(x, in_a_row), *args, **kwargs))
        made = tf.reshape(made, tf.concat([sizes[:3], tf.shape(made)[2:]], axis=0))
        return [made, *states] if states else made

    def _pixels(self, sizes: Tensor) -> Tensor:
        return sizes[1] * self.width  # fails for others: their lags are not what is declared


@declares_what_it_sees
class PointOverPixels(_OverPixels):
    """What treats each pixel alone."""

    def _pixels(self, sizes: Tensor) -> Tensor:
        return sizes[1] * sizes[2]

    def taps(self, position_rank: int) -> Pointwise:
        return POINTWISE


@declares_what_it_sees
class WindowOverPixels(_OverPixels):
    """What reads a row of pixels at fixed lags."""

    def taps(self, position_rank: int) -> Taps:
        pixels = [self._offsets(lag) for (lag,) in self.declared.offsets]
        offsets = tuple(offset for found in pixels for offset in found)
        links = self.declared.connects
        if links is not None:
            links = [link for link, found in zip(links, pixels, strict=True) for _ in found]
        return Taps(offsets, self.declared.pad, combine=self._combine, connects=links)

    def _offsets(self, lag: int) -> list[Offset]:
        """Where the pixel at a lag lies: in the same row for all columns, or in two, by column."""
        rows, columns = divmod(lag, self.width)
        return [(rows, columns), (rows + 1, columns - self.width)] if columns else [(rows, 0)]

    def _combine(self, values: Sequence[Tensor], position: tuple[Tensor, ...]) -> Tensor:
        rest, read = list(values), []
        for (lag,) in self.declared.offsets:
            here = rest.pop(0)
            columns = lag % self.width
            if columns:
                ends = [1] * (len(here.shape) - 3)
                column = tf.reshape(tf.cast(position[-1], tf.int32), [-1, *ends])
                here = tf.where(column < self.width - columns, here, rest.pop(0))
            read.append(here)
        if self.declared.combine is not None:  # of sequences; here of a row, or of a pixel
            step = position[0] * self.width + position[-1]
            return self.declared.combine([value[:, 0] for value in read], (step,))[:, None]
        terms = [
            tf.matmul(value, matrix)
            for value, matrix in zip(read, self.declared.matrices(), strict=True)
        ]
        return self.declared.finish(tf.add_n(terms))


@declares_what_it_sees
class RecurrenceOverPixels(_OverPixels):
    """A state that goes along all pixels: at the left edge it comes from the row above's end."""

    def sees(self, height: int, width: int) -> Iterable[Offset]:
        above = ((-row, column) for row in range(1, height) for column in range(1 - width, width))
        return (*above, *((0, -column) for column in range(width)))

    def initial_rows(self, batch: Tensor, width: Tensor) -> tuple[Any, tuple[()]]:
        return self._along(self.declared.initial(batch), width), ()

    def row(self, above: Tensor, kept: Any, carry: tuple[()], y: Tensor) -> tuple[Any, tuple[()]]:
        return tf.nest.map_structure(lambda s: self._repeated(s[:, -1:], tf.shape(s)[1]), kept), ()

    def initial(self, batch: Tensor) -> Any:
        return self.declared.initial(batch)

    def step(
        self, x: Tensor, left: Any, part: Any, position: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Any, Any]:
        row, column = position
        before = tf.nest.map_structure(lambda a, b: tf.where(column == 0, a, b), part, left)
        y, after = self.declared.step(x, before, row * self.width + column)
        return y, after, after

    def _along(self, states: Any, width: Tensor) -> Any:
        return tf.nest.map_structure(lambda s: self._repeated(s[:, None], width), states)

    @staticmethod
    def _repeated(state: Tensor, width: Tensor) -> Tensor:
        """`(batch, 1, …)` to `(batch, width, …)`."""
        return tf.repeat(state, width, axis=1)


def over_pixels(operation: Any, declared: Declaration | None, width: int) -> _OverPixels | None:
    """An operation over a row of pixels as one on images; None if there is none.

    Args:
        operation: a layer, or one of `keras.ops`, of one input and one output.
        declared: what it sees of a sequence.
        width: of the images.
    """
    kind: type[_OverPixels] | None = None
    changes = isinstance(declared, Taps) and any(declared.length_change or ())
    if isinstance(declared, Taps) and declared.sources is None and not changes:
        kind = WindowOverPixels
    elif isinstance(declared, Pointwise) and not declared.whole:
        kind = PointOverPixels
    elif isinstance(declared, Recurrence) and not declared.offset and not declared.given:
        kind = RecurrenceOverPixels
    if kind is None or declared is None:
        return None
    with automatic_names_kept():
        return kind(operation, declared, width)
