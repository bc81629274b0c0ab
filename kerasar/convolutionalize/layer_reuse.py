"""Calls the operations of one network in another: same layers, same settings, unique names."""

from typing import Any

import keras
from keras import tree

from kerasar.causality.graph import Node
from kerasar.typing import Tensor


def call(node: Node, operation: Any, inputs: list[Tensor]) -> Tensor:
    """An operation on other tensors, with the settings of a node's call."""
    by_edge = dict(zip(node.inputs, inputs, strict=True))
    args, kwargs = node.arguments.fill_in({key: by_edge[edge] for key, edge in node.slots})
    kwargs = {name: value for name, value in kwargs.items() if value is not None}
    return tree.flatten(operation(*args, **kwargs))[0]


def operation_like(operation: Any) -> Any:
    """A copy of a `keras.ops` function in a graph, newly named by Keras.

    One that was loaded from a file may have the name of one made here. One that no file can hold,
    for an array among its settings, stays as it is.
    """
    try:
        config = {key: value for key, value in operation.get_config().items() if key != "name"}
    except NotImplementedError:
        return operation
    return type(operation)(**config)


class Reuse:
    """Who has which name in the new network; models inside of the old one may use one twice."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._owners: dict[str, Any] = {}
        self._operations: dict[Any, Any] = {}

    def unique(self, name: str) -> str:
        """The name, with a suffix if it is taken; pieces of layers have a slash in theirs."""
        name = name.replace("/", "_")
        number, found = 0, name
        while found in self._names:
            number += 1
            found = f"{name}_{number}"
        self._names.add(found)
        return found

    def owns_its_name(self, layer: Any) -> bool:
        """Whether a layer can be called as it is, for no other has its name."""
        if layer.name not in self._names:
            self._names.add(layer.name)
            self._owners[layer.name] = layer
        return self._owners.get(layer.name) is layer

    def name_for(self, layer: Any) -> str:
        """The name of what replaces a layer: the layer's own, if no other has it."""
        return layer.name if self.owns_its_name(layer) else self.unique(layer.name)

    def operation(self, operation: Any) -> Any:
        """What is called for an operation: itself, or a copy of another name if it has no weights.

        None if it has weights and another layer has its name.
        """
        if operation not in self._operations:
            self._operations[operation] = self._found(operation)
        return self._operations[operation]

    def _found(self, operation: Any) -> Any:
        if not isinstance(operation, keras.layers.Layer):
            return operation_like(operation)
        if self.owns_its_name(operation):
            return operation
        if operation.weights:
            return None
        config = {**operation.get_config(), "name": self.unique(operation.name)}
        return type(operation).from_config(config)
