"""The pieces of a graph: tensors, and the operations between them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras import tree

from kerasar.keras_internals import takes_training
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
    inference_only: bool = False  # called with training=False within an opened layer
    why_closed: str = ""  # why a layer that has no rule was not opened into its pieces

    def run(self, values: dict[Edge, Tensor], training: bool = False) -> tuple[Tensor, ...]:
        """The operation's outputs for given values of its inputs."""
        given = {key: values[edge] for key, edge in self.slots}
        args, kwargs = self.arguments.convert(lambda part: given.get(id(part), part))
        kwargs = dict(kwargs)
        if "mask" in kwargs and kwargs["mask"] is None:
            del kwargs["mask"]
        if takes_training(self.operation):
            kwargs["training"] = training and not self.inference_only
        return tuple(tree.flatten(self.operation(*args, **kwargs)))

    def reading(self, others: Mapping[Edge, Edge]) -> "Node":
        """The same node with other tensors in the place of some that it reads."""
        if not any(edge in others for edge in self.inputs):
            return self
        return dataclasses.replace(
            self,
            inputs=tuple(others.get(edge, edge) for edge in self.inputs),
            slots=tuple((key, others.get(edge, edge)) for key, edge in self.slots),
        )

    @property
    def constants(self) -> tuple[list[Any], dict[str, Any]]:
        """The call's arguments, symbolic tensors included, as they were written down."""
        return list(self.arguments.args), dict(self.arguments.kwargs)

    @property
    def unknown_because(self) -> str:
        """Why nothing is known of an operation without a rule, as the end of a sentence."""
        if not self.why_closed:
            return "does not declare what it sees"
        return f"does not declare what it sees, and cannot be opened: {self.why_closed}"
