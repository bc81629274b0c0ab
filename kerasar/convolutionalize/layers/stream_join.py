"""Channels of several streams, or of several steps of one, side by side.

Where a window model joins or rearranges columns and then uses them as one, its columns consist of
pieces of streams.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from kerasar.convolutionalize.layers.stream_layout import Layout, TapRange, as_list, shapes_of
from kerasar.layers.output_dtype import same_dtype_spec
from kerasar.layers.protocol import Taps, declares_what_it_sees
from kerasar.typing import Config, Shape, Tensor

#: In place of an input: zeros.
ZEROS = -1


class ChannelSlice(NamedTuple):
    """Channels `start` to `stop` of an input, `offset` steps from the output; or zeros."""

    input: int
    offset: int
    start: int
    stop: int


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class StreamJoin(keras.layers.Layer):
    """Pieces of streams side by side.

    Args:
        pieces: the `ChannelSlice`s, or lists of their four integers; the input -1 means zeros.
        shrinks: by how many steps the output is shorter than each of the inputs.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, time, channels)`, one such or a list of them.

    Output shape:
        `(batch, time - shrink, all pieces' channels)`, of the first input's dtype.
    """

    def __init__(self, pieces: Sequence[Any], shrinks: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pieces = [ChannelSlice(*piece) for piece in pieces]
        self.shrinks = list(shrinks)
        read = [TapRange(piece.input, piece.offset, 1, 1) for piece in self._read()]
        #: All zeros: then the first input only gives their length.
        self._layout = Layout(tuple(shrinks), tuple(read) or (TapRange(0, 0, 1, 1),))

    def _read(self) -> list[ChannelSlice]:
        return [piece for piece in self.pieces if piece.input != ZEROS]

    def build(self, input_shape: Any) -> None:
        pass

    def call(self, inputs: Tensor) -> Tensor:
        inputs = as_list(inputs)
        runs = self._layout.runs
        read = {run: self._layout.read(inputs, run) for run in dict.fromkeys(runs)}
        return self.combine([read[run] for run in runs], ())

    def taps(self, position_rank: int) -> Taps:
        return Taps(
            self._layout.offsets, length_change=(-self.shrinks[0],), sources=self._layout.sources
        )

    def combine(self, values: Sequence[Tensor], position: tuple[Tensor, ...]) -> Tensor:
        zeros = functools.cache(lambda: ops.zeros_like(values[0][..., :1]))
        remaining = iter(values)
        parts = []
        for piece in self.pieces:
            if piece.input == ZEROS:
                parts.append(ops.tile(zeros(), (1, 1, piece.stop - piece.start)))
            else:
                parts.append(_channels(next(remaining), piece.start, piece.stop))
        return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        first = as_list(inputs)[0]
        spec = same_dtype_spec(self, first)
        return spec

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shapes = shapes_of(input_shape)
        width = sum(piece.stop - piece.start for piece in self.pieces)
        return shapes[0][0], self._layout.length(shapes), width

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "pieces": [list(piece) for piece in self.pieces],
            "shrinks": self.shrinks,
        }


def _channels(value: Tensor, start: int, stop: int) -> Tensor:
    whole = start == 0 and value.shape[-1] == stop
    return value if whole else value[..., start:stop]
