"""The graph of a functional network as a flat list: nested models opened, each use of a shared
layer a node of its own."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from kerasar.causality.expansions import expanded
from kerasar.keras_internals import (
    functional_graph,
    nodes_of,
    overrides_call,
    paired_inputs,
    takes_training,
)
from kerasar.typing import Shape, Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class Edge:
    """A tensor in the graph: what one node makes and others read."""

    shape: Shape
    dtype: str
    name: str


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """One use of an operation (a Keras layer or a `keras.ops` function)."""

    operation: Any
    name: str
    inputs: tuple[Edge, ...]
    outputs: tuple[Edge, ...]
    arguments: Any  # Keras' record of the call
    slots: tuple[tuple[int, Edge], ...]  # id of a tensor in the record -> edge

    def run(self, values: dict[Edge, Tensor], training: bool = False) -> tuple[Tensor, ...]:
        """The operation's outputs for given values of its inputs."""
        return self.run_each([values[edge] for edge in self.inputs], training)

    def run_each(self, values: Sequence[Tensor], training: bool = False) -> tuple[Tensor, ...]:
        """The operation's outputs for a value of each of its inputs, in their order.

        A tensor that is given twice, such as a query that is its own key, may have two values.
        """
        waiting: dict[Edge, list[Tensor]] = {}
        for edge, value in zip(self.inputs, values, strict=True):
            waiting.setdefault(edge, []).append(value)
        edges = dict(self.slots)

        def value_of(part: Any) -> Any:
            if id(part) not in edges:
                return part
            left = waiting[edges[id(part)]]
            return left.pop(0) if len(left) > 1 else left[0]

        args, kwargs = self.arguments.convert(value_of)
        kwargs = dict(kwargs)
        if "mask" in kwargs and kwargs["mask"] is None:
            del kwargs["mask"]
        if takes_training(self.operation):
            kwargs["training"] = training
        return tuple(tree.flatten(self.operation(*args, **kwargs)))

    @property
    def constants(self) -> tuple[list[Any], dict[str, Any]]:
        """The call's arguments, symbolic tensors included, as they were written down."""
        return list(self.arguments.args), dict(self.arguments.kwargs)


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
    """Constants of the network that differ between positions, by the edges that stand for them."""

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

    def inputs(self, tensors: Mapping[str, Tensor]) -> dict[Edge, Tensor]:
        """The values of `x`, the conditions and constants, from tensors by input name."""
        named = {edge: tensors[edge.name] for edge in (self.x, *self.conditions)}
        return {**named, **self.constants}


def read_graph(network: keras.Model, event_rank: int | None = None) -> Graph:
    """Flattens a functional network.

    Args:
        network: functional or sequential Keras model; its input named `x` (else its first) is the
            autoregressive one.
        event_rank: axes of an event at the end of x; guessed from the rank of x if None.

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
    if functional is None:
        raise ValueError(
            f"Network '{network.name}' has no graph to read: it is a {type(network).__name__}. "
            "Build it with the functional API, keras.Model(inputs, outputs), or as a "
            "keras.Sequential with an Input."
        )
    inputs = [_edge(tensor) for tensor in functional.inputs]
    nodes: list[Node] = []
    outputs = _read(functional, inputs, nodes)
    if len(outputs) != 1:
        raise ValueError(
            f"Network '{network.name}' must have one output, but it has {len(outputs)}."
        )
    names = [edge.name for edge in inputs]
    index = names.index("x") if "x" in names else 0
    x = inputs.pop(index)
    rank = _position_rank(x, event_rank)
    graph = Graph(
        network, network.name, event_rank, tuple(nodes), x, tuple(inputs), outputs[0], rank
    )
    return _with_true_shapes(graph) if _has_hidden_sizes(graph) else graph


def _has_hidden_sizes(graph: Graph) -> bool:
    """Whether sizes are open in the network that are not open in its data.

    Keras writes None for sizes that an `EinsumDense` leaves as they are.
    """
    given = [edge.shape[1:] for edge in (graph.x, *graph.conditions)]
    made = [edge.shape[1:] for node in graph.nodes for edge in node.outputs]
    return not any(None in shape for shape in given) and any(None in shape for shape in made)


def _with_true_shapes(graph: Graph) -> Graph:
    """The same graph with the shapes that its tensors have when it runs."""
    specs = [tf.TensorSpec(edge.shape, edge.dtype) for edge in (graph.x, *graph.conditions)]
    shapes: dict[Edge, Shape] = {}

    def run(*given: Tensor) -> None:
        values = dict(zip((graph.x, *graph.conditions), given, strict=True)) | {**graph.constants}
        for node, made in graph.run(values):
            for edge, value in zip(node.outputs, made, strict=True):
                shapes[edge] = (edge.shape[:1] or ()) + tuple(value.shape[1:])

    tf.function(run, autograph=False).get_concrete_function(*specs)
    renamed = {edge: dataclasses.replace(edge, shape=shape) for edge, shape in shapes.items()}

    def rename(edges: Iterable[Edge]) -> tuple[Edge, ...]:
        return tuple(renamed.get(edge, edge) for edge in edges)

    nodes = tuple(
        dataclasses.replace(
            node,
            inputs=rename(node.inputs),
            outputs=rename(node.outputs),
            slots=tuple((key, renamed.get(edge, edge)) for key, edge in node.slots),
        )
        for node in graph.nodes
    )
    (output,) = rename([graph.output])
    return dataclasses.replace(graph, nodes=nodes, output=output)


def _read(functional: Any, inputs: list[Edge], nodes: list[Node]) -> list[Edge]:
    edges = {id(t): edge for t, edge in zip(functional.inputs, inputs, strict=True)}
    for node in nodes_of(functional):
        if all(id(t) in edges for t in node.outputs):
            continue
        sources = [edges[id(t)] for t in node.input_tensors]
        inner = functional_graph(node.operation)
        handed = None if inner is None else paired_inputs(inner, node.arguments)
        spelled = expanded(node.operation, node.arguments)
        if handed is not None:
            made = _read(inner, [edges[id(t)] for t in handed], nodes)
        elif spelled is not None:
            made = _read(spelled[0], [edges[id(t)] for t in spelled[1]], nodes)
        else:
            made = [_edge(tensor) for tensor in node.outputs]
            slots = tuple((id(t), edges[id(t)]) for t in node.input_tensors)
            operation, name = node.operation, node.operation.name
            nodes.append(Node(operation, name, tuple(sources), tuple(made), node.arguments, slots))
        edges.update({id(t): edge for t, edge in zip(node.outputs, made, strict=True)})
    return [edges[id(t)] for t in functional.outputs]


def _edge(tensor: Any) -> Edge:
    return Edge(tuple(tensor.shape), tensor.dtype, tensor.name)


def _position_rank(x: Edge, event_rank: int | None) -> int:
    """Images have rows, columns and channels; all else is a sequence of values or of vectors."""
    rank = len(x.shape) - 1
    return rank - event_rank if event_rank else 2 if rank == 3 else 1
