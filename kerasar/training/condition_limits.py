"""What conditions a network can take, beyond their shapes: read off the layers that they go into.

An integer that is looked up in a table must lie inside it, where a compiled look-up would take the
nearest row unasked. A slow series that is upsampled must have as many steps as the data ask for,
where a sampler would read its last step again and again.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kerasar.training.intermediates import functional_graph
from kerasar.typing import Tensor


class ConditionLimits(NamedTuple):
    """The limits of one condition.

    Attributes:
        classes: number of rows of the table in which integers are looked up, else None.
        hop: how many steps of the data a step of it lasts, if it is upsampled, else None.
    """

    classes: int | None = None
    hop: int | None = None

    def check_classes(self, array: np.ndarray, name: str) -> None:
        """Raises a ValueError if the condition of that name is outside of its table."""
        if self.classes is None or array.size == 0:
            return
        low, high = array.min(), array.max()
        if low < 0 or high >= self.classes:
            raise ValueError(
                f"condition '{name}' must lie in [0, {self.classes}), the classes that the network "
                f"knows, but holds {low if low < 0 else high}. Number the classes from 0, or build "
                "the network for more of them."
            )

    def check_steps(self, shape: tuple[int, ...], length: int | None, name: str) -> None:
        """Raises a ValueError if a condition of that shape does not fit data of that length."""
        if self.hop is None or length is None or len(shape) < 2:
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

    def assertions(self, part: Tensor, length: Tensor | None, name: str) -> list[Any]:
        """The same as graph assertions, for data that stream in and requests to a server."""
        found = []
        if self.classes is not None:
            low, high = tf.reduce_min(part), tf.reduce_max(part)
            words = f"x must have a condition {name} in [0, {self.classes}), but it goes from, to"
            inside = (low >= 0) & (high < self.classes)
            found.append(tf.debugging.Assert(inside, [words, low, high]))
        if self.hop is not None and length is not None:
            steps = tf.shape(part)[1]
            words = f"x must have {self.hop} steps for each of condition {name}, but they have"
            fits = tf.equal(steps * self.hop, length)
            found.append(tf.debugging.Assert(fits, [words, length, steps]))
        return found


def condition_limits(network: keras.Model) -> dict[str, ConditionLimits]:
    """The limits of every input of a network that goes straight into a layer which sets one."""
    graph = functional_graph(network)
    names = {id(tensor): tensor.name for tensor in graph.inputs}
    limits: dict[str, ConditionLimits] = {}
    for nodes in graph._nodes_by_depth.values():
        for node in nodes:
            for tensor in node.input_tensors:
                found = _limits(node.operation) if id(tensor) in names else None
                if found is not None:
                    limits[names[id(tensor)]] = found
    return limits


def open_length(limits: Mapping[str, ConditionLimits], least: int) -> int:
    """The smallest length of at least `least` that holds whole steps of every slow condition."""
    whole = math.lcm(*(limit.hop or 1 for limit in limits.values()))
    return -(-least // whole) * whole


def _limits(layer: Any) -> ConditionLimits | None:
    if isinstance(layer, keras.layers.Embedding):
        return ConditionLimits(classes=layer.input_dim)
    if isinstance(layer, keras.layers.UpSampling1D):
        return ConditionLimits(hop=layer.size)
    if isinstance(layer, keras.layers.Conv1DTranspose) and layer.padding == "same":
        return ConditionLimits(hop=layer.strides[0])
    return None
