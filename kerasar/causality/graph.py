"""The graph of a functional network as a flat list: nested models opened, each use of a shared
layer a node of its own."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import keras
from keras import tree

from kerasar.checks import check_count
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
        given = {key: values[edge] for key, edge in self.slots}
        args, kwargs = self.arguments.convert(lambda part: given.get(id(part), part))
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
    return Graph(
        network, network.name, event_rank, tuple(nodes), x, tuple(inputs), outputs[0], rank
    )


def _read(functional: Any, inputs: list[Edge], nodes: list[Node]) -> list[Edge]:
    edges = {id(t): edge for t, edge in zip(functional.inputs, inputs, strict=True)}
    for node in nodes_of(functional):
        if all(id(t) in edges for t in node.outputs):
            continue
        sources = [edges[id(t)] for t in node.input_tensors]
        inner = functional_graph(node.operation)
        handed = None if inner is None else paired_inputs(inner, node.arguments)
        if handed is not None:
            made = _read(inner, [edges[id(t)] for t in handed], nodes)
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
    if event_rank is not None:
        check_count(event_rank, "event_rank", least=0, most=rank)
    return rank - event_rank if event_rank else 2 if rank == 3 else 1
