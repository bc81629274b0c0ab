"""Constants that differ between positions, as tensors of the graph that do not depend on the data.

A position table added to a sequence is an argument of the call, not a tensor of the graph. As an
edge it is known at every step, and sliced there as conditions are. What opened layers make of their
own weights are edges already; they get the axes that broadcasting gives them, so that their
positions are where those of the data are.
"""

import dataclasses
from typing import Any

import keras

from kerasar.causality.graph import Edge, Graph, Node
from kerasar.causality.node import JOINING
from kerasar.causality.rules.pointwise import ELEMENTWISE_CLASSES, MERGES, is_array
from kerasar.keras_internals import automatic_names_kept, made_by

_OF_EQUAL_RANKS = frozenset([*MERGES, *JOINING])


def lift_constants(graph: Graph) -> Graph:
    """The same graph with the position tables of sums, products and the like as edges."""
    constants: dict[Edge, Any] = {}
    of_all_examples = set(graph.constants)
    nodes: list[Node] = []
    for node in graph.nodes:
        if of_all_examples.issuperset(node.inputs):
            of_all_examples.update(node.outputs)
        elif type(node.operation) in _OF_EQUAL_RANKS:
            node, lifted = _lifted(node, graph.position_rank)
            constants.update(lifted)
        elif type(node.operation) in ELEMENTWISE_CLASSES:
            node, lifted = _lifted(node, graph.position_rank)
            constants.update(lifted)
            of_all_examples.update(lifted)
            node, added = _aligned(node, of_all_examples)
            nodes += added
        nodes.append(node)
    return dataclasses.replace(
        graph, nodes=tuple(nodes), constants={**graph.constants, **constants}
    )


def _lifted(node: Node, position_rank: int) -> tuple[Node, dict[Edge, Any]]:
    """The node with its position tables as edges, and what these stand for: weights stay live."""
    of_equal_ranks = type(node.operation) in _OF_EQUAL_RANKS
    rank = max(len(edge.shape) for edge in (node.inputs if of_equal_ranks else node.outputs))
    slots, constants = list(node.slots), {}
    known = dict(slots)
    for part in filter(is_array, keras.tree.flatten(node.constants)):
        if id(part) in known:
            continue
        if of_equal_ranks and len(part.shape) != rank:
            continue  # Keras' merges insert axes behind the first
        shape = (1,) * (rank - len(part.shape)) + tuple(part.shape)
        differs = any(size != 1 for size in shape[1 : position_rank + 1])
        if differs and len(shape) == rank and shape[0] == 1:
            dtype = keras.backend.standardize_dtype(part.dtype)
            edge = Edge(tuple(part.shape), dtype, f"{node.name}_constant")
            constants[edge] = part
            slots.append((id(part), edge))
    inputs = (*node.inputs, *constants)
    return dataclasses.replace(node, inputs=inputs, slots=tuple(slots)), constants


def _aligned(node: Node, of_all_examples: set[Edge]) -> tuple[Node, list[Node]]:
    """The node with all its constants of full rank, and the nodes that give them new axes."""
    rank = len(node.outputs[0].shape)
    lower = [
        edge
        for edge in dict.fromkeys(node.inputs)
        if edge in of_all_examples and 0 < len(edge.shape) < rank
    ]
    if not lower:
        return node, []
    added = [_with_axes(edge, rank - len(edge.shape)) for edge in lower]
    full = {edge: made.outputs[0] for edge, made in zip(lower, added, strict=True)}
    return node.reading(full), added


def _with_axes(edge: Edge, count: int) -> Node:
    """A node that puts axes of size 1 in front."""
    source = keras.KerasTensor(edge.shape, edge.dtype)
    with automatic_names_kept():
        call = made_by(keras.ops.expand_dims(source, tuple(range(count))))
    made = Edge((1,) * count + edge.shape, edge.dtype, edge.name)
    name = f"{edge.name}/{call.operation.name}"
    return Node(call.operation, name, (edge,), (made,), call.arguments, ((id(source), edge),))
