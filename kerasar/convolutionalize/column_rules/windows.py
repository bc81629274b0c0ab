"""Operations over neighbouring columns, or over all of a window: convolutions and poolings."""

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasar.causality.graph import Node
from kerasar.convolutionalize.column_rules.columns import each_column
from kerasar.convolutionalize.column_rules.common import (
    Entries,
    Refused,
    axes_of,
    check_weights,
    single,
    sizes,
    weighted,
)
from kerasar.convolutionalize.column_rules.whole_window import whole_window
from kerasar.convolutionalize.streams import ZERO, Pool, Read, Streams, WeightedSum
from kerasar.keras_internals import operation_classes

L = keras.layers
ONE_WINDOW = "it works over one axis of several; Reshape to (batch, window, channels)"
_POOLING = frozenset(operation_classes("Mean", "Sum", "Max", "Min", "Std", "Var"))


def _tap_indices(size: int, kernel: int, stride: int, dilation: int, padding: str) -> np.ndarray:
    """Which column each tap of each output meets, `(outputs, taps)`; -1 outside."""
    span = (kernel - 1) * dilation
    if padding == "valid":
        outputs, front = (size - span - 1) // stride + 1, 0
    else:
        outputs = -(-size // stride)
        missing = max((outputs - 1) * stride + span + 1 - size, 0)
        front = span if padding == "causal" else missing // 2
    indices = np.arange(outputs)[:, None] * stride + np.arange(kernel) * dilation - front
    return np.where((indices < 0) | (indices >= size), -1, indices)


def _transposed_indices(layer: Any, size: int) -> np.ndarray:
    """The same for a transposed convolution, which itself shows where it puts each column.

    Taps count from the last one, so that they come in the order of the columns.
    """
    (kernel,) = layer.kernel_size
    if layer.dilation_rate != (1,):
        raise Refused("TensorFlow has no transposed convolution with a dilation_rate on a CPU")
    found = ops.conv_transpose(
        np.arange(1.0, size + 1, dtype="float64")[None, :, None],
        np.eye(kernel)[::-1, :, None],
        layer.strides,
        layer.padding,
        layer.output_padding,
        "channels_last",
    )
    return np.rint(np.asarray(found)[0]).astype(int) - 1


def convolution(node: Node, entries: Entries, streams: Streams) -> Entries:
    layer, operation = weighted(node.operation), node.operation
    check_weights(operation, node)
    if entries[0].ndim != 3:
        raise Refused(ONE_WINDOW)
    (kernel,), (stride,), (dilation,) = layer.kernel_size, layer.strides, layer.dilation_rate
    columns = streams.columns(entries[0])
    channels, width = entries[0].shape[-2], sizes(node)[-1]
    plain = isinstance(layer, (L.Conv1D, L.Conv1DTranspose))
    rows = channels // getattr(layer, "groups", 1) if plain else 1
    each = rows * width if plain else layer.depth_multiplier * channels
    after = width * layer.depth_multiplier * channels if isinstance(layer, L.SeparableConv1D) else 0
    if isinstance(layer, L.Conv1DTranspose):
        met = _transposed_indices(layer, len(columns))
    else:
        met = _tap_indices(len(columns), kernel, stride, dilation, layer.padding)
    made = []
    for indices in met:
        taps = [(tap, columns[index]) for tap, index in enumerate(indices) if index >= 0]
        taps = [(tap, (int(s), int(shift))) for tap, (s, shift) in taps if s != ZERO]
        if not taps:
            taps = [(0, streams.filled([(ZERO, 0)], channels, node.inputs[0].dtype)[0])]
        op = WeightedSum(
            operation, tuple(tap * rows for tap, _ in taps), (rows,) * len(taps), None, node=node
        )
        cost = len(taps) * each + after
        made.append(streams.add(op, [read for _, read in taps], width, cost))
    return [streams.entries(made, width)]


def pooling(node: Node, entries: Entries, streams: Streams) -> Entries:
    layer = node.operation
    if entries[0].ndim != 3:
        raise Refused(ONE_WINDOW)
    size = single(layer.pool_size)
    stride = size if layer.strides is None else single(layer.strides)
    columns, width = streams.columns(entries[0]), entries[0].shape[-2]
    made = []
    for indices in _tap_indices(len(columns), size, stride, 1, layer.padding):
        inside = [columns[index] for index in indices if index >= 0]
        made.append(_pooled(node, inside, width, streams))
    return [streams.entries(made, width)]


def global_pooling(node: Node, entries: Entries, streams: Streams) -> Entries:
    width = entries[0].shape[-2]
    columns = streams.columns(entries[0])
    read = _pooled(node, list(columns), width, streams)
    shape = sizes(node)
    return [streams.entries([read], width).reshape(*shape, 3)]


def reduction(node: Node, entries: Entries, streams: Streams) -> Entries:
    """`ops.mean` and its like: over the window a pooling, over channels a column's own affair."""
    operation, rank = node.operation, entries[0].ndim
    axes = axes_of(operation.axis, rank, "reduces over")
    if axes == [1] and rank == 3 and type(operation) in _POOLING:
        return global_pooling(node, entries, streams)
    if axes == [rank - 1] and rank > 2 and hasattr(operation, "keepdims"):
        shape = (None, *entries[0].shape[:-2], 1)
        config = {**operation.get_config(), "keepdims": True}
        config.pop("name", None)
        kept = dataclasses.replace(
            node,
            operation=type(operation).from_config(config),
            outputs=(dataclasses.replace(node.outputs[0], shape=shape),),
        )
        return [each_column(kept, entries, streams)[0].reshape(*sizes(node), 3)]
    return whole_window(node, entries, streams)


def _pooled(node: Node, columns: list[Any], width: int, streams: Streams) -> Read:
    reads = [(int(stream), int(shift)) for stream, shift in columns]
    reads = streams.filled(reads, width, node.inputs[0].dtype)
    kind = _kind_of(node.operation)
    if len(reads) == 1 and kind not in ("std", "var"):
        return reads[0]
    op = Pool(kind, node.outputs[0].dtype, node=node)
    return streams.add(op, reads, width, len(reads) * width)


def _kind_of(operation: Any) -> str:
    name = type(operation).__name__.lower()
    for kind in ("max", "min", "sum", "std", "var"):
        if kind in name:
            return kind
    return "mean"
