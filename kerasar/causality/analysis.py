"""One reading of a graph: for each tensor, whether it depends on the data and at which offsets.

Structural, so what it says holds for all weights.
"""

import dataclasses
from typing import Any

import numpy as np

from kerasar.causality.graph import Edge, Graph, Node
from kerasar.causality.offsets import HORIZON, Offsets, Window
from kerasar.causality.rules import declaration
from kerasar.layers.protocol import (
    Declaration,
    MixesPositions,
    Pointwise,
    Recurrence,
    RowRecurrence,
    Taps,
)


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a tensor sees of the data."""

    offsets: Offsets
    channels: Any = None
    """Boolean `(data channels, own channels)`: what is seen of the *present* position; None where
    there is one channel or the present is not seen."""


@dataclasses.dataclass(frozen=True)
class Reading:
    """A graph, and what each of its tensors sees."""

    graph: Graph
    declarations: dict[Node, Declaration | None]
    """Of the nodes that depend on the data; None for unknown operations."""
    seen: dict[Edge, Seen]
    """Of the tensors that depend on the data and are known."""
    tainted: frozenset[Edge]
    """The tensors that depend on the data."""
    window: Window

    @property
    def unknown(self) -> list[Node]:
        """Operations on the data's way of which nothing is known."""
        return [node for node, declared in self.declarations.items() if declared is None]

    @property
    def mixing(self) -> list[tuple[Node, str]]:
        """Operations on the data's way that mix positions, with the reason."""
        return [
            (n, d.reason) for n, d in self.declarations.items() if isinstance(d, MixesPositions)
        ]

    @property
    def output(self) -> Seen | None:
        """What the output sees; None if that is unknown."""
        return self.seen.get(self.graph.output)


def read(graph: Graph) -> Reading:
    """Reads a graph from input to output."""
    places = graph.places
    sizes = graph.x.shape[1 : 1 + places]
    window = Window(tuple(size or (HORIZON if places == 1 else 64) for size in sizes))
    here = (0,) * places
    event = graph.x.shape[1 + places :]
    channels = int(event[-1]) if len(event) == 1 and event[-1] else 1
    seen = {graph.x: Seen(Offsets.of(window, [here]), np.eye(channels, dtype=bool))}
    tainted = {graph.x}
    declarations: dict[Node, Declaration | None] = {}
    for node in graph.nodes:
        sources = [edge for edge in node.inputs if edge in tainted]
        if not sources:
            continue
        tainted.update(node.outputs)
        declared = declaration(node, places)
        several = len(set(sources)) > 1
        if several and not isinstance(declared, (Pointwise, MixesPositions, type(None))):
            if not isinstance(declared, Taps) or declared.sources is None:
                declared = MixesPositions("it reads several tensors at more than one position")
        declarations[node] = declared
        if (
            declared is None
            or isinstance(declared, MixesPositions)
            or not all(s in seen for s in sources)
        ):
            continue
        for edge in node.outputs:
            parts = [
                _through(_of(declared, node, source), seen[source], source, edge, node, window)
                for source in sources
            ]
            offsets = parts[0].offsets
            for part in parts[1:]:
                offsets = offsets | part.offsets
            seen[edge] = Seen(
                offsets, _merged([p.channels for p in parts], _channels(edge, places))
            )
    return Reading(graph, declarations, seen, frozenset(tainted), window)


def _of(declared: Declaration, node: Node, source: Edge) -> Declaration:
    """The taps that read one of several inputs."""
    if not isinstance(declared, Taps) or declared.sources is None:
        return declared
    own = [t for t in range(len(declared.offsets)) if node.inputs[declared.source(t)] is source]
    return declared._replace(offsets=tuple(declared.offsets[tap] for tap in own))


def _through(
    declared: Declaration, seen: Seen, source: Edge, made: Edge, node: Node, window: Window
) -> Seen:
    """What one operation makes of what one of its inputs sees."""
    here = (0,) * window.places
    if isinstance(declared, Recurrence):
        offsets = seen.offsets + Offsets.up_to_now(window)
        offsets += Offsets.of(window, [(declared.offset,)])
    elif isinstance(declared, RowRecurrence):
        sees = Offsets.of(window, declared.sees(*window.sizes), unbounded=True)
        offsets = seen.offsets + sees
    elif isinstance(declared, Taps):
        offsets = seen.offsets + Offsets.of(window, declared.offsets)
    else:
        offsets = seen.offsets
    if not offsets.has(here):
        return Seen(offsets)
    channels = _connected(declared, seen, source, made, node, here)
    if not channels.any():
        return Seen(offsets.without(here))  # masked away
    return Seen(offsets, channels)


def _connected(
    declared: Declaration, seen: Seen, source: Edge, made: Edge, node: Node, here: tuple[int, ...]
) -> Any:
    """Which channels of the present position each channel of the result sees."""
    places = len(here)
    if seen.channels is None:
        # The present is reached by going there and back: assume every channel.
        return np.ones((1, _channels(made, places)), bool)
    links = _links(declared, seen, here)
    if links is not None:
        return (seen.channels.astype(int) @ links.astype(int)) > 0
    name = type(node.operation).__name__
    if name in ("Concatenate", "Split", "GetItem") and source.shape[-1] != made.shape[-1]:
        return _part(seen.channels, source, made, node, name, places)
    if name in _BY_CHANNEL and _channels(source, places) == _channels(made, places):
        return seen.channels
    return _dense(seen.channels, _channels(made, places))


#: Operations whose channels do not mix; reshapes merely rename them.
_BY_CHANNEL = frozenset(
    """Activation ReLU LeakyReLU ELU Dropout Add Multiply Subtract Average Maximum Minimum Relu Tanh
    Sigmoid Elu Gelu Silu Softplus Cast ScaleLevels BatchNormalization Rescaling Identity Negative
    Reshape SplitChannels ExpandDims CausalShift Pad ZeroPadding1D ZeroPadding2D Cropping1D
    Cropping2D""".split()
)


def _part(channels: Any, source: Edge, made: Edge, node: Node, name: str, places: int) -> Any:
    """Channels that are joined or cut along the last axis keep what they see."""
    if len(source.shape) != places + 2 or len(made.shape) != places + 2:
        return _dense(channels, _channels(made, places))
    if name == "Concatenate":
        whole = np.zeros((len(channels), _channels(made, places)), bool)
        start = 0
        for edge in node.inputs:
            stop = start + _channels(edge, places)
            if edge is source:
                whole[:, start:stop] |= channels
            start = stop
        return whole
    if name == "Split":
        before = node.outputs[: node.outputs.index(made)]
        start = sum(_channels(edge, places) for edge in before)
        return channels[:, start : start + _channels(made, places)]
    return _dense(channels, _channels(made, places))


def _links(declared: Declaration, seen: Seen, here: tuple[int, ...]) -> Any:
    """What is declared of the present's channels, `(channels, own channels)`.

    None if nothing is, or if the present is also reached through a neighbour.
    """
    if not isinstance(declared, (Taps, RowRecurrence)) or declared.connects is None:
        return None
    links: Any = np.asarray(declared.connects)
    if isinstance(declared, RowRecurrence):
        offsets = tuple(declared.sees(*seen.offsets.window.sizes))
    else:
        offsets = declared.offsets
        links = links[offsets.index(here)] if here in offsets else None
    others = (tuple(-v for v in offset) for offset in offsets if offset != here)
    return None if any(seen.offsets.has(offset) for offset in others) else links


def _channels(edge: Edge, places: int) -> int:
    return int(np.prod([size or 1 for size in edge.shape[1 + places :]], initial=1))


def _dense(channels: Any, count: int) -> Any:
    return np.repeat(channels.any(axis=1, keepdims=True), count, axis=1)


def _merged(parts: list[Any], count: int) -> Any:
    present = [part for part in parts if part is not None]
    if not present:
        return None
    rows = max(len(part) for part in present)
    # A single row stands for every channel of the data.
    spread = [np.broadcast_to(part, (rows, part.shape[1])) for part in present]
    if any(part.shape[1] != count for part in spread):
        spread = [_dense(part, count) for part in spread]
    return np.logical_or.reduce(spread)
