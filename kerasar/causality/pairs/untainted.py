"""What is known of the tensors that do not depend on the data: constants, weights, conditions."""

from typing import Any

import keras
import numpy as np

from kerasar.causality.graph import Edge, Graph, Node
from kerasar.causality.pairs.moves import MOVES
from kerasar.causality.pairs.values import (
    ORDINARY,
    UNKNOWN,
    VARIABLES,
    as_values,
    combine,
    operands,
)
from kerasar.causality.rules.pointwise import ELEMENTWISE_CLASSES
from kerasar.keras_internals import operation_classes

_PLAIN_LAYERS = (keras.layers.Identity, keras.layers.Reshape, keras.layers.Permute)
#: Operations whose results are copies of elements, and of constants.
_COPIES = frozenset(operation_classes("Pad", "Concatenate", "Stack"))
#: Larger constants are not looked into.
_LARGEST = 300_000_000


def _is_given_variables(node: Node) -> bool:
    """Whether an argument of the call is a variable, which is no tensor of the graph."""
    return any(isinstance(part, VARIABLES) for part in keras.tree.flatten(node.constants))


def _has_no_weights(node: Node) -> bool:
    """Whether an operation follows from constants: functions do, and some layers."""
    is_layer = isinstance(node.operation, keras.layers.Layer)
    return not _is_given_variables(node) and (not is_layer or type(node.operation) in _PLAIN_LAYERS)


class KnownValues:
    """Looks up what is known of a tensor that does not depend on the data.

    Constants, and what is computed of them, are known exactly; weights are ordinary elements.
    Conditions are unknown, except for what constants impose on them, as a mask does.

    Args:
        graph: of the network.
    """

    def __init__(self, graph: Graph) -> None:
        self._made_by = {edge: node for node in graph.nodes for edge in node.outputs}
        self._constants: dict[Edge, Any] = dict(graph.constants)
        self._exact: dict[Edge, Any] = {}
        self._found: dict[Edge, np.ndarray] = {}

    def add(self, constants: dict[Edge, Any]) -> None:
        """Makes further constants known."""
        self._constants.update(constants)

    def of(self, edge: Edge) -> np.ndarray:
        """What is known of a tensor, as an array that broadcasts against it."""
        if edge not in self._found:
            self._found[edge] = self._look_up(edge)
        return self._found[edge]

    def _look_up(self, edge: Edge) -> np.ndarray:
        exact = self._exactly(edge)
        if exact is not None:
            return as_values(exact)
        blank = [1] * len(edge.shape)
        if isinstance(self._constants.get(edge), VARIABLES):
            return np.full(blank, ORDINARY)
        node = self._made_by.get(edge)
        if node is None:
            return np.full(blank, UNKNOWN)
        kind = type(node.operation)
        if kind is keras.layers.Embedding:
            return np.full(blank, ORDINARY)  # a row of its weights, such as a learned bias
        if kind in ELEMENTWISE_CLASSES:
            parts = [self._operand(node, part) for part in operands(node)]
            return combine(node.operation, parts)
        if (kind in MOVES or kind in _COPIES) and not _is_given_variables(node):
            return self._moved(node, edge)
        ordinary = all(np.isinf(self.of(source)).all() for source in node.inputs)
        return np.full(blank, ORDINARY if ordinary and edge.dtype != "bool" else UNKNOWN)

    def _moved(self, node: Node, edge: Edge) -> np.ndarray:
        given = {}
        for source in node.inputs:
            if None in source.shape[1:]:
                return np.full([1] * len(edge.shape), UNKNOWN)
            values = np.broadcast_to(self.of(source), [size or 1 for size in source.shape])
            given[source] = keras.ops.convert_to_tensor(values, "float64")
        try:
            made = node.run(given)
        except Exception:  # a shape that names the size of the batch
            return np.full([1] * len(edge.shape), UNKNOWN)
        return np.asarray(made[node.outputs.index(edge)])

    def _operand(self, node: Node, part: Any) -> np.ndarray:
        slots = dict(node.slots)
        return self.of(slots[id(part)]) if id(part) in slots else as_values(part)

    def _exactly(self, edge: Edge) -> Any:
        """The value of a tensor that follows from constants alone; None if it does not."""
        if edge in self._exact:
            return self._exact[edge]
        node, found = self._made_by.get(edge), self._constants.get(edge)
        if isinstance(found, VARIABLES):
            found = None
        elif node is not None and _has_no_weights(node):
            parts = {source: self._exactly(source) for source in node.inputs}
            small = np.prod([size or 1 for size in edge.shape], dtype=float) < _LARGEST
            if small and all(part is not None for part in parts.values()):
                self._exact.update(zip(node.outputs, node.run(parts), strict=True))
                return self._exact[edge]
        self._exact[edge] = found
        return found
