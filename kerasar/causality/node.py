"""The pieces of a graph: tensors, and the operations between them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from keras import tree

from kerasar.keras_internals import takes_training
from kerasar.typing import Shape, Tensor


@dataclasses.dataclass(eq=False)
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
        return self.run_each([values[edge] for edge in self.inputs], training)

    def run_each(self, values: Sequence[Tensor], training: bool = False) -> tuple[Tensor, ...]:
        """The operation's outputs for a value of each of its inputs, in their order.

        A tensor that is given twice, such as a query that is its own key, may have two values.
        """
        waiting: dict[Edge, list[Tensor]] = {}
        for edge, value in zip(self.inputs, values, strict=True):
            waiting.setdefault(edge, []).append(value)
        edges = dict(self.slots)

        def value_of(part: Any) -> Any:
            if id(part) not in edges:
                return part
            left = waiting[edges[id(part)]]
            return left.pop(0) if len(left) > 1 else left[0]

        args, kwargs = self.arguments.convert(value_of)
        kwargs = dict(kwargs)
        if "mask" in kwargs and kwargs["mask"] is None:
            del kwargs["mask"]
        if takes_training(self.operation):
            kwargs["training"] = training and not self.inference_only
        return tuple(tree.flatten(self.operation(*args, **kwargs)))

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
