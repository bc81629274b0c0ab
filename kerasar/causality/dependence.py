"""What a tensor sees of the data, and what an operation makes of it."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from kerasar.causality.graph import Edge, Node
from kerasar.causality.node import JOINING
from kerasar.causality.offsets import Bounds, Offsets
from kerasar.causality.rules.activations import is_elementwise
from kerasar.causality.rules.pointwise import ELEMENTWISE_CLASSES
from kerasar.keras_internals import operation_classes
from kerasar.layers.protocol import Declaration, Offset, Recurrence, RowRecurrence, Taps, declares
from kerasar.typing import Shape

L = keras.layers
_CONNECTING = (Taps, Recurrence, RowRecurrence)
#: What an open size of an image is taken to be by recurrences over images.
_OPEN = 64


@dataclasses.dataclass(frozen=True)
class Dependence:
    """What a tensor sees of the data."""

    offsets: Offsets
    channels: Any = None
    """Boolean `(data channels, own channels)`: what is seen of the *present* position; None where
    there is one channel or the present is not seen."""


class Passage(NamedTuple):
    """From one input of an operation to one output."""

    declared: Declaration
    node: Node
    source: Edge
    made: Edge
    x: Edge
    position_rank: int

    def dependence(self, seen: Dependence) -> Dependence:
        """What the output sees through this input."""
        here = (0,) * self.position_rank
        reads = self._spread() if self._spreads() else self._reads()
        offsets = self.offsets(seen).clipped(self._bounds())
        if not offsets.has(here):
            return Dependence(offsets)
        channels = self._channels(seen, reads)
        if not channels.any():
            return Dependence(offsets.without(here))  # masked away
        return Dependence(offsets, channels)

    def offsets(self, seen: Dependence) -> Offsets:
        """The offsets that are seen, whether data have them or not."""
        reads = self._reads()
        offsets = seen.offsets if reads is None else seen.offsets + reads
        return offsets + self._spread() if self._spreads() else offsets

    def _spreads(self) -> bool:
        return spreads(self.source, self.made, self.position_rank)

    def _reads(self) -> Offsets | None:
        """Where the input is read, relative to the output; None: at the same position."""
        declared, rank = self.declared, self.position_rank
        here = (0,) * rank
        if isinstance(declared, Recurrence):
            return self._seen_by_recurrence() + Offsets.of(rank, [(*here[1:], declared.offset)])
        if isinstance(declared, RowRecurrence):
            return Offsets.of(rank, self._seen_by_rows(declared), unbounded=True)
        if isinstance(declared, Taps):
            return Offsets.of(rank, declared.offsets)
        return None

    def _seen_by_recurrence(self) -> Offsets:
        """All steps up to now; in an image it runs along the row."""
        if self.position_rank == 1:
            return Offsets.up_to_now()
        width = self.source.shape[2] or _OPEN
        return Offsets.of(2, [(0, -column) for column in range(width)])

    def _seen_by_rows(self, declared: RowRecurrence) -> list[Offset]:
        sizes = [size or _OPEN for size in self.source.shape[1:3]]
        return list(declared.sees(*sizes))

    def _bounds(self) -> tuple[Bounds, ...]:
        """The offsets that can occur: from a position of the output to one of the data."""
        return tuple(
            None if own is None or data is None else (1 - own, data - 1)
            for own, data in zip(self._sizes(self.made), self._sizes(self.x), strict=True)
        )

    def _sizes(self, edge: Edge) -> tuple[int | None, ...]:
        return edge.shape[1 : 1 + self.position_rank]

    def _spread(self) -> Offsets:
        """One position seen from all others: everything from the last position on to the first."""
        sizes = zip(self._sizes(self.source), self._sizes(self.made), strict=True)
        spans = [range(1) if one == all_ else range(1 - (all_ or _OPEN), 1) for one, all_ in sizes]
        if self.position_rank == 1:
            if self._sizes(self.made)[0] is None:
                return Offsets.up_to_now()
            return Offsets.of(1, [(step,) for step in spans[0]])
        return Offsets.of(2, [(row, column) for row in spans[0] for column in spans[1]])

    # The channels of the present position.

    def _channels(self, seen: Dependence, reads: Offsets | None) -> Any:
        """Which channels of the present position each channel of the result sees."""
        own = channels_of(self.made, self.position_rank)
        here = (0,) * self.position_rank
        if seen.channels is None or (reads is not None and _there_and_back(seen.offsets, reads)):
            # The present is reached by going there and back: assume every channel.
            count = self.x.shape[-1] if len(self.x.shape) == self.position_rank + 2 else 1
            return np.ones((count or 1, own), bool)
        declared = self.declared
        if isinstance(declared, _CONNECTING) and declared.connects is not None:
            links: Any = np.asarray(declared.connects)
            if isinstance(declared, Taps):
                links = links[declared.offsets.index(here)]
            return (seen.channels.astype(int) @ links.astype(int)) > 0
        picked = self._picked()
        if picked is not None:
            return picked(seen.channels)
        if _is_by_channel(self.node) and channels_of(self.source, self.position_rank) == own:
            return seen.channels
        return dense(seen.channels, own)

    def _picked(self) -> Callable[[Any], Any] | None:
        """How channels are joined or cut along the axes behind the positions, if they are."""
        kind, rank = type(self.node.operation), self.position_rank
        tails = [edge.shape[1 + rank :] for edge in (self.source, self.made)]
        if not tails[0] or any(None in tail for tail in tails):
            return None
        is_last = getattr(self.node.operation, "axis", -1) in (-1, len(self.made.shape) - 1)
        if kind in _MAKES_AXIS and is_last and tails[1][:-1] == tails[0]:
            return lambda channels: np.repeat(channels, int(tails[1][-1] or 1), axis=1)
        if kind in _OVER_LAST and len(tails[0]) > 1 and tails[0][:-1] == tails[1][:-1]:
            return lambda channels: _over_last(channels, *tails)
        if kind in _REARRANGED and self._is_rearranged():
            return lambda channels: channels[:, self._rearranged()]
        if kind in JOINING and self.node.operation.axis % len(self.made.shape) > rank:
            return lambda channels: self._joined(channels)
        if kind in _SLICES:
            tail = [size or 1 for size in tails[0]]
            names = np.arange(np.prod(tail)).reshape([1] * (1 + rank) + tail)
            key = self.node.arguments.args[1:] or (self.node.arguments.kwargs["key"],)
            found = names[_whole_key(key[0], rank, names.ndim)].reshape(-1)
            return lambda channels: channels[:, found]
        return None

    def _is_rearranged(self) -> bool:
        """Whether the source is what is rearranged, and not the indices into a table."""
        first = next(iter(self.node.arguments.args), None)
        return self.node.inputs == (self.source,) and isinstance(first, keras.KerasTensor)

    def _rearranged(self) -> Any:
        """For each channel of the result the one that it comes from: found by running it."""
        tail = [int(size or 1) for size in self.source.shape[1 + self.position_rank :]]
        names = np.arange(np.prod(tail), dtype="int32")
        named = self.node.run({self.source: names.reshape([1] * (1 + self.position_rank) + tail)})
        return np.asarray(named[self.node.outputs.index(self.made)]).reshape(-1)

    def _joined(self, channels: Any) -> Any:
        whole = np.zeros((len(channels), channels_of(self.made, self.position_rank)), bool)
        names, start = [], 0
        for edge in self.node.inputs:
            stop = start + channels_of(edge, self.position_rank)
            if edge is self.source:
                whole[:, start:stop] |= channels
            tail = [size or 1 for size in edge.shape[1 + self.position_rank :]]
            names.append(np.arange(start, stop).reshape([1] * (1 + self.position_rank) + tail))
            start = stop
        operation = self.node.operation
        join = np.stack if type(operation) in _STACKS else np.concatenate
        return whole[:, join(names, axis=operation.axis).reshape(-1)]


def of_source(declared: Declaration, node: Node, source: Edge) -> Declaration:
    """The taps that read one of several inputs."""
    if not isinstance(declared, Taps) or declared.sources is None:
        return declared
    own = [t for t in range(len(declared.offsets)) if node.inputs[declared.source(t)] is source]
    return declared._replace(offsets=tuple(declared.offsets[tap] for tap in own))


def spreads(source: Edge, made: Edge, position_rank: int) -> bool:
    """Whether one position of a tensor is broadcast over all positions of another."""
    if len(source.shape) <= position_rank or len(made.shape) <= position_rank:
        return False
    pairs = zip(source.shape[1 : 1 + position_rank], made.shape[1 : 1 + position_rank], strict=True)
    return any(one == 1 and all_ != 1 for one, all_ in pairs)


def channels_of(edge: Edge, position_rank: int) -> int:
    """The number of channels of a tensor: of all axes behind its positions."""
    return int(np.prod([size or 1 for size in edge.shape[1 + position_rank :]], initial=1))


def _over_last(channels: Any, before: Shape, after: Shape) -> Any:
    """Each vector along the last axis by itself, such as the one of each color channel."""
    blocks = channels.reshape(len(channels), *before).any(axis=-1)
    return np.repeat(blocks.reshape(len(channels), -1), int(after[-1] or 1), axis=1)


def dense(channels: Any, count: int) -> Any:
    """Every channel of the result sees what any channel of the input sees."""
    return np.repeat(channels.any(axis=1, keepdims=True), count, axis=1)


def merged(parts: list[Any], count: int) -> Any:
    """What the channels see through several inputs."""
    present = [part for part in parts if part is not None]
    if not present:
        return None
    rows = max(len(part) for part in present)
    # A single row represents every channel of the data.
    spread = [np.broadcast_to(part, (rows, part.shape[1])) for part in present]
    if any(part.shape[1] != count for part in spread):
        spread = [dense(part, count) for part in spread]
    return np.logical_or.reduce(spread)


def _there_and_back(seen: Offsets, reads: Offsets) -> bool:
    """Whether the present is also reached through a neighbor."""
    here = (0,) * seen.rank
    return (seen.without_any(here) + reads.without_any(here)).has(here)


#: Operations that make a new last axis, and those along the last one.
_MAKES_AXIS = frozenset([L.Embedding, *operation_classes("OneHot")])
_OVER_LAST = frozenset([L.Dense])
_STACKS = frozenset(operation_classes("Stack"))
#: Operations that only put the elements behind the positions elsewhere.
_REARRANGED = frozenset(
    [
        L.Permute,
        *operation_classes("Split", "Unstack", "Take", "Flip", "Roll", "Repeat", "Tile"),
        *operation_classes("Transpose", "Swapaxes", "Moveaxis"),
    ]
)
_SLICES = frozenset(operation_classes("GetItem"))
#: Operations whose channels do not mix; reshapes merely rename them.
_BY_CHANNEL = frozenset(
    [
        L.ReLU, L.LeakyReLU, L.ELU, L.Dropout, L.Add, L.Multiply, L.Subtract, L.Average, L.Maximum,
        L.Minimum, L.BatchNormalization, L.Rescaling, L.Identity, L.Reshape, L.ZeroPadding1D,
        L.ZeroPadding2D, L.Cropping1D, L.Cropping2D,
        *operation_classes("Reshape", "ExpandDims", "Squeeze", "Pad"),
    ]
)  # fmt: skip


def _is_by_channel(node: Node) -> bool:
    operation = node.operation
    if type(operation) is L.Activation:
        return is_elementwise(operation.activation)
    if declares(operation):
        return bool(getattr(operation, "keeps_channels", False))
    if type(operation) in ELEMENTWISE_CLASSES:
        return getattr(operation, "axis", None) is None
    return type(operation) in _BY_CHANNEL


def _whole_key(key: Any, position_rank: int, rank: int) -> tuple[Any, ...]:
    """The key of a slice that takes all positions, and cuts the axes behind them as it did."""
    parts = list(key) if isinstance(key, (tuple, list)) else [key]
    if any(part is Ellipsis for part in parts):
        at = next(i for i, part in enumerate(parts) if part is Ellipsis)
        missing = rank - (len(parts) - 1) + sum(part is None for part in parts)
        parts = parts[:at] + [slice(None)] * missing + parts[at + 1 :]
    return (slice(None),) * (1 + position_rank) + tuple(parts[1 + position_rank :])
