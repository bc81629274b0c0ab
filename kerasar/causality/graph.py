"""The graph of a functional network as a flat list: nested models and composite layers opened, each
use of a shared layer a node of its own."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from kerasar.causality.composites import TracedCall, trace_call, trace_network
from kerasar.causality.layer_view import CannotOpen, SubLayer
from kerasar.causality.node import Edge as Edge
from kerasar.causality.node import Node as Node
from kerasar.causality.opened_check import check_opened
from kerasar.causality.rules import has_rule
from kerasar.causality.traced_nodes import called
from kerasar.checks import check_count
from kerasar.keras_internals import functional_graph, nodes_of, overrides_call, paired_inputs
from kerasar.typing import Shape, Tensor


class Opened(NamedTuple):
    """The pieces of a layer.

    Attributes:
        made: the tensors that they make.
        outputs: those among them that are the outputs of the layer. Where the layer gives each
            example the same (`stretched`), they may hold it once, with a first axis of size 1.
    """

    made: frozenset[Edge]
    outputs: tuple[Edge, ...]

    def stretched(self, layer: Node) -> set[Edge]:
        """The outputs that hold once what the layer, as one node, gives each example."""
        pairs = zip(self.outputs, layer.outputs, strict=True)
        return {made for made, own in pairs if own.shape[:1] == (None,) and made.shape[:1] == (1,)}


@dataclasses.dataclass(frozen=True)
class Graph:
    """A functional network: nodes from input to output."""

    network: Any
    name: str
    event_rank: int | None
    nodes: tuple[Node, ...]
    x: Edge
    conditions: tuple[Edge, ...]
    output: Edge
    position_rank: int  # axes of x that hold positions: 1 for sequences, 2 for images
    constants: Mapping[Edge, Any] = dataclasses.field(default_factory=dict)
    """What is neither data nor condition, by the edges that stand for it: arrays, and the weights
    (`keras.Variable`) that opened layers use themselves, whose values are read as they run."""
    opened: Mapping[Node, Opened] = dataclasses.field(default_factory=dict)
    """Layers that were opened, as single nodes, and what their pieces make."""
    stand_for: Mapping[Edge, Edge] = dataclasses.field(default_factory=dict)
    """Tensors that were put in the place of those that the pieces of a layer make."""
    raster: tuple[int, ...] = ()
    """(height, width) of the images whose pixels, or values, are positions in raster order."""

    @property
    def has_half_precision(self) -> bool:
        """Whether some tensor has half the digits, so that equal sums may differ by more."""
        made = (edge for node in self.nodes for edge in node.outputs)
        return any(edge.dtype in ("float16", "bfloat16") for edge in made)

    def run(
        self, values: dict[Edge, Tensor], training: bool = False
    ) -> Iterator[tuple[Node, tuple[Tensor, ...]]]:
        """Runs node after node, and yields each with its outputs.

        Args:
            values: of `x` and the conditions; the outputs of each node are added.
            training: passed to the layers that take it.
        """
        for node in self.nodes:
            made = node.run(values, training)
            values.update(zip(node.outputs, made, strict=True))
            yield node, made

    def needed(self) -> list[Node]:
        """The nodes whose values the output follows from, in order."""
        edges, found = {self.output}, []
        for node in reversed(self.nodes):
            if edges.intersection(node.outputs):
                found.append(node)
                edges.update(() if node.only_shape else node.inputs)
        return found[::-1]

    def inputs(self, tensors: Mapping[str, Tensor]) -> dict[Edge, Tensor]:
        """The values of `x`, the conditions and constants, from tensors by input name."""
        named = {edge: tensors[edge.name] for edge in (self.x, *self.conditions)}
        if self.raster:
            named[self.x] = tf.reshape(named[self.x], (-1, *self.x.shape[1:]))
        return {**named, **self.constant_values()}

    def constant_values(self) -> dict[Edge, Tensor]:
        """The constants as tensors, weights as they are now."""
        return {edge: keras.ops.convert_to_tensor(value) for edge, value in self.constants.items()}

    def close(self, layers: Mapping[Node, str]) -> "Graph":
        """The same graph with some of the opened layers as single nodes.

        Args:
            layers: keys of `opened`, and why each of them is not opened.
        """
        nodes, started = [], set()
        owner = {edge: layer for layer in layers for edge in self.opened[layer].made}
        now = {
            made: own
            for layer in layers
            for made, own in zip(self.opened[layer].outputs, layer.outputs, strict=True)
        }
        for node in self.nodes:
            layer = owner.get(node.outputs[0])
            if layer is None:
                nodes.append(node.reading(now))
            elif layer not in started:
                started.add(layer)
                nodes.append(dataclasses.replace(layer, why_closed=layers[layer]).reading(now))
        read = {edge for node in nodes for edge in node.inputs}
        return dataclasses.replace(
            self,
            nodes=tuple(nodes),
            output=now.get(self.output, self.output),
            constants={edge: value for edge, value in self.constants.items() if edge in read},
            opened={
                layer.reading(now): pieces
                for layer, pieces in self.opened.items()
                if layer not in layers
            },
        )


def read_graph(
    network: keras.Model, event_rank: int | None = None, length: int | None = None
) -> Graph:
    """Flattens a functional network.

    Args:
        network: functional or sequential Keras model; its input named `x` (else its first) is the
            autoregressive one.
        event_rank: axes of an event at the end of x; guessed from the rank of x if None.
        length: what to take for the open length of x, so that layers which need to know it can be
            opened. None: as the network has it.

    Raises:
        ValueError: if the network has no graph.
    """
    functional = functional_graph(network)
    if overrides_call(network):
        raise ValueError(
            f"Network '{network.name}' has no graph to read: its class {type(network).__name__} "
            "overrides call, so its graph is not what it computes. Call it on an Input and make a "
            "model of that: keras.Model(x, network(x))."
        )
    if functional is None and isinstance(getattr(network, "network", None), keras.Model):
        raise ValueError(
            f"Model '{network.name}' has no graph to read, but its network has: pass its attribute "
            "`network`. (It was proven when the model was made.)"
        )
    if functional is None:
        raise ValueError(
            f"Network '{network.name}' has no graph to read: it is a {type(network).__name__}. "
            "Build it with the functional API, keras.Model(inputs, outputs), or as a "
            "keras.Sequential with an Input."
        )
    names = [tensor.name for tensor in functional.inputs]
    index = names.index("x") if "x" in names else 0
    inputs = [
        Edge(_sized(tensor.shape, length if place == index else None), tensor.dtype, tensor.name)
        for place, tensor in enumerate(functional.inputs)
    ]
    reader = _Reader(resize=length is not None)
    outputs = reader.read_functional(functional, list(inputs))
    if len(outputs) != 1:
        raise ValueError(
            f"Network '{network.name}' must have one output, but it has {len(outputs)}."
        )
    x = inputs.pop(index)
    graph = Graph(
        network,
        network.name,
        event_rank,
        tuple(_without_unread(reader.nodes, outputs[0])),
        x,
        tuple(inputs),
        outputs[0],
        _position_rank(x, event_rank),
        reader.constants,
        reader.opened,
    )
    _settle_shapes(graph)
    return graph


def _settle_shapes(graph: Graph) -> None:
    """Fills in sizes that are open in the network though they are not open in its data.

    Keras writes None for sizes that an `EinsumDense` leaves as they are.
    """
    given = [edge.shape[1:] for edge in (graph.x, *graph.conditions)]
    made = [edge.shape[1:] for node in graph.nodes for edge in node.outputs]
    if any(None in shape for shape in given) or not any(None in shape for shape in made):
        return

    def run(*tensors: Tensor) -> None:
        values = dict(zip((graph.x, *graph.conditions), tensors, strict=True))
        values.update(graph.constant_values())
        for node, outputs in graph.run(values):
            for edge, value in zip(node.outputs, outputs, strict=True):
                edge.shape = (*edge.shape[:1], *value.shape[1:])

    specs = [tf.TensorSpec(edge.shape, edge.dtype) for edge in (graph.x, *graph.conditions)]
    tf.function(run, autograph=False).get_concrete_function(*specs)


def read_pieces(functional: Any, inputs: list[Edge], within: str) -> list[Node]:
    """The nodes of a functional model on these inputs, from input to output.

    Args:
        functional: the model.
        inputs: tensors of a graph.
        within: goes before the names of the nodes.
    """
    reader = _Reader(resize=False, within=within)
    reader.read_functional(functional, inputs)
    return reader.nodes


def _without_unread(nodes: list[Node], output: Edge) -> list[Node]:
    """The nodes without the outputs that nobody reads, such as the last state of a scan."""
    read = {output, *(edge for node in nodes for edge in node.inputs)}
    found = []
    for node in nodes:
        unread = frozenset(n for n, edge in enumerate(node.outputs) if edge not in read)
        if 0 < len(unread) < len(node.outputs):
            kept = tuple(edge for edge in node.outputs if edge in read)
            node = dataclasses.replace(node, outputs=kept, unread=unread)
        found.append(node)
    return found


def _sized(shape: Any, length: int | None) -> Shape:
    sizes = tuple(shape)
    return (sizes[0], length, *sizes[2:]) if length is not None and sizes[1] is None else sizes


class _Reader:
    """Collects the nodes of a graph, from input to output.

    Args:
        resize: whether the sizes differ from those that Keras noted.
        within: the name of the layer that is opened, and a slash.
    """

    def __init__(self, resize: bool, within: str = "") -> None:
        self.resize, self.within = resize, within
        self.nodes: list[Node] = []
        self.constants: dict[Edge, Any] = {}
        self.opened: dict[Node, Opened] = {}

    def read_functional(self, functional: Any, inputs: list[Edge]) -> list[Edge]:
        """The outputs of a functional model on these inputs."""
        own = [tuple(tensor.shape) for tensor in functional.inputs]
        if self.resize or own != [edge.shape for edge in inputs]:
            fresh = [keras.KerasTensor(edge.shape, edge.dtype) for edge in inputs]
            return self.read(trace_network(functional, fresh), inputs)
        nodes = list(nodes_of(functional))
        return self.read(TracedCall(functional.inputs, functional.outputs, nodes), inputs)

    def read(self, traced: TracedCall, inputs: list[Edge]) -> list[Edge]:
        """The outputs of a network on these inputs."""
        edges = {id(t): edge for t, edge in zip(traced.inputs, inputs, strict=True)}
        for tensor, value in traced.constants:
            name = value.name if isinstance(value, keras.Variable) else "constant"
            edges[id(tensor)] = edge = Edge(tuple(tensor.shape), tensor.dtype, self.within + name)
            self.constants[edge] = value
        for node in traced.nodes:
            if not all(id(t) in edges for t in node.outputs):
                made = self._read_node(node, edges, traced.single)
                edges.update({id(t): edge for t, edge in zip(node.outputs, made, strict=True)})
        return [edges[id(t)] for t in traced.outputs]

    def _read_node(self, node: Any, edges: dict[int, Edge], single: frozenset[int]) -> list[Edge]:
        operation = called(node.operation)
        inner = functional_graph(operation)
        handed = None if inner is None else paired_inputs(inner, node.arguments)
        if handed is not None:
            return self.read_functional(inner, [edges[id(t)] for t in handed])
        made = [
            Edge((None, *t.shape[1:]) if id(t) in single else tuple(t.shape), t.dtype, t.name)
            for t in node.outputs
        ]
        fixed = isinstance(node.operation, SubLayer) and "training" in node.arguments.kwargs
        whole = Node(
            operation,
            self.within + operation.name,
            tuple(edges[id(t)] for t in node.input_tensors),
            tuple(made),
            node.arguments,
            tuple((id(t), edges[id(t)]) for t in node.input_tensors),
            inference_only=fixed,
        )
        if inner is None and isinstance(operation, keras.layers.Layer) and not has_rule(operation):
            try:
                return self._open(node, whole)
            except CannotOpen as reason:
                whole = dataclasses.replace(whole, why_closed=str(reason))
        self.nodes.append(whole)
        return made

    def _open(self, node: Any, whole: Node) -> list[Edge]:
        """The outputs of a layer's pieces, which are added; CannotOpen with nothing changed."""
        reader = _Reader(self.resize, whole.name + "/")
        made = reader.read(trace_call(node, [edge.shape for edge in whole.inputs]), [*whole.inputs])
        if not self.within:  # what is inside of a layer is checked with it
            inside = frozenset(edge for piece in reader.nodes for edge in piece.outputs)
            opened = Opened(inside, tuple(made))
            check_opened(whole, reader.nodes, opened.outputs, reader.constants)
            self.opened[whole] = opened
        self.nodes += reader.nodes
        self.constants |= reader.constants
        return made


def _position_rank(x: Edge, event_rank: int | None) -> int:
    """Images have rows, columns and channels; all else is a sequence of values or of vectors."""
    rank = len(x.shape) - 1
    if event_rank is not None:
        check_count(event_rank, "event_rank", least=0)
    if not event_rank:
        return 2 if rank == 3 else 1
    positions = rank - event_rank
    if positions not in (1, 2):
        raise ValueError(
            f"event_rank={event_rank} leaves {max(positions, 0)} axes of positions of x, "
            f"{tuple(x.shape)}, but there must be one (sequences) or two (images)."
        )
    return positions
