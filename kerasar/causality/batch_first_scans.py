"""Scans over steps on the first axis, as operations on tensors whose first axis is the batch.

`keras.ops.scan` runs over axis 0, so whoever uses it for a recurrence over the steps of examples
brings the steps there, and back behind it:

    (batch, steps, …) -> transpose -> [by channel] -> scan -> [by channel] -> transpose

Every tensor in between has a twin with the batch first. Made from twins, by operations that treat
each step of each example by itself, the last of them is what the second transposition makes; the
scan is then a recurrence like a layer's.
"""

import dataclasses

import keras
import numpy as np
from keras import tree

from kerasar.causality.graph import Edge, Graph, Node
from kerasar.causality.rules import declaration
from kerasar.causality.rules.pointwise import ELEMENTWISE_CLASSES, MERGES
from kerasar.causality.rules.scans import inputs_in, is_here, scan_arguments
from kerasar.causality.scan_operations import STEPS_FIRST, SequenceScan
from kerasar.keras_internals import operation_classes
from kerasar.layers.protocol import Pointwise

L = keras.layers
_TURNS = frozenset(operation_classes("Transpose", "Swapaxes", "Moveaxis"))
_PRODUCTS = frozenset(operation_classes("Matmul"))
#: Operations that do the same whatever the first two axes hold, if they leave these alone.
_BY_CHANNEL = frozenset(
    [
        *ELEMENTWISE_CLASSES, *MERGES, *_PRODUCTS,
        *operation_classes("Split", "Concatenate", "Softmax", "LogSoftmax"),
        L.Dense, L.Activation, L.ReLU, L.LeakyReLU, L.Dropout, L.LayerNormalization,
        L.RMSNormalization, L.Concatenate,
    ]
)  # fmt: skip


def put_batch_first(graph: Graph) -> Graph:
    """The same graph with twins in the place of the tensors whose steps are on the first axis."""
    if graph.position_rank != 1 or not any(type(n.operation) in STEPS_FIRST for n in graph.nodes):
        return graph
    return _Twins(graph).graph()


class _Twins:
    """Makes twins from input to output."""

    def __init__(self, graph: Graph) -> None:
        self.whole = graph
        self.nodes: list[Node] = []
        #: For each tensor with the steps first the one with the batch first.
        self.twins: dict[Edge, Edge] = {}
        #: Tensors that are the same as others, which are read in their place.
        self.now: dict[Edge, Edge] = {}
        #: Nodes that are left out where nobody reads what they make.
        self.spare: set[Edge] = set()
        #: What follows from weights and constants.
        self.fixed: set[Edge] = set(graph.constants)

    def graph(self) -> Graph:
        for node in self.whole.nodes:
            self.nodes.append(node)
            if self.fixed.issuperset(node.inputs):
                self.fixed.update(node.outputs)
            elif _turns(node):
                self._turn(node)
            else:
                self._add(self._twin(node), node)
        nodes: list[Node] = []
        read = {self.whole.output}
        for node in reversed(self.nodes):
            outputs = tuple(self.now.get(edge, edge) for edge in node.outputs)
            if read.intersection(outputs) or not self.spare.issuperset(node.outputs):
                node = dataclasses.replace(node.reading(self.now), outputs=outputs)
                read.update(node.inputs)
                nodes.append(node)
        others = {twin: edge for edge, twin in self.twins.items()}
        return dataclasses.replace(self.whole, nodes=tuple(nodes[::-1]), stand_for=others)

    def _turn(self, node: Node) -> None:
        (source,), (made,) = node.inputs, node.outputs
        twin = self.twins.get(source)
        if twin is None:
            self.twins[made] = source
            self.spare.add(made)
        elif twin in self.spare and twin not in {*self.now, self.whole.output}:
            self.now[twin] = made
            self.nodes.pop()
        elif made is not self.whole.output:
            self.now[made] = self.now.get(twin, twin)
            self.nodes.pop()

    def _add(self, twin: Node | None, node: Node) -> None:
        """Notes a node on tensors with the batch first, beside the one on the others."""
        if twin is None:
            return
        self.nodes.append(twin)
        made = node.outputs[-len(twin.outputs) :]
        self.twins.update(zip(made, twin.outputs, strict=True))
        self.spare.update([*node.outputs, *twin.outputs])

    def _twin(self, node: Node) -> Node | None:
        if not any(edge in self.twins for edge in node.inputs):
            return None
        if type(node.operation) in STEPS_FIRST:
            return self._scan(node)
        others = [edge for edge in node.inputs if edge not in self.twins]
        rank = min(len(edge.shape) for edge in node.outputs)
        if type(node.operation) not in _BY_CHANNEL or rank < 3:
            return None
        if not all(edge in self.fixed and _is_by_channel(edge, node) for edge in others):
            return None
        made = tuple(map(_turned, node.outputs))
        twin = dataclasses.replace(node.reading(self.twins), outputs=made)
        is_local = self._is_local(node, others) and self._is_local(twin, others)
        return twin if is_local else None

    def _is_local(self, node: Node, others: list[Edge]) -> bool:
        """Whether an operation treats each step of each example by itself, and alike.

        Args:
            node: the operation.
            others: its inputs that are neither tensors of steps nor their twins.
        """
        declared = declaration(node, 1, set(node.inputs).difference(others))
        return isinstance(declared, Pointwise) or is_here(declared)

    def _scan(self, node: Node) -> Node | None:
        _, init, xs, captures = scan_arguments(node)
        parts = inputs_in(node, xs)
        others = {node.inputs[n] for n in inputs_in(node, [init, captures]) if n is not None}
        if not parts or None in parts:
            return None
        edges = {node.inputs[part] for part in parts}
        if edges & others or not edges <= self.twins.keys():
            return None
        num_states, count = len(tree.flatten(init)), len(node.outputs) + len(node.unread)
        stacked = [n for n in range(num_states, count) if n not in node.unread]
        turned = node.reading(
            {edge: self.twins[edge] for edge in map(node.inputs.__getitem__, parts)}
        )
        # What is read of it otherwise is refused, for a reason of its own.
        read = [n for n in range(count) if n not in node.unread]
        self.nodes[-1] = _in_sequence(turned, node.outputs, [(n, False) for n in read])
        if not stacked:
            return None
        made = tuple(map(_turned, node.outputs[-len(stacked) :]))
        return _in_sequence(turned, made, [(n, True) for n in stacked])


def _in_sequence(scan: Node, outputs: tuple[Edge, ...], reads: list[tuple[int, bool]]) -> Node:
    operation = SequenceScan(scan.operation, reads)
    return dataclasses.replace(scan, operation=operation, outputs=outputs, unread=frozenset())


def _is_by_channel(constant: Edge, node: Node) -> bool:
    """Whether a constant is the same for all indices on the first two axes of what it meets."""
    if type(node.operation) in _PRODUCTS:
        return len(constant.shape) == 2
    missing = len(node.outputs[0].shape) - len(constant.shape)
    return all(size == 1 for size in constant.shape[: max(2 - missing, 0)])


def _turned(edge: Edge) -> Edge:
    return Edge((*edge.shape[1::-1], *edge.shape[2:]), edge.dtype, edge.name)


def _turns(node: Node) -> bool:
    """Whether an operation swaps the first two axes of its input, and no others."""
    if type(node.operation) not in _TURNS or len(node.inputs) != 1:
        return False
    sizes = tuple(range(2, 2 + len(node.inputs[0].shape)))
    (made,) = node.run({node.inputs[0]: keras.ops.convert_to_tensor(np.zeros(sizes, "int8"))})
    return len(sizes) > 1 and tuple(made.shape) == (sizes[1], sizes[0], *sizes[2:])
