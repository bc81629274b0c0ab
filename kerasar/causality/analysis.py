"""One reading of a graph: for each tensor, whether it depends on the data and at which offsets.

It follows from the structure alone and so holds for all weights.
"""

import dataclasses
import itertools

import keras
import numpy as np
import tensorflow as tf

from kerasar.causality.batch_first_scans import put_batch_first
from kerasar.causality.bound_convolutions import bind_kernels
from kerasar.causality.constants import lift_constants
from kerasar.causality.dependence import (
    Dependence,
    Passage,
    channels_of,
    merged,
    of_source,
    spreads,
)
from kerasar.causality.expansions import spell_out
from kerasar.causality.flat_pixels import flat_pixels
from kerasar.causality.graph import Edge, Graph, Node, read_graph
from kerasar.causality.offsets import Offsets
from kerasar.causality.pairs import PairReader
from kerasar.causality.pairs.placed import Placed
from kerasar.causality.pixels_in_a_row import pixels_in_a_row
from kerasar.causality.rules import declaration
from kerasar.causality.rules.pointwise import ELEMENTWISE_CLASSES, MERGES
from kerasar.causality.whole_positions import with_whole_positions
from kerasar.layers.protocol import (
    Aligned,
    Declaration,
    MixesPositions,
    RowRecurrence,
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
    placed: dict[Edge, Placed] = dataclasses.field(default_factory=dict)
    """What those see whose positions are not on the first axes."""

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
            for node, declared in self.declarations.items()
            if not isinstance(declared, Aligned)
            and any(
                edge in self.data_dependent and spreads(edge, made, self.graph.position_rank)
                for edge in node.inputs
                for made in node.outputs
            )
        ]

    @property
    def output(self) -> Dependence | None:
        """What the output sees; None if that is unknown."""
        return self.dependences.get(self.graph.output)

    def at_length(self, length: int) -> "Analysis":
        """Of the same network at one length, where layers are unknown because it is open."""
        if not self.lacks_length:
            return self
        return analyze(self.graph.network, self.graph.event_rank, length)

    @property
    def lacks_length(self) -> bool:
        """Whether layers are unknown and the length is open: at one length more may be known."""
        return self.sizes == (None,) and bool(self.unknown)

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

    def compute_conditions(self, conditions: list[Tensor], batch: Tensor) -> dict[Edge, Tensor]:
        """All tensors that do not depend on the data, computed once and in parallel.

        Args:
            conditions: in the order of the network's inputs.
            batch: number of examples.
        """
        known = dict(zip(self.graph.conditions, conditions, strict=True))
        known.update(self.graph.constant_values())
        for node in self.graph.needed():
            if node in self.declarations:
                continue
            given = _of_shape(node, batch) if node.only_shape else known
            known.update(zip(node.outputs, node.run(given), strict=True))
        return known


def _of_shape(node: Node, batch: Tensor) -> dict[Edge, Tensor]:
    """Inputs of the right shape for an operation that takes nothing but their shape."""
    return {edge: tf.zeros(tf.stack([batch, *edge.shape[1:]]), edge.dtype) for edge in node.inputs}


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
    analysis = _settled(graph)
    if graph.position_rank == 2 and (analysis.mixing or analysis.unknown):
        for on_pixels in itertools.chain(flat_pixels(graph), pixels_in_a_row(graph)):
            other = _followed(on_pixels)
            # What its layers are as single nodes is known of images only.
            if not other.mixing and not other.unknown and not _to_close(on_pixels, other):
                return other
    return analysis


def _settled(graph: Graph) -> Analysis:
    """What is known of a graph, with those layers as single nodes that are of more use so."""
    while True:
        analysis = _followed(graph)
        closed = _to_close(graph, analysis)
        if not closed:
            return analysis
        graph = graph.close(closed)


def _followed(graph: Graph) -> Analysis:
    graph = spell_out(bind_kernels(graph))
    analysis = analyze_graph(put_batch_first(lift_constants(graph)))
    if analysis.mixing or analysis.unknown:
        whole = with_whole_positions(graph)
        if isinstance(whole, Graph):
            other = analyze_graph(lift_constants(whole))
            return analysis if other.mixing or other.unknown else other
        if whole is not None:
            _tell_what_stopped(analysis, whole)
    return analysis


def _tell_what_stopped(analysis: Analysis, stopped_at: Node) -> None:
    """Says of what moves positions that attention behind it is understood, and but for what."""
    kind = type(stopped_at.operation).__name__
    for node, reason in analysis.mixing[:1]:
        analysis.declarations[node] = MixesPositions(
            f"{reason}. Attention along the parts would be understood, but '{stopped_at.name}' "
            f"({kind}) between them is not: docs/own_networks.md"
        )


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
        made = analysis.graph.stand_for.get(node.outputs[0], node.outputs[0])
        for layer, pieces in graph.opened.items():
            if made in pieces.made and layer not in found:
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
    return _Walk(graph, dependences).analysis()


class _Walk:
    """Goes through a graph from input to output."""

    def __init__(self, graph: Graph, dependences: dict[Edge, Dependence]) -> None:
        self.graph, self.dependences = graph, dependences
        self.data_dependent = {graph.x}
        self.declarations: dict[Node, Declaration | None] = {}
        self.nodes: list[Node] = []
        self.constants = dict(graph.constants)
        self.pairs = PairReader(graph, graph.x.shape[1 : 1 + graph.position_rank])
        #: The tensors that something makes: what nothing makes would pass for a condition.
        self.made = {graph.x, *graph.conditions, *graph.constants}

    def analysis(self) -> Analysis:
        needed = set(self.graph.needed())
        for node in self.graph.nodes:
            if not self.made.issuperset(node.inputs):
                raise AssertionError(f"'{node.name}' reads a tensor that nothing makes")
            self.made.update(node.outputs)
            sources = [edge for edge in node.inputs if edge in self.data_dependent]
            if node not in needed or node.only_shape:
                sources = []
            self.nodes.append(self._visit(node, sources) if sources else node)
        graph = dataclasses.replace(self.graph, nodes=tuple(self.nodes), constants=self.constants)
        return Analysis(
            graph,
            self.declarations,
            self.dependences,
            frozenset(self.data_dependent),
            self.pairs.placed,
        )

    def _visit(self, node: Node, sources: list[Edge]) -> Node:
        """What one operation sees; returns it, perhaps with its constants lifted."""
        self.data_dependent.update(node.outputs)
        declared: Declaration | None = None
        if not any(source in self.pairs.placed for source in sources):
            declared = self._ruled(node, sources)
            if declared is not None and not isinstance(declared, MixesPositions):
                self.declarations[node] = declared
                self._pass_on(node, declared, sources)
                return node
        return self._read_pairs(node, declared, sources)

    def _ruled(self, node: Node, sources: list[Edge]) -> Declaration | None:
        """By the rules for positions on the first axes."""
        declared = declaration(node, self.graph.position_rank, self.data_dependent)
        if len(set(sources)) > 1 and isinstance(declared, (Taps, RowRecurrence)):
            if not isinstance(declared, Taps) or declared.sources is None:
                return MixesPositions("it reads several tensors at more than one position")
        return declared

    def _read_pairs(self, node: Node, declared: Declaration | None, sources: list[Edge]) -> Node:
        """By the rules for positions on any axes; `declared` is what holds otherwise."""
        known = all(edge in self.dependences or edge in self.pairs.placed for edge in sources)
        if not self.pairs.covers(node):
            self.declarations[node] = declared
            return node
        if not known:  # behind an unknown operation
            self.declarations[node] = None
            return node
        lifted, constants = self.pairs.lift(node)
        found = self.pairs.read(lifted, self.dependences)
        if found is None or isinstance(found, str):
            if found is None and None in self.pairs.sizes:
                declared = None  # to be seen at one length
            elif declared is None and found is not None:
                declared = MixesPositions(found)
            self.declarations[node] = declared
            return node
        self.constants.update(constants)
        self.declarations[lifted] = found.declared
        self.dependences.update(self.pairs.record(lifted, found))
        return lifted

    def _pass_on(self, node: Node, declared: Declaration, sources: list[Edge]) -> None:
        """What the outputs see, if that is known of all inputs."""
        if not all(source in self.dependences for source in sources):
            return
        rank = self.graph.position_rank
        for edge in node.outputs:
            parts = [
                Passage(
                    of_source(declared, node, source), node, source, edge, self.graph.x, rank
                ).dependence(self.dependences[source])
                for source in sources
            ]
            offsets = parts[0].offsets
            for part in parts[1:]:
                offsets = offsets | part.offsets
            own = channels_of(edge, rank)
            channels = merged([part.channels for part in parts], own)
            self.dependences[edge] = Dependence(offsets, channels)
