"""Constraints on condition inputs beyond their shapes, from the layers that read them.

An integer that is looked up in a table must be inside it; a compiled look-up would take the nearest
row instead. A slow series that is upsampled must have as many steps as the data require. A map that
has the size of the data must have it when that size is open; a sampler would repeat the last value.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kerasar.causality.graph import Graph
from kerasar.keras_internals import call_with
from kerasar.typing import Shape, Tensor

#: The size that open axes are tried at, times one more than the index of the axis.
_TRIED = 48


class ConditionLimits(NamedTuple):
    """The limits of one condition.

    Attributes:
        num_classes: number of rows of the table in which integers are looked up, else None.
        hop: how many steps of the data a step of it lasts, if it is upsampled, else None.
        beside: position axes, counted without the batch, that must be as long as those of the data.
    """

    num_classes: int | None = None
    hop: int | None = None
    beside: tuple[int, ...] = ()

    def check_classes(self, array: np.ndarray, name: str) -> None:
        """Raises a ValueError if the condition of that name is outside of its table."""
        if self.num_classes is None or array.size == 0:
            return
        low, high = array.min(), array.max()
        if low < 0 or high >= self.num_classes:
            raise ValueError(
                f"condition '{name}' must lie in [0, {self.num_classes}), the classes that the "
                f"network knows, but holds {low if low < 0 else high}. Number the classes from 0, "
                "or build the network for more of them."
            )

    def check_sizes(self, shape: tuple[int, ...], sizes: Shape | None, name: str) -> None:
        """Raises a ValueError if a condition of that shape does not fit data of those sizes."""
        if sizes is None or len(shape) < 2:
            return
        for axis in self.beside:
            if axis + 1 >= len(shape) or None in (sizes[axis], shape[axis + 1]):
                continue
            if sizes[axis] != shape[axis + 1]:
                raise ValueError(
                    f"condition '{name}' must have the sizes of the data, but "
                    f"its shape is {tuple(shape)} and that of an example is {tuple(sizes)}. Resize "
                    "the condition, or the data."
                )
        length = sizes[0]
        if self.hop is None or length is None or shape[1] is None:
            return
        steps, hop = shape[1], self.hop
        if steps * hop != length:
            advice = f"Give {length // hop} steps, the length divided by {hop}."
            if length % hop:
                advice = (
                    f"Make the length a multiple of {hop}, and divide it by {hop} for the steps."
                )
            raise ValueError(
                f"condition '{name}' has {steps} steps, each of which lasts {hop} steps of the "
                f"data: {steps} × {hop} = {steps * hop} in all, but the data have length {length}. "
                f"{advice}"
            )

    def assertions(self, part: Tensor, sizes: Tensor, name: str) -> list[Any]:
        """The same as graph assertions, for data that stream in and requests to a server."""
        found = []
        if self.num_classes is not None:
            low, high = tf.reduce_min(part), tf.reduce_max(part)
            words = (
                f"x must have a condition {name} in [0, {self.num_classes}), but it goes from, to"
            )
            inside = (low >= 0) & (high < self.num_classes)
            found.append(tf.debugging.Assert(inside, [words, low, high]))
        if self.hop is not None:
            steps = tf.shape(part)[1]
            words = f"x must have {self.hop} steps for each of condition {name}, but they have"
            fits = tf.equal(steps * self.hop, sizes[0])
            found.append(tf.debugging.Assert(fits, [words, sizes[0], steps]))
        for axis in self.beside:
            size = tf.shape(part)[axis + 1]
            words = f"x must have the sizes of condition {name}, but they are"
            fits = tf.equal(size, sizes[axis])
            found.append(tf.debugging.Assert(fits, [words, sizes[axis], size]))
        return found


def condition_limits(graph: Graph, with_sizes: bool = False) -> dict[str, ConditionLimits]:
    """The limits of every input of a network that goes straight into a layer which sets one.

    Args:
        graph: of the network.
        with_sizes: whether conditions that must have the sizes of the data are found too.
    """
    limits: dict[str, ConditionLimits] = {}
    inputs = {graph.x, *graph.conditions}
    for node in graph.nodes:
        found = _limits(node.operation)
        if found is not None:
            limits.update({edge.name: found for edge in node.inputs if edge in inputs})
    if with_sizes:
        for name, axes in _beside(graph, limits).items():
            limits[name] = limits.get(name, ConditionLimits())._replace(beside=axes)
    return limits


def _beside(graph: Graph, limits: Mapping[str, ConditionLimits]) -> dict[str, tuple[int, ...]]:
    """The open axes of each condition that must be as long as those of the data.

    Found by trial: with one size changed the shapes in the network no longer fit each other.
    """
    network, data = graph.network, graph.x.name
    shapes = {tensor.name: tuple(tensor.shape[1:]) for tensor in network.inputs}
    hops = {name: limits.get(name, ConditionLimits()).hop or 1 for name in shapes}
    open_axes = [
        (name, axis)
        for name, shape in shapes.items()
        for axis, size in enumerate(shape[: len(shapes[data])])
        if name != data and hops[name] == 1 and size is None
    ]

    def takes(longer: tuple[str, int] | None = None) -> bool:
        """Whether the shapes fit each other, that axis of that input being one longer."""

        def size_of(name: str, axis: int) -> int:
            return _TRIED * (axis + 1) // hops[name] + ((name, axis) == longer)

        specs = [
            tf.TensorSpec(
                (1, *(size or size_of(tensor.name, axis) for axis, size in enumerate(shape))),
                tensor.dtype,
            )
            for tensor, shape in zip(network.inputs, shapes.values(), strict=True)
        ]
        try:
            # Keras' own shapes would let a Concatenate pass; TensorFlow's do not.
            called = tf.function(lambda flat: call_with(network, flat), autograph=False)
            called.get_concrete_function(specs)
        except ValueError:
            return False
        return True

    if not open_axes or not takes():
        return {}
    fixed = [where for where in open_axes if not takes(where)]
    return {
        name: tuple(axis for owner, axis in fixed if owner == name)
        for name in dict.fromkeys(owner for owner, _ in fixed)
    }


def open_length(limits: Mapping[str, ConditionLimits], least: int) -> int:
    """The smallest length of at least `least` that holds whole steps of every slow condition."""
    whole = math.lcm(*(limit.hop or 1 for limit in limits.values()))
    return -(-least // whole) * whole


def _limits(layer: Any) -> ConditionLimits | None:
    if isinstance(layer, keras.layers.Embedding):
        return ConditionLimits(num_classes=layer.input_dim)
    if isinstance(layer, keras.layers.UpSampling1D):
        return ConditionLimits(hop=layer.size)
    if isinstance(layer, keras.layers.Conv1DTranspose) and layer.padding == "same":
        return ConditionLimits(hop=layer.strides[0])
    return None
