"""The columns of a window model, as a few streams seen at different shifts.

One rule covers strides, dilations, pooling, skips and padding. A column of a feature map is
*(stream, shift)*: "the value of this stream, `shift` steps before now". Two columns made by the
same layer from the same streams at the same relative shifts are one stream at two shifts, and are
computed once. Zeros from padding are values that are always zero, so only columns within reach of
a border are streams of their own.

Feature maps are kept element by element, each as (stream, shift, channel): reshaping, flattening,
cropping, joining, repeating and permuting then cost nothing.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kerasar.causality.graph import Node

#: In place of a stream: zero, from padding.
ZERO = -1

#: (stream, shift): a value of a stream, `shift` steps before now.
Read = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Call:
    """The operation is called on one column of each input."""

    identity_key: Any
    node: Node = dataclasses.field(compare=False)


@dataclasses.dataclass(frozen=True)
class Lookup:
    """The operation gives one channel of its input an axis of its own: an embedding."""

    identity_key: Any
    channel: int
    node: Node = dataclasses.field(compare=False)


@dataclasses.dataclass(frozen=True)
class WholeWindow:
    """The operation is called on all elements of its inputs, for each step anew."""

    identity_key: Any
    node: Node = dataclasses.field(compare=False)


@dataclasses.dataclass(frozen=True)
class WeightedSum:
    """A weighted sum of taps, for each tap from a row of the layer's kernel on; then its bias.

    `widths` holds the number of rows of each tap; `order` is as for `Layout`.
    """

    layer: Any
    rows: tuple[int, ...]
    widths: tuple[int, ...]
    order: tuple[int, ...] | None
    node: Node = dataclasses.field(compare=False)


@dataclasses.dataclass(frozen=True)
class Pool:
    """The "max", "min", "mean", "sum", "var" or "std" of taps, computed in a dtype policy."""

    pooling: str
    dtype: str
    node: Node = dataclasses.field(compare=False)


@dataclasses.dataclass(frozen=True)
class Join:
    """Channels (from, to) of each tap side by side; `dtype` for zeros alone."""

    pieces: tuple[tuple[int, int], ...]
    dtype: str | None = None


StreamOp = Call | Lookup | WholeWindow | WeightedSum | Pool | Join


@dataclasses.dataclass(frozen=True, eq=False)
class Stream:
    """What is computed once for each time step.

    Attributes:
        number: of the stream.
        op: how it is made; None for the data.
        reads: from which streams, at which shifts; the smallest shift is 0.
        width: number of channels.
        constant: whether it does not depend on the data (it comes from padding alone).
        cost: multiplications or operations for each step.
    """

    number: int
    op: StreamOp | None
    reads: tuple[Read, ...]
    width: int
    constant: bool = False
    cost: int = 0


class Streams:
    """All streams of a network, each once.

    Args:
        widths: number of channels of each input, which are the first streams.
        join_first: whether what a `Dense` reads from several streams is joined to one before.
    """

    def __init__(self, widths: Sequence[int], join_first: bool = False) -> None:
        self.join_first = join_first
        self.all = [Stream(number, None, (), width) for number, width in enumerate(widths)]
        self._known: dict[Any, int] = {}

    def add(self, op: StreamOp, reads: Iterable[Read], width: int, cost: int = 0) -> Read:
        """The stream made by an operation, and the shift at which these reads meet it."""
        reads = tuple(reads)
        moving = [shift for stream, shift in reads if not self.is_constant(stream)]
        base = min(moving, default=0)
        relative = tuple(
            (stream, 0 if self.is_constant(stream) else shift - base) for stream, shift in reads
        )
        number = self._known.get((op, relative))
        if number is None:
            number = len(self.all)
            self._known[op, relative] = number
            self.all.append(Stream(number, op, relative, width, not moving, cost))
        return number, base

    def is_constant(self, stream: int) -> bool:
        """Whether a stream is the same at all times."""
        return stream == ZERO or self.all[stream].constant

    def live(self, output: int) -> list[Stream]:
        """The streams that a stream needs, in an order in which they can be computed."""
        needed = {output, *(stream.number for stream in self.all if stream.op is None)}
        waiting = [output]
        while waiting:
            for stream, _ in self.all[waiting.pop()].reads:
                if stream not in needed and stream != ZERO:
                    needed.add(stream)
                    waiting.append(stream)
        return [stream for stream in self.all if stream.number in needed]

    # Between elements and columns. `entries` are `(…, channels, 3)`, columns `(…, 2)`.

    def columns(self, entries: np.ndarray) -> np.ndarray:
        """Each vector along the last axis as a stream at a shift; all zeros as (ZERO, 0)."""
        columns = entries[..., 0, :2].copy()
        whole = self.whole(entries) | (entries[..., 0] == ZERO).all(axis=-1)
        for index in map(tuple, np.argwhere(~whole)):
            columns[index] = self._join(entries[index])
        return columns

    def whole(self, entries: np.ndarray) -> np.ndarray:
        """Which vectors along the last axis are a stream, all its channels in order."""
        first = entries[..., :1, :2]
        whole = (entries[..., :2] == first).all(axis=(-1, -2))
        whole &= (entries[..., 2] == np.arange(entries.shape[-2])).all(axis=-1)
        return whole & (self.widths(entries[..., 0, 0]) == entries.shape[-2])

    def widths(self, streams: np.ndarray) -> np.ndarray:
        """The number of channels of each stream; 0 for ZERO."""
        return np.array([stream.width for stream in self.all] + [0])[streams]

    def _join(self, column: np.ndarray) -> Read:
        """A stream for a vector whose elements come from several streams or shifts."""
        stream, shift, channel = column.T
        same = (np.diff(stream) == 0) & (np.diff(shift) == 0)
        same &= (np.diff(channel) == 1) | (stream[1:] == ZERO)
        starts = np.flatnonzero(np.concatenate([[True], ~same]))
        stops = np.append(starts[1:], len(column))
        pieces, reads = [], []
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            begin = 0 if stream[start] == ZERO else int(channel[start])
            pieces.append((begin, begin + stop - start))
            reads.append((int(stream[start]), int(shift[start])))
        return self.add(Join(tuple(pieces)), reads, len(column))

    def filled(self, columns: Sequence[Read], width: int, dtype: str) -> list[Read]:
        """The same with streams of zeros in place of ZERO."""
        if all(stream != ZERO for stream, _ in columns):
            return list(columns)
        zeros = self.add(Join(((0, width),), dtype), [(ZERO, 0)], width)
        return [zeros if stream == ZERO else (stream, shift) for stream, shift in columns]

    def entries(self, columns: Sequence[Read] | np.ndarray, width: int) -> np.ndarray:
        """The elements of columns of that width, `(…, width, 3)`."""
        columns = np.asarray(columns, np.int64).reshape(*np.shape(columns)[:-1], 1, 2)
        entries = np.zeros((*columns.shape[:-2], width, 3), np.int64)
        entries[..., :2] = columns
        entries[..., 2] = np.arange(width)
        return entries
