"""Binds the convolutions of `keras.ops` to their kernels, where these are made of weights."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras

from kerasar.causality.graph import Edge, Graph, Node
from kerasar.causality.pairs.untainted import KnownValues
from kerasar.causality.pairs.values import as_values
from kerasar.causality.rules.bound_kernels import (
    BoundConv,
    BoundDepthwiseConv,
    BoundKernels,
    BoundSeparableConv,
)
from kerasar.keras_internals import automatic_names_kept, made_by, operation_classes
from kerasar.typing import Tensor

_KINDS: dict[type, type[BoundKernels]] = {
    **dict.fromkeys(operation_classes("Conv"), BoundConv),
    **dict.fromkeys(operation_classes("DepthwiseConv"), BoundDepthwiseConv),
    **dict.fromkeys(operation_classes("SeparableConv"), BoundSeparableConv),
}


def bind_kernels(graph: Graph) -> Graph:
    """The same graph with each convolution and its kernels as one operation."""
    if not any(type(node.operation) in _KINDS for node in graph.nodes):
        return graph
    makers: dict[Edge, Node | None] = dict.fromkeys(graph.constants)
    known, nodes = KnownValues(graph), []
    for node in graph.nodes:
        if makers.keys() >= set(node.inputs):
            makers.update(dict.fromkeys(node.outputs, node))
        elif type(node.operation) in _KINDS:
            node = _bound(node, graph, makers, known) or node
        nodes.append(node)
    return dataclasses.replace(graph, nodes=tuple(nodes))


def _bound(
    node: Node, graph: Graph, makers: dict[Edge, Node | None], known: KnownValues
) -> Node | None:
    """The convolution as an operation of its input alone; None if its kernels are not weights."""
    args, kwargs = node.constants
    source, *kernels = [*args, *kwargs.values()]
    slots = dict(node.slots)
    if id(source) not in slots or source.shape[-1] is None:
        return None
    parts = [slots.get(id(kernel), kernel) for kernel in kernels]
    if any(isinstance(part, Edge) and part not in makers for part in parts):
        return None  # made of the data, or of a condition
    masked = [
        (known.of(part) if isinstance(part, Edge) else as_values(part)) == 0 for part in parts
    ]
    values = _values(parts, graph, makers)
    operation = _KINDS[type(node.operation)](
        node.operation, values, masked, channels=source.shape[-1]
    )
    edge = slots[id(source)]
    fresh = keras.KerasTensor(edge.shape, edge.dtype)
    with automatic_names_kept():
        arguments = made_by(operation(fresh)).arguments
    return dataclasses.replace(
        node,
        operation=operation,
        inputs=(edge,),
        arguments=arguments,
        slots=((id(fresh), edge),),
    )


def _values(
    parts: Sequence[Any], graph: Graph, makers: dict[Edge, Node | None]
) -> Callable[[], Sequence[Tensor]]:
    """A function that computes tensors from the weights as they are."""
    needed, order = {part for part in parts if isinstance(part, Edge)}, []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            order.append(node)
            needed.update(node.inputs)
    constants = {edge: graph.constants[edge] for edge in needed if makers[edge] is None}

    def values() -> Sequence[Tensor]:
        found = {edge: keras.ops.convert_to_tensor(value) for edge, value in constants.items()}
        for node in reversed(order):
            found.update(zip(node.outputs, node.run(found), strict=True))
        return [
            found[part] if isinstance(part, Edge) else keras.ops.convert_to_tensor(part)
            for part in parts
        ]

    return values
