"""What the rules share: their type, their refusal, and what they ask about a call."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from kerasar.causality.graph import Edge, Node, read_graph
from kerasar.causality.rules import declaration
from kerasar.causality.rules.activations import is_elementwise
from kerasar.causality.rules.pointwise import is_array
from kerasar.convolutionalize.streams import Call, Streams
from kerasar.layers.protocol import MixesPositions

Entries = list[np.ndarray]
Rule = Callable[[Node, Entries, Streams], Entries]


#: Why tensors of several ranks cannot be joined by a function of `keras.ops`.
RANKS = (
    "it joins tensors of different ranks, which keras.ops aligns at the right, so that examples "
    "of one meet columns of another; give them one rank with keras.ops.expand_dims(…, axis=1), or "
    "use a merge layer such as keras.layers.Add"
)


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


def weighted(layer: Any) -> Any:
    """The layer that has the kernel: the layer itself, or the one that is normalized."""
    return layer.layer if type(layer) is keras.layers.SpectralNormalization else layer


def axes_of(axis: Any, rank: int, verb: str) -> list[int]:
    """Some axes of a tensor, counted from the front; the batch must not be among them."""
    axes = list(axis) if isinstance(axis, (tuple, list)) else [axis]
    if any(a is None or int(a) % rank == 0 for a in axes):
        raise Refused(f"it {verb} axis {axis}, which holds the examples")
    return sorted(int(a) % rank for a in axes)


def arrays(node: Node) -> list[Any]:
    """The arrays among the arguments of a call, and the settings of a function."""
    args, kwargs = node.constants
    given = [*args, *kwargs.values()]
    if not isinstance(node.operation, keras.layers.Layer):
        given += [v for name, v in vars(node.operation).items() if name in ("x_min", "x_max")]
    return [part for part in given if is_array(part) and np.ndim(part)]


def is_zero_at_zero(node: Node) -> bool:
    """Whether zeros stay zeros, so that padding stays padding."""
    dtype = node.inputs[0].dtype
    shape = (1,) * len(node.inputs[0].shape)
    return not np.asarray(node.run({node.inputs[0]: np.zeros(shape, dtype)})[0]).any()


def check_activation(function: Any, node: Node) -> None:
    """An activation that is not known to look at single columns is tried."""
    if not is_elementwise(function):
        check_columns_alike(function, node.outputs[0], "activation function")


def check_columns_alike(function: Any, edge: Edge, what: str) -> None:
    """Tries a function: read symbolically, and with columns of a window in other surroundings.

    Args:
        function: of one tensor.
        edge: what it is called on in the window model.
        what: the function, in words.

    Raises:
        Refused: if a column's result depends on other columns, its place or the tensor's shape.
    """
    differs = f"its {what} treats the columns of a window differently"
    reason = _reads_columns(function, edge)
    if reason is not None:
        raise Refused(f"{differs}: {reason}")
    rng = np.random.default_rng(0)
    tail = [int(size or 0) for size in edge.shape[1:]]
    for scale in (0.1, 1.0, 8.0, 100.0):
        own = (scale * rng.normal(size=(2, *tail))).astype("float32")
        columns = own.reshape(-1, tail[-1])
        order = np.concatenate([rng.permutation(len(columns))] * 2)[: max(3, len(columns) * 2 - 3)]
        try:
            whole = np.asarray(function(ops.convert_to_tensor(own, edge.dtype)), "float32")
            series = ops.convert_to_tensor(columns[None, order], edge.dtype)
            found = np.asarray(function(series), "float32")
        except Exception as error:  # a function of the user's own may raise anything
            raise Refused(f"its {what} takes windows but no series: {error}") from None
        if what == "activation function" and whole.shape != own.shape:
            raise Refused(f"its {what} changes the shape {own.shape} to {whole.shape}")
        expected = whole.reshape(len(columns), -1)[None, order]
        same = found.shape == expected.shape
        if not same or not np.allclose(found, expected, 1e-4, 1e-5 * scale, equal_nan=True):
            raise Refused(differs)


def _reads_columns(function: Any, edge: Edge) -> str | None:
    """Why a function of `keras.ops` looks beyond single columns; None if nothing is found."""
    rank = len(edge.shape)
    x = keras.Input(edge.shape[1:], dtype=edge.dtype)
    try:
        graph = read_graph(keras.Model(x, function(x)))
    except Exception:  # not written in keras.ops
        return None
    for node in graph.nodes:
        declared = declaration(node, rank - 2)
        if isinstance(declared, MixesPositions):
            return f"{type(node.operation).__name__}: {declared.reason}"
    return None


def check_weights(operation: Any, node: Node) -> None:
    layer = weighted(operation)
    if layer.activity_regularizer is not None or operation.activity_regularizer is not None:
        raise Refused(
            "its activity_regularizer sums over the columns of each window, which are not computed "
            "any more; leave it out"
        )
    if getattr(layer, "quantization_mode", None):
        raise Refused("it is quantized; convert first, quantize then")
    check_activation(layer.activation, node)
