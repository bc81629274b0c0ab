"""One reading of a graph: for each tensor, whether it depends on the data and at which offsets.

It follows from the structure alone and so holds for all weights.
"""

import dataclasses
from typing import Any

import keras
import numpy as np

from kerasar.causality.graph import Edge, Graph, Node, read_graph
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
from kerasar.typing import Tensor


@dataclasses.dataclass(frozen=True)
class Dependence:
    """What a tensor sees of the data."""

    offsets: Offsets
    channels: Any = None
    """Boolean `(data channels, own channels)`: what is seen of the *present* position; None where
    there is one channel or the present is not seen."""


@dataclasses.dataclass(frozen=True)
class Analysis:
    """A graph, and what each of its tensors sees."""

    graph: Graph
    declarations: dict[Node, Declaration | None]
    """Of the nodes that depend on the data; None for unknown operations."""
    dependences: dict[Edge, Dependence]
    """Of the tensors that depend on the data and are known."""
    data_dependent: frozenset[Edge]
    """The tensors that depend on the data."""
    window: Window

    @property
    def unknown(self) -> list[Node]:
        """Data-dependent operations of which nothing is known."""
        return [node for node, declared in self.declarations.items() if declared is None]

    @property
    def mixing(self) -> list[tuple[Node, str]]:
        """Data-dependent operations that mix positions, with the reason."""
        return [
            (n, d.reason) for n, d in self.declarations.items() if isinstance(d, MixesPositions)
        ]

    @property
    def output(self) -> Dependence | None:
        """What the output sees; None if that is unknown."""
        return self.dependences.get(self.graph.output)

    def length_changes(self) -> dict[Edge, tuple[int, ...]]:
        """By how much each tensor is longer than the data, along each position axis."""
        none = (0,) * self.graph.position_rank
        found = {self.graph.x: none}
        for node, declared in self.declarations.items():
            source = next(edge for edge in node.inputs if edge in found)
            change = (declared.length_change if isinstance(declared, Taps) else None) or none
            total = tuple(a + b for a, b in zip(found[source], change, strict=True))
            found.update(dict.fromkeys(node.outputs, total))
        return found

    def compute_conditions(self, conditions: list[Tensor]) -> dict[Edge, Tensor]:
        """All tensors that do not depend on the data, computed once and in parallel."""
        known = dict(zip(self.graph.conditions, conditions, strict=True))
        for node in self.graph.nodes:
            if node not in self.declarations:
                known.update(zip(node.outputs, node.run(known), strict=True))
        return known


def analyze(network: keras.Model, event_rank: int | None = None) -> Analysis:
    """Reads a network from input to output: once for all that is asked of it.

    Args:
        network: functional Keras model.
        event_rank: as for `read_graph`.

    Raises:
        ValueError: if the network has no graph.
    """
    graph = read_graph(network, event_rank)
    position_rank = graph.position_rank
    sizes = graph.x.shape[1 : 1 + position_rank]
    window = Window(tuple(size or (HORIZON if position_rank == 1 else 64) for size in sizes))
    here = (0,) * position_rank
    event = graph.x.shape[1 + position_rank :]
    channels = int(event[-1]) if len(event) == 1 and event[-1] else 1
    seen = {graph.x: Dependence(Offsets.of(window, [here]), np.eye(channels, dtype=bool))}
    data_dependent = {graph.x}
    declarations: dict[Node, Declaration | None] = {}
    for node in graph.nodes:
        sources = [edge for edge in node.inputs if edge in data_dependent]
        if not sources:
            continue
        data_dependent.update(node.outputs)
        declared = declaration(node, position_rank)
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
            seen[edge] = Dependence(
                offsets, _merged([p.channels for p in parts], _channels(edge, position_rank))
            )
    return Analysis(graph, declarations, seen, frozenset(data_dependent), window)


def _of(declared: Declaration, node: Node, source: Edge) -> Declaration:
    """The taps that read one of several inputs."""
    if not isinstance(declared, Taps) or declared.sources is None:
        return declared
    own = [t for t in range(len(declared.offsets)) if node.inputs[declared.source(t)] is source]
    return declared._replace(offsets=tuple(declared.offsets[tap] for tap in own))


def _through(
    declared: Declaration, seen: Dependence, source: Edge, made: Edge, node: Node, window: Window
) -> Dependence:
    """What one operation makes of what one of its inputs sees."""
    here = (0,) * window.position_rank
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
        return Dependence(offsets)
    channels = _connected(declared, seen, source, made, node, here)
    if not channels.any():
        return Dependence(offsets.without(here))  # masked away
    return Dependence(offsets, channels)


def _connected(
    declared: Declaration,
    seen: Dependence,
    source: Edge,
    made: Edge,
    node: Node,
    here: tuple[int, ...],
) -> Any:
    """Which channels of the present position each channel of the result sees."""
    position_rank = len(here)
    if seen.channels is None:
        # The present is reached by going there and back: assume every channel.
        return np.ones((1, _channels(made, position_rank)), bool)
    links = _links(declared, seen, here)
    if links is not None:
        return (seen.channels.astype(int) @ links.astype(int)) > 0
    name = type(node.operation).__name__
    if name in ("Concatenate", "Split", "GetItem") and source.shape[-1] != made.shape[-1]:
        return _part(seen.channels, source, made, node, name, position_rank)
    if name in _BY_CHANNEL and _channels(source, position_rank) == _channels(made, position_rank):
        return seen.channels
    return _dense(seen.channels, _channels(made, position_rank))


#: Operations whose channels do not mix; reshapes merely rename them.
_BY_CHANNEL = frozenset(
    """Activation ReLU LeakyReLU ELU Dropout Add Multiply Subtract Average Maximum Minimum Relu Tanh
    Sigmoid Elu Gelu Silu Softplus Cast ScaleLevels BatchNormalization Rescaling Identity Negative
    Reshape SplitChannels ExpandDims CausalShift Pad ZeroPadding1D ZeroPadding2D Cropping1D
    Cropping2D""".split()
)


def _part(
    channels: Any, source: Edge, made: Edge, node: Node, name: str, position_rank: int
) -> Any:
    """Channels that are joined or cut along the last axis keep what they see."""
    if len(source.shape) != position_rank + 2 or len(made.shape) != position_rank + 2:
        return _dense(channels, _channels(made, position_rank))
    if name == "Concatenate":
        whole = np.zeros((len(channels), _channels(made, position_rank)), bool)
        start = 0
        for edge in node.inputs:
            stop = start + _channels(edge, position_rank)
            if edge is source:
                whole[:, start:stop] |= channels
            start = stop
        return whole
    if name == "Split":
        before = node.outputs[: node.outputs.index(made)]
        start = sum(_channels(edge, position_rank) for edge in before)
        return channels[:, start : start + _channels(made, position_rank)]
    return _dense(channels, _channels(made, position_rank))


def _links(declared: Declaration, seen: Dependence, here: tuple[int, ...]) -> Any:
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


def _channels(edge: Edge, position_rank: int) -> int:
    return int(np.prod([size or 1 for size in edge.shape[1 + position_rank :]], initial=1))


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
