"""Constants that differ between positions, as tensors of the graph that do not depend on the data.

A position table added to a sequence is an argument of the call, not a tensor of the graph. As an
edge it is known at every step, and sliced there as conditions are.
"""

import dataclasses
from typing import Any

import keras

from kerasar.causality.graph import Edge, Graph, Node
from kerasar.causality.rules.pointwise import ELEMENTWISE_CLASSES, MERGES, is_array


def lift_constants(graph: Graph) -> Graph:
    """The same graph with the position tables of its elementwise operations as edges."""
    constants: dict[Edge, Any] = {}
    nodes = tuple(_lifted(node, graph.position_rank, constants) for node in graph.nodes)
    if not constants:
        return graph
    return dataclasses.replace(graph, nodes=nodes, constants=constants)


def _lifted(node: Node, position_rank: int, constants: dict[Edge, Any]) -> Node:
    is_merge = type(node.operation) in MERGES
    if not is_merge and type(node.operation) not in ELEMENTWISE_CLASSES:
        return node
    rank, found = len(node.outputs[0].shape), []
    for part in filter(is_array, keras.tree.flatten(node.constants)):
        if is_merge and len(part.shape) != rank:
            continue  # Keras inserts axes behind the first
        shape = (1,) * (rank - len(part.shape)) + tuple(part.shape)
        differs = any(size != 1 for size in shape[1 : position_rank + 1])
        if differs and len(shape) == rank and shape[0] == 1:
            edge = Edge(shape, keras.backend.standardize_dtype(part.dtype), f"{node.name}_constant")
            constants[edge] = keras.ops.reshape(part, shape)
            found.append((id(part), edge))
    if not found:
        return node
    edges = tuple(edge for _, edge in found)
    return dataclasses.replace(node, inputs=(*node.inputs, *edges), slots=(*node.slots, *found))
