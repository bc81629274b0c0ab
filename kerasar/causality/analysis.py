"""One reading of a graph: for each tensor, whether it depends on the data and at which offsets.

It follows from the structure alone and so holds for all weights.
"""

import dataclasses

import keras
import numpy as np

from kerasar.causality.constants import lift_constants
from kerasar.causality.dependence import (
    Dependence,
    Passage,
    channels_of,
    merged,
    of_source,
    spreads,
)
from kerasar.causality.graph import Edge, Graph, Node, read_graph
from kerasar.causality.offsets import Offsets
from kerasar.causality.rules import declaration
from kerasar.causality.rules.pointwise import ELEMENTWISE_CLASSES, MERGES
from kerasar.layers.protocol import (
    Declaration,
    MixesPositions,
    Pointwise,
    Taps,
)
from kerasar.typing import Tensor


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

    @property
    def sizes(self) -> tuple[int | None, ...]:
        """The sizes of the data along the position axes; None where they are open."""
        return self.graph.x.shape[1 : 1 + self.graph.position_rank]

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
    def broadcasting(self) -> list[Node]:
        """Operations that spread one data-dependent position over all others."""
        return [
            node
            for node in self.declarations
            if any(
                edge in self.data_dependent and spreads(edge, made, self.graph.position_rank)
                for edge in node.inputs
                for made in node.outputs
            )
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
        known.update(self.graph.constant_values())
        for node in self.graph.nodes:
            if node not in self.declarations:
                known.update(zip(node.outputs, node.run(known), strict=True))
        return known


def analyze(
    network: keras.Model, event_rank: int | None = None, length: int | None = None
) -> Analysis:
    """Reads a network from input to output: once for all that is asked of it.

    Args:
        network: functional Keras model.
        event_rank: as for `read_graph`.
        length: as for `read_graph`.

    Raises:
        ValueError: if the network has no graph.
    """
    graph = read_graph(network, event_rank, length)
    while True:
        analysis = analyze_graph(lift_constants(graph))
        closed = _to_close(graph, analysis)
        if not closed:
            return analysis
        graph = graph.close(closed)


def stays_open(declared: Declaration | None) -> bool:
    """Whether a layer may be opened for a piece of which this is known.

    What is unknown or mixes positions says more about the pieces than about the layer: as a whole
    it can still be probed.
    """
    return declared is not None and not isinstance(declared, MixesPositions)


def _to_close(graph: Graph, analysis: Analysis) -> dict[Node, str]:
    """The opened layers that are of more use as single nodes, and why."""
    found: dict[Node, str] = {}
    for node, declared in analysis.declarations.items():
        if stays_open(declared):
            continue
        for layer, pieces in graph.opened.items():
            if node.outputs[0] in pieces.made and layer not in found:
                what = declared.reason if isinstance(declared, MixesPositions) else ""
                found[layer] = (
                    f"its piece '{node.name}' ({type(node.operation).__name__}) "
                    f"{'mixes positions: ' + what if what else node.unknown_because}"
                )
    for layer, pieces in graph.opened.items():
        once = pieces.stretched(layer)
        for node in graph.nodes:
            if once.intersection(node.inputs) and not _broadcasts(node):
                found.setdefault(layer, f"'{node.name}' needs its output for each example")
    return found


def _broadcasts(node: Node) -> bool:
    """Whether what is the same for all examples may be given to a node once."""
    by_element = type(node.operation) in ELEMENTWISE_CLASSES or type(node.operation) in MERGES
    return by_element and any(edge.shape[:1] == (None,) for edge in node.inputs)


def analyze_graph(graph: Graph) -> Analysis:
    """Follows the data through a graph, of which every layer stays as it is."""
    position_rank = graph.position_rank
    event = graph.x.shape[1 + position_rank :]
    channels = int(event[-1]) if len(event) == 1 and event[-1] else 1
    here = (0,) * position_rank
    dependences = {
        graph.x: Dependence(Offsets.of(position_rank, [here]), np.eye(channels, dtype=bool))
    }
    data_dependent = {graph.x}
    declarations: dict[Node, Declaration | None] = {}
    for node in graph.nodes:
        sources = [edge for edge in node.inputs if edge in data_dependent]
        if not sources:
            continue
        declared = declaration(node, position_rank, data_dependent)
        data_dependent.update(node.outputs)
        several = len(set(sources)) > 1
        if several and not isinstance(declared, (Pointwise, MixesPositions, type(None))):
            if not isinstance(declared, Taps) or declared.sources is None:
                declared = MixesPositions("it reads several tensors at more than one position")
        declarations[node] = declared
        if (
            declared is None
            or isinstance(declared, MixesPositions)
            or not all(source in dependences for source in sources)
        ):
            continue
        for edge in node.outputs:
            parts = [
                Passage(
                    of_source(declared, node, source), node, source, edge, graph.x, position_rank
                ).dependence(dependences[source])
                for source in sources
            ]
            offsets = parts[0].offsets
            for part in parts[1:]:
                offsets = offsets | part.offsets
            own = channels_of(edge, position_rank)
            dependences[edge] = Dependence(offsets, merged([p.channels for p in parts], own))
    return Analysis(graph, declarations, dependences, frozenset(data_dependent))
