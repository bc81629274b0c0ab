"""Scans between two transpositions, as one operation on tensors whose first axis is the batch.

`keras.ops.scan` runs over axis 0, so whoever uses it for a recurrence over the steps of examples
brings the steps there, and back behind it:

    (batch, steps, …) -> transpose -> scan -> transpose -> (batch, steps, …)

As one node this is a recurrence like a layer's.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import tree

from kerasar.causality.graph import Edge, Graph, Node
from kerasar.causality.rules.scans import inputs_in, scan_arguments
from kerasar.causality.scan_operations import STEPS_FIRST, SequenceScan
from kerasar.keras_internals import operation_classes

_TURNS = frozenset(operation_classes("Transpose", "Swapaxes", "Moveaxis"))


def put_batch_first(graph: Graph) -> Graph:
    """The same graph with such scans as single nodes."""
    if not any(type(node.operation) in STEPS_FIRST for node in graph.nodes):
        return graph
    makers = {edge: node for node in graph.nodes for edge in node.outputs}
    readers: dict[Edge, list[Node]] = {}
    for node in graph.nodes:
        for edge in dict.fromkeys(node.inputs):
            readers.setdefault(edge, []).append(node)
    nodes: list[Node] = []
    made: set[Edge] = set()
    for node in graph.nodes:
        turned = _turned_inputs(node, makers) if type(node.operation) in STEPS_FIRST else None
        if turned is not None:
            node = _whole(node, turned, readers, graph.output)
            made.update(node.outputs)
        if turned is not None or not made.issuperset(node.outputs):
            nodes.append(node)
    return dataclasses.replace(graph, nodes=tuple(_without_unread(nodes, graph.output)))


def _turned_inputs(node: Node, makers: Mapping[Edge, Node]) -> dict[Edge, Edge] | None:
    """For each tensor that a scan runs over the one with the batch first; None if there is none."""
    _, init, xs, captures = scan_arguments(node)
    parts = inputs_in(node, xs)
    if not parts or None in parts:
        return None
    others = {node.inputs[n] for n in inputs_in(node, [init, captures]) if n is not None}
    found = {}
    for edge in [node.inputs[part] for part in parts]:
        maker = makers.get(edge)
        if maker is None or not _turns(maker) or edge in others:
            return None
        found[edge] = maker.inputs[0]
    return found


def _turns(node: Node) -> bool:
    """Whether an operation swaps the first two axes of its input, and no others."""
    if type(node.operation) not in _TURNS or len(node.inputs) != 1:
        return False
    sizes = tuple(range(2, 2 + len(node.inputs[0].shape)))
    (made,) = node.run({node.inputs[0]: keras.ops.convert_to_tensor(np.zeros(sizes, "int8"))})
    return len(sizes) > 1 and tuple(made.shape) == (sizes[1], sizes[0], *sizes[2:])


def _whole(
    node: Node, turned: dict[Edge, Edge], readers: Mapping[Edge, list[Node]], output: Edge
) -> Node:
    """A scan and the transpositions around it as one node."""
    num_states = len(tree.flatten(scan_arguments(node)[1]))
    count = len(node.outputs) + len(node.unread)
    indices = [index for index in range(count) if index not in node.unread]
    reads: list[tuple[int, bool]] = []
    edges: list[Edge] = []
    for index, edge in zip(indices, node.outputs, strict=True):
        reading = readers.get(edge, [])
        back = [reader for reader in reading if index >= num_states and _turns(reader)]
        if len(back) < len(reading) or edge is output or not back:
            reads.append((index, False))
            edges.append(edge)
        reads += [(index, True)] * len(back)
        edges += [reader.outputs[0] for reader in back]
    return dataclasses.replace(
        node.reading(turned),
        operation=SequenceScan(node.operation, reads),
        outputs=tuple(edges),
        unread=frozenset(),
    )


def _without_unread(nodes: Sequence[Node], output: Edge) -> list[Node]:
    """The nodes less transpositions that nobody reads now."""
    kept: list[Node] = []
    read = {output}
    for node in reversed(nodes):
        if type(node.operation) not in _TURNS or read.intersection(node.outputs):
            kept.append(node)
            read.update(node.inputs)
    return kept[::-1]
