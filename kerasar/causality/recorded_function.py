"""A function that a traced `call` hands to a scan, recorded: its operations, and what it uses."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import tree

from kerasar.causality.layer_view import CannotOpen, SubLayer
from kerasar.causality.node import Edge, Node
from kerasar.causality.traced_nodes import called, nodes_to, settle_sizes
from kerasar.keras_internals import forget_calls


class RecordedFunction:
    """What a function does with tensors; weights that it uses are read live.

    It is called as the function was, with the values of `captures` behind the arguments.

    Args:
        function: of structures of symbolic tensors.
        arguments: such structures.
        constants: returns the symbolic tensors that stand for weights and arrays, and these.

    Attributes:
        outputs: what it returns: a structure of symbolic tensors.
        captures: the other symbolic tensors that it uses.

    Raises:
        CannotOpen: if it returns something else than symbolic tensors.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: Sequence[Any],
        constants: Callable[[], list[tuple[Any, Any]]],
    ) -> None:
        self.outputs = function(*arguments)
        results, given = tree.flatten(self.outputs), tree.flatten(list(arguments))
        if not all(isinstance(part, keras.KerasTensor) for part in results):
            raise CannotOpen("the function of its scan returns something else than tensors")
        nodes = nodes_to(results)
        known = {id(tensor): value for tensor, value in constants()}
        running, fixed = set(map(id, given)), set(known)
        for node in nodes:
            read = set(map(id, node.input_tensors))
            side = running if read & running else fixed if read <= fixed else set()
            side.update(map(id, node.outputs))
        self.captures = _captured(nodes, results, running, fixed)
        kept = _leading_to(results, nodes, running | fixed)
        settle_sizes(kept, set())
        forget_calls([node for node in kept if id(node.outputs[0]) in running])

        edges: dict[int, Edge] = {}

        def edge_of(tensor: Any) -> Edge:
            made = Edge(tuple(tensor.shape), tensor.dtype, tensor.name)
            return edges.setdefault(id(tensor), made)

        self._inputs = [edge_of(tensor) for tensor in [*given, *self.captures]]
        self._calls = [_recorded(node, edge_of) for node in kept]
        self._results = [edge_of(tensor) for tensor in results]
        self._constants = {edges[key]: value for key, value in known.items() if key in edges}

    def __call__(self, *arguments: Any, training: bool = False) -> Any:
        given = tree.flatten(list(arguments))
        values: dict[Edge, Any] = dict(zip(self._inputs, given, strict=True))
        is_symbolic = any(isinstance(part, keras.KerasTensor) for part in given)
        for edge, value in self._constants.items():
            values[edge] = value if is_symbolic else keras.ops.convert_to_tensor(value)
        for node in self._calls:
            values.update(zip(node.outputs, node.run(values, training), strict=True))
        return tree.pack_sequence_as(self.outputs, [values[edge] for edge in self._results])

    @property
    def is_closed(self) -> bool:
        """Whether it uses its arguments only: no weight, no array, no other tensor."""
        return not self.captures and not self._constants


def _captured(
    nodes: list[Any], results: list[Any], running: set[int], fixed: set[int]
) -> list[Any]:
    """The tensors that are read and come from elsewhere."""
    read = [t for node in nodes if id(node.outputs[0]) in running for t in node.input_tensors]
    others = {id(t): t for t in [*read, *results] if id(t) not in running | fixed}
    return list(others.values())


def _leading_to(results: list[Any], nodes: list[Any], inside: set[int]) -> list[Any]:
    """The nodes inside that the results follow from."""
    needed, kept = set(map(id, results)), []
    for node in reversed(nodes):
        made = set(map(id, node.outputs))
        if made & needed and made <= inside:
            needed.update(map(id, node.input_tensors))
            kept.append(node)
    return kept[::-1]


def _recorded(node: Any, edge_of: Callable[[Any], Edge]) -> Node:
    operation = called(node.operation)
    return Node(
        operation,
        operation.name,
        tuple(map(edge_of, node.input_tensors)),
        tuple(map(edge_of, node.outputs)),
        node.arguments,
        tuple((id(tensor), edge_of(tensor)) for tensor in node.input_tensors),
        inference_only=isinstance(node.operation, SubLayer) and "training" in node.arguments.kwargs,
    )
