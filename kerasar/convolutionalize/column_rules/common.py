"""What the rules share: their type, their refusal, and what they ask about a call."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import tree

from kerasar.causality.graph import Node
from kerasar.convolutionalize.streams import Call, Streams

Entries = list[np.ndarray]
Rule = Callable[[Node, Entries, Streams], Entries]


class Refused(Exception):
    """Why a layer cannot be expressed on streams."""


def identity_key(node: Node) -> Any:
    """What makes two calls the same: the layer, or this very call if it has settings of its own."""
    args, kwargs = node.constants
    settings = [leaf for leaf in tree.flatten(args) if not isinstance(leaf, keras.KerasTensor)]
    settings += [value for value in kwargs.values() if value is not None]
    is_layer = isinstance(node.operation, keras.layers.Layer)
    return node.operation if is_layer and not settings else node


def call(node: Node) -> Call:
    return Call(identity_key(node), node=node)


def one_rank(entries: Entries) -> bool:
    return len({part.ndim for part in entries}) == 1


def sizes(node: Node) -> tuple[int, ...]:
    """The shape of an output but for the batch, which a window model leaves open alone."""
    return tuple(int(size or 0) for size in node.outputs[0].shape[1:])


def single(size: Any) -> int:
    return int(size[0] if isinstance(size, (tuple, list)) else size)


def constants_are_scalars(node: Node) -> bool:
    args, kwargs = node.constants
    leaves = tree.flatten((args, kwargs))
    return all(isinstance(leaf, keras.KerasTensor) or np.ndim(leaf) == 0 for leaf in leaves)


def is_zero_at_zero(node: Node) -> bool:
    """Whether zeros stay zeros, so that padding stays padding."""
    if not constants_are_scalars(node):
        return False
    dtype = node.inputs[0].dtype
    shape = (1,) * len(node.inputs[0].shape)
    return not np.asarray(node.run({node.inputs[0]: np.zeros(shape, dtype)})[0]).any()


def is_of_keras(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith("keras.")


def check_activation(function: Any) -> None:
    """An activation of the user's own must not look across columns; it is tried."""
    if function is None or is_of_keras(function):
        return
    sample = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    whole = np.asarray(function(sample))
    alone = [np.asarray(function(sample[:, i : i + 1])) for i in range(5)]
    if whole.shape != sample.shape or not np.allclose(np.concatenate(alone, 1), whole, 1e-4, 1e-5):
        raise Refused("its activation function treats the columns of a window differently")


def check_weights(layer: Any) -> None:
    if layer.activity_regularizer is not None:
        raise Refused(
            "its activity_regularizer sums over the columns of each window, which are not computed "
            "any more; leave it out"
        )
    if getattr(layer, "quantization_mode", None):
        raise Refused("it is quantized; convert first, quantize then")
    check_activation(layer.activation)
