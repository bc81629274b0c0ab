"""Finds the declaration of an operation: its own, or the rule for its kind."""

from collections.abc import Callable, Container
from typing import Any, NamedTuple, TypeVar

import keras
import numpy as np
import tensorflow as tf

from kerasar.causality.node import Edge, Node
from kerasar.causality.rules.activations import is_elementwise, is_over_channels
from kerasar.keras_internals import replaces_methods
from kerasar.layers.protocol import (
    POINTWISE,
    Declaration,
    MixesPositions,
    Recurrence,
    RowRecurrence,
    Taps,
    declares,
)
from kerasar.typing import Shape, Tensor


class Use(NamedTuple):
    """One use of an operation, as rules see it.

    Attributes:
        node: of the graph.
        position_rank: number of position axes.
        data_dependent: the tensors that depend on the data.
        axis: of the (first) input, which holds the (first) positions.
    """

    node: Node
    position_rank: int
    data_dependent: Container[Edge] = ()
    axis: int = 1

    @property
    def operation(self) -> Any:
        """The layer, or the `keras.ops` operation."""
        return self.node.operation

    @property
    def rank(self) -> int:
        """The rank of the (first) input."""
        return len(self.node.inputs[0].shape)

    @property
    def has_channels(self) -> bool:
        """Whether the (first) input has an axis behind its positions."""
        return self.rank > self.position_rank + 1

    def arguments(self, *names: str) -> list[Any]:
        """The call's arguments of these names, in the order of the call; None where not given."""
        args, kwargs = self.node.constants
        return [args[n] if n < len(args) else kwargs.get(name) for n, name in enumerate(names)]

    def argument(self, name: str, index: int) -> list[Edge]:
        """The tensors of the graph in an argument of the call, by keyword or at an index."""
        arguments = self.node.arguments
        given = arguments.args[index] if len(arguments.args) > index else None
        given = arguments.kwargs.get(name) if given is None else given
        slots = dict(self.node.slots)
        return [slots[id(part)] for part in keras.tree.flatten(given) if id(part) in slots]


Rule = Callable[[Use], Declaration | None]
RULES: dict[type, Rule] = {}


def declaration(
    node: Node,
    position_rank: int,
    data_dependent: Container[Edge] = (),
) -> Declaration | None:
    """What an operation declares about itself or is known to see; None if unknown.

    Args:
        node: one use of the operation.
        position_rank: number of position axes.
        data_dependent: the tensors that depend on the data, where merges ask for it.
    """
    operation = node.operation
    use = Use(node, position_rank, data_dependent)
    if declares(operation):
        declared = _declared(operation, position_rank)
        declared = _cast_first(operation, declared)
        return with_activation(declared, getattr(operation, "activation", None), use)
    rule = None if replaces_methods(operation) else RULES.get(type(operation))
    return None if rule is None else _cast_first(operation, rule(use))


def has_rule(operation: Any) -> bool:
    """Whether an operation declares what it sees, or there is a rule for its class."""
    return declares(operation) or (type(operation) in RULES and not replaces_methods(operation))


def with_activation(declared: Declaration, activation: Any, use: Use) -> Declaration | None:
    """The declaration of a layer that ends with an activation function; None if that is unknown."""
    if is_elementwise(activation):
        return declared
    if not is_over_channels(activation):
        return None
    if len(use.node.outputs[0].shape) > use.position_rank + 1:
        return declared
    return MixesPositions("its activation works along the last axis, which holds positions")


def _declared(operation: Any, position_rank: int) -> Declaration:
    if hasattr(operation, "taps"):
        taps = operation.taps(position_rank)
        if isinstance(taps, Taps) and taps.combine is None and taps.matrices is None:
            taps = taps._replace(combine=getattr(operation, "combine", None))
        if isinstance(taps, Taps) and any(len(offset) != position_rank for offset in taps.offsets):
            return MixesPositions(
                f"its windows have {len(taps.offsets[0])} axes, but the data have {position_rank}: "
                "data of images are (height, width, channels), all else is a sequence"
            )
        return without_masked(taps) if isinstance(taps, Taps) else taps
    connects = operation.connects() if hasattr(operation, "connects") else None
    if hasattr(operation, "initial_rows"):
        if position_rank != 2:
            return MixesPositions("it is a recurrence over an image, but the data are a sequence")
        return RowRecurrence(
            operation.sees,
            operation.initial_rows,
            in_its_dtype(operation, operation.row),
            operation.initial,
            in_its_dtype(operation, operation.step),
            connects,
        )
    along_rows = getattr(operation, "along_rows", False)
    if along_rows and position_rank == 1:
        return POINTWISE  # each step of the data has rows of its own
    if position_rank != 1 and not along_rows:
        return MixesPositions("it is a recurrence over a sequence")
    offset = getattr(operation, "step_offset", 0)
    step = in_its_dtype(operation, operation.step)
    return Recurrence(operation.initial, step, offset, connects=connects)


_Known = TypeVar("_Known", Declaration, Declaration | None)


def _cast_first(operation: Any, declared: _Known) -> _Known:
    """A declaration whose `combine` gets values in the layer's dtype, as Keras casts for `call`."""
    if not isinstance(declared, Taps) or declared.combine is None:
        return declared
    if not getattr(operation, "autocast", False):
        return declared
    return declared._replace(combine=in_its_dtype(operation, declared.combine))


def in_its_dtype(layer: Any, step: Callable[..., Any]) -> Callable[..., Any]:
    """A method that takes x first, on x in the layer's dtype, to which Keras casts for `call`."""

    def cast(value: Tensor) -> Tensor:
        is_float = tf.as_dtype(value.dtype).is_floating
        return tf.cast(value, layer.compute_dtype) if is_float else value

    def step_in_its_dtype(x: Any, *others: Any) -> Any:
        return step(tf.nest.map_structure(cast, x) if layer.autocast else x, *others)

    return step_in_its_dtype


def without_masked(taps: Taps) -> Taps:
    """The same without the taps of a linear map of which the mask leaves nothing."""
    if taps.connects is None or taps.matrices is None:
        return taps
    links, whole = np.asarray(taps.connects), taps.matrices
    kept = [tap for tap, link in enumerate(links) if link.any()]
    return taps._replace(
        offsets=tuple(taps.offsets[tap] for tap in kept),
        matrices=lambda: [matrix for n, matrix in enumerate(whole()) if n in kept],
        connects=links[kept],
    )


def tail_of(edge: Edge, axis: int) -> Shape:
    """The shape of one step of one example: without the axis of the steps and the batch."""
    return tuple(size for n, size in enumerate(edge.shape) if n != axis)[1:]


def rule(*kinds: Any) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        for kind in kinds:
            RULES[kind] = rule
        return rule

    return register
