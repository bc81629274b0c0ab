"""Operations over neighbouring columns, or over all of a window: convolutions and poolings."""

from typing import Any

import keras
import numpy as np

from kerasar.causality.graph import Node
from kerasar.convolutionalize.column_rules.columns import each_column
from kerasar.convolutionalize.column_rules.common import (
    Entries,
    Refused,
    check_weights,
    single,
    sizes,
)
from kerasar.convolutionalize.streams import ZERO, Pool, Read, Streams, WeightedSum

L = keras.layers


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


def convolution(node: Node, entries: Entries, streams: Streams) -> Entries:
    layer = node.operation
    check_weights(layer)
    (kernel,), (stride,), (dilation,) = layer.kernel_size, layer.strides, layer.dilation_rate
    columns = streams.columns(entries[0])
    channels, width = entries[0].shape[-2], sizes(node)[-1]
    plain = isinstance(layer, L.Conv1D)
    rows = channels // layer.groups if plain else 1
    each = rows * width if plain else layer.depth_multiplier * channels
    after = width * layer.depth_multiplier * channels if isinstance(layer, L.SeparableConv1D) else 0
    made = []
    for indices in _tap_indices(len(columns), kernel, stride, dilation, layer.padding):
        taps = [(tap, columns[index]) for tap, index in enumerate(indices) if index >= 0]
        taps = [(tap, (int(s), int(shift))) for tap, (s, shift) in taps if s != ZERO]
        if not taps:
            taps = [(0, streams.filled([(ZERO, 0)], channels, node.inputs[0].dtype)[0])]
        op = WeightedSum(
            layer, tuple(tap * rows for tap, _ in taps), (rows,) * len(taps), None, node=node
        )
        cost = len(taps) * each + after
        made.append(streams.add(op, [read for _, read in taps], width, cost))
    return [streams.entries(made, width)]


def pooling(node: Node, entries: Entries, streams: Streams) -> Entries:
    layer = node.operation
    size, stride = single(layer.pool_size), single(layer.strides)
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
    axis, rank = node.operation.axis, entries[0].ndim
    axes = [axis] if isinstance(axis, int) else list(axis or ())
    axes = [a % rank for a in axes]
    if axes == [1] and rank == 3:
        return global_pooling(node, entries, streams)
    if axes == [rank - 1] and node.operation.keepdims:
        return each_column(node, entries, streams)
    raise Refused(
        f"it reduces over axis {axis}; possible are the window, axis=1 of (batch, window, "
        "channels), and the channels, axis=-1 with keepdims=True"
    )


def _pooled(node: Node, columns: list[Any], width: int, streams: Streams) -> Read:
    reads = [(int(stream), int(shift)) for stream, shift in columns]
    reads = streams.filled(reads, width, node.inputs[0].dtype)
    if len(reads) == 1:
        return reads[0]
    op = Pool(_kind_of(node.operation), node.outputs[0].dtype, node=node)
    return streams.add(op, reads, width, len(reads) * width)


def _kind_of(operation: Any) -> str:
    name = type(operation).__name__.lower()
    for kind in ("max", "min", "sum"):
        if kind in name:
            return kind
    return "mean"
