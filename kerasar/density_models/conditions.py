"""The conditions of a model: the inputs beside the data, what they must be like, and their checks.

Three callers bring conditions: a user passes arrays, a dataset streams tensors, and a request to a
server holds the inputs of a signature. All three are checked here.
"""

import keyword
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.causality.condition_limits import ConditionLimits, condition_limits
from kerasar.causality.graph import Graph
from kerasar.checks import check_kind, check_numbers, check_shape, check_whole
from kerasar.typing import Shape, Tensor

#: What signatures call their other inputs.
_SIGNATURE_WORDS = frozenset(
    "x known prompt length height width num_samples seed temperature top_k top_p".split()
)


@dataclass(frozen=True)
class Condition:
    """One condition.

    Attributes:
        name: of the network's input; "condition" if a model has one that needs no name.
        shape: without the batch axis; None where a size is open.
        dtype: what the network takes.
        limits: constraints beyond the shape.
    """

    name: str
    shape: Shape
    dtype: str
    limits: ConditionLimits = ConditionLimits()

    @property
    def label(self) -> str:
        """What error messages call it."""
        return "condition" if self.name == "condition" else f"condition '{self.name}'"

    def check(self, value: Any, examples: int, sizes: Shape | None) -> np.ndarray:
        """The condition as an array of its dtype; raises as `Conditions.check` does."""
        array = check_kind(value, self.label)
        self.check_static_shape(array.shape, examples, sizes)
        array = check_numbers(array, self.shape, self.label)
        if keras.backend.is_int_dtype(self.dtype):
            check_whole(array, self.label)
            self.limits.check_classes(array, self.name)
        return array.astype(self.dtype, copy=False)

    def check_static_shape(
        self, shape: tuple[int, ...], examples: int, sizes: Shape | None
    ) -> None:
        """Raises a ValueError if a condition of that shape does not fit the data."""
        self.limits.check_sizes(shape, sizes, self.name)
        check_shape(shape, self.shape, self.label)
        if shape[0] != examples and None not in (shape[0], examples):
            raise ValueError(
                f"{self.label} must have one row for each of the {examples} examples, but has "
                f"{shape[0]}."
            )

    def assertions(self, tensor: Tensor, sizes: Tensor) -> list[Any]:
        """Graph assertions that fail where the values of a condition do not fit.

        Args:
            tensor: the condition, of any dtype.
            sizes: shape of one example of the data, an int vector.
        """
        cast = tf.cast(tensor, self.dtype)
        exact = tensor if tensor.dtype.is_floating else cast
        found = self.limits.assertions(exact, sizes, self.name)
        if cast.dtype.is_floating:
            finite = tf.reduce_all(tf.math.is_finite(cast))
            found.append(tf.debugging.Assert(finite, [f"x must have a finite {self.label}"]))
        elif tensor.dtype.is_floating:
            whole = tf.reduce_all(tf.equal(tensor, tf.round(tensor)))
            words = f"x must have whole numbers as {self.label}"
            found.append(tf.debugging.Assert(whole, [words]))
        return found

    def shape_assertions(self, tensor: Tensor, examples: Tensor) -> list[Any]:
        """Graph assertions that fail where sizes left open by a dataset do not fit."""
        found = []
        for axis, size in enumerate((examples, *self.shape)):
            if tensor.shape[axis] is None and size is not None:
                words = f"x must have a {self.label} of size, along axis {axis}, but its shape is"
                fits = tf.equal(tf.shape(tensor)[axis], size)
                found.append(tf.debugging.Assert(fits, [words, size, tf.shape(tensor)]))
        return found


class Conditions:
    """The conditions of a model, in the order of its network's inputs; there may be none.

    Args:
        conditions: a `Condition` for each.
        owner: the model's name, for error messages.
        advice: what gives a model without conditions one, for error messages.
    """

    def __init__(self, conditions: Sequence[Condition], owner: str, advice: str) -> None:
        self._conditions = tuple(conditions)
        self._owner, self._advice = owner, advice

    @classmethod
    def of_graph(cls, graph: Graph, owner: str, others: Container[str] = ()) -> "Conditions":
        """The inputs of a network that hold no data.

        Args:
            graph: of the network.
            owner: the model's name.
            others: names of further inputs that are not conditions.
        """
        limits = condition_limits(graph, with_sizes=True)
        found = [
            Condition(
                edge.name,
                tuple(edge.shape[1:]),
                edge.dtype,
                limits.get(edge.name, ConditionLimits()),
            )
            for edge in graph.conditions
            if edge.name not in others
        ]
        return cls(found, owner, "give the network a second input")

    def __iter__(self) -> Iterator[Condition]:
        return iter(self._conditions)

    def __len__(self) -> int:
        return len(self._conditions)

    @property
    def shapes(self) -> dict[str, Shape]:
        """Shapes by name, without the batch axis."""
        return {condition.name: condition.shape for condition in self}

    @property
    def dtypes(self) -> dict[str, str]:
        """What the network takes, by name."""
        return {condition.name: condition.dtype for condition in self}

    @property
    def limits(self) -> dict[str, ConditionLimits]:
        """Constraints beyond the shapes, by name."""
        return {condition.name: condition.limits for condition in self}

    @property
    def are_classes(self) -> bool:
        """Whether each is one of a known number of classes for each example."""
        return bool(self) and all(
            not condition.shape and condition.limits.num_classes for condition in self
        )

    # Arrays that a user passes.

    def check(
        self, condition: Any, examples: int, sizes: Shape | None = None
    ) -> dict[str, np.ndarray] | None:
        """The conditions by name, as arrays with one row for each example.

        Args:
            condition: what a user passes: an array if there is one condition, or a dict by name.
            examples: how many the data hold.
            sizes: shape of one example of the data, where it matters.

        Raises:
            ValueError: if it is missing, superfluous, misnamed, of another shape or size, or
                a class that the network does not know.
        """
        named = self._by_name(condition)
        return {c.name: c.check(named[c.name], examples, sizes) for c in self} or None

    def check_static_shape(self, condition: Any, examples: int, sizes: Shape) -> None:
        """The same from shapes alone, for data that stream in."""
        named = self._by_name(condition)
        for part in self:
            part.check_static_shape(tuple(named[part.name].shape), examples, sizes)

    def _by_name(self, condition: Any) -> dict[str, Any]:
        if not self._conditions:
            if condition is None:
                return {}
            raise ValueError(
                f"Model '{self._owner}' has no condition, but got one. Leave condition out, or "
                f"{self._advice}."
            )
        if condition is None:
            wanted = ", ".join(f"{part.label} of shape {part.shape}" for part in self)
            raise ValueError(
                f"Model '{self._owner}' needs the {wanted}. Pass condition=…, or train on "
                '{"x": x, "condition": …}.'
            )
        if not isinstance(condition, dict):
            if len(self) > 1:
                raise ValueError(
                    f"Model '{self._owner}' has the conditions {list(self.shapes)}: pass a dict "
                    "with these names."
                )
            return {self._conditions[0].name: condition}
        if set(condition) != set(self.shapes):
            raise ValueError(
                f"Model '{self._owner}' takes the conditions {sorted(self.shapes)}, but got "
                f"{sorted(condition)}."
            )
        return condition

    # Tensors.

    def tensors(self, condition: Any) -> list[Tensor]:
        """The conditions in the network's order and dtypes, from a dict or the one condition."""
        named = self._by_name(condition)
        return [tf.cast(named[part.name], part.dtype) for part in self]

    def assertions(self, condition: Any, sizes: Tensor) -> list[Any]:
        """Graph assertions that fail where conditions that stream in do not fit.

        Args:
            condition: tensors by name, or the one condition.
            sizes: shape of the batch of data, an int vector.
        """
        found = []
        for part in self:
            tensor = tf.convert_to_tensor(self._by_name(condition)[part.name])
            found += part.shape_assertions(tensor, sizes[0])
            found += part.assertions(tensor, sizes[1:])
        return found

    def random(
        self, generator: np.random.Generator, examples: int, sizes: tuple[int, ...]
    ) -> dict[str, Tensor] | None:
        """Conditions to try a network on, for data of these sizes."""
        found = {}
        for part in self:
            length = sizes[0] // (part.limits.hop or 1)
            shape = (examples, *(size or length for size in part.shape))
            values: np.ndarray = generator.normal(size=shape)
            if "float" not in part.dtype:
                # Class 0 is the one that every table has.
                count = 2 if part.dtype == "bool" else part.limits.num_classes or 1
                values = generator.integers(count, size=shape)
            found[part.name] = tf.constant(values.astype(part.dtype))
        return found or None

    # Signatures of a SavedModel.

    def specs(self) -> list[tf.TensorSpec]:
        """What a signature takes, in the network's order."""
        return [
            tf.TensorSpec((None, *part.shape), part.dtype, name=_signature_name(part.name))
            for part in self
        ]

    def from_signature(
        self, tensors: Sequence[Tensor], examples: Tensor, sizes: Tensor
    ) -> dict[str, Tensor] | None:
        """The inputs of a signature by name; a request fails where one does not fit.

        Args:
            tensors: in the order of `specs`.
            examples: how many the data hold, scalar.
            sizes: shape of one example of the data, an int vector.
        """
        named = {}
        for part, tensor in zip(self, tensors, strict=True):
            rows = tf.shape(tensor)[0]
            words = f"{part.name} must have one row for each example, but rows and examples are"
            fits = tf.debugging.Assert(tf.equal(rows, examples), [words, rows, examples])
            with tf.control_dependencies([fits, *part.assertions(tensor, sizes)]):
                named[part.name] = tf.identity(tensor)
        return named or None


def _signature_name(name: str) -> str:
    """What a signature calls a condition: `global` and `seed` become `global_` and `seed_`.

    TensorFlow takes no keywords as the names of inputs, and each name once.
    """
    return f"{name}_" if keyword.iskeyword(name) or name in _SIGNATURE_WORDS else name
