"""The pieces of a graph: tensors, and the operations between them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from kerasar.causality.associative_scan import ASSOCIATIVE_SCANS, associative_scan
from kerasar.keras_internals import nodes_of, operation_classes, takes_training, without_mask
from kerasar.layers.protocol import declares
from kerasar.typing import Shape, Tensor

_FILLED = frozenset(operation_classes("ZerosLike", "OnesLike", "FullLike"))
JOINING = frozenset([keras.layers.Concatenate, *operation_classes("Concatenate", "Stack")])


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
    unread: frozenset[int] = frozenset()  # which of the operation's outputs nobody reads
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
        if type(self.operation) in JOINING and self.operation.axis != 0 and args:
            args = (_for_each_example(args[0]), *args[1:])
        if type(self.operation) in ASSOCIATIVE_SCANS:
            found = associative_scan(self.operation, *args, **kwargs)
        else:
            found = self.operation(*args, **kwargs)
        made = enumerate(map(without_mask, tree.flatten(found)))
        return tuple(value for index, value in made if index not in self.unread)

    @property
    def only_shape(self) -> bool:
        """Whether the output follows from the shape of the input: one number, of a known size."""
        is_filled = type(self.operation) in _FILLED and len(self.inputs) == 1
        return is_filled and None not in self.outputs[0].shape[1:]

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
        if declares(self.operation):
            return "declares what it sees, but not of positions that lie where they do here"
        if not self.why_closed:
            return "does not declare what it sees"
        return f"does not declare what it sees, and cannot be opened: {self.why_closed}"


def _for_each_example(parts: Sequence[Any]) -> list[Any]:
    """What is joined, for each example: a layer is opened with one, and so makes its constants.

    Other operations broadcast them as they are.
    """
    tensors = [tf.convert_to_tensor(part) for part in parts]
    many = next((part for part in tensors if part.shape[0] != 1), None)
    if many is None:
        return tensors
    return [
        tf.repeat(part, tf.shape(many)[0], axis=0) if part.shape[0] == 1 else part
        for part in tensors
    ]


def flat_nodes(functional: Any) -> list[Node]:
    """The nodes of a functional model as Keras has them, nothing opened."""
    edges: dict[int, Edge] = {}

    def edge_of(tensor: Any) -> Edge:
        made = Edge(tuple(tensor.shape), tensor.dtype, tensor.name)
        return edges.setdefault(id(tensor), made)

    return [
        Node(
            node.operation,
            node.operation.name,
            tuple(edge_of(tensor) for tensor in node.input_tensors),
            tuple(edge_of(tensor) for tensor in node.outputs),
            node.arguments,
            tuple((id(tensor), edge_of(tensor)) for tensor in node.input_tensors),
        )
        for node in nodes_of(functional)
    ]
