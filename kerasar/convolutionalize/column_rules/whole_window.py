"""Operations that need a whole window at once: called on all of it, for each step anew.

What they make differs between windows that overlap, so nothing is shared between steps. They are
exact, and cost as much as window by window.
"""

import math
from typing import Any

import keras
import numpy as np

from kerasar.causality.graph import Node
from kerasar.causality.rules.pointwise import is_array
from kerasar.convolutionalize.column_rules.columns import alike, each_column
from kerasar.convolutionalize.column_rules.common import (
    RANKS,
    Entries,
    Refused,
    arrays,
    axes_of,
    identity_key,
    one_rank,
    sizes,
)
from kerasar.convolutionalize.streams import Streams, WholeWindow


def whole_window(node: Node, entries: Entries, streams: Streams) -> Entries:
    """The elements of each input are one vector, and so are those of the output."""
    if len(node.outputs) != 1:
        raise Refused("it has several outputs over the window")
    reads = []
    parts = dict(zip(node.inputs, entries, strict=True))
    for edge, part in parts.items():
        vector = part.reshape(1, -1, 3)
        ((stream, shift),) = streams.columns(vector).tolist()
        reads += streams.filled([(stream, shift)], vector.shape[1], edge.dtype)
    shape = sizes(node)
    width = math.prod(shape)
    cost = sum(part[..., 0].size for part in parts.values())
    read = streams.add(WholeWindow(identity_key(node), node=node), reads, width, cost)
    return [streams.entries([read], width).reshape(*shape, 3)]


def along_axis(node: Node, entries: Entries, streams: Streams) -> Entries:
    """Along the channels each column by itself, along the window all of it."""
    rank = entries[0].ndim
    if len(entries) != 1:
        raise Refused("it takes a mask, which streams do not have")
    axes = axes_of(node.operation.axis, rank, "works along")
    return (each_column if axes == [rank - 1] else whole_window)(node, entries, streams)


def normalization(node: Node, entries: Entries, streams: Streams) -> Entries:
    """By statistics that were adapted before: for each channel, or for each element."""
    rank = entries[0].ndim
    axes = axes_of(tuple(node.operation.axis), rank, "keeps statistics for")
    return (each_column if set(axes) <= {rank - 1} else whole_window)(node, entries, streams)


def rescaling(node: Node, entries: Entries, streams: Streams) -> Entries:
    layer = node.operation
    return with_arrays(node, entries, streams, [layer.scale, layer.offset])


def elementwise(node: Node, entries: Entries, streams: Streams) -> Entries:
    return with_arrays(node, entries, streams, arrays(node))


def merge(node: Node, entries: Entries, streams: Streams) -> Entries:
    """Keras gives vectors an axis of size 1 behind the batch, so each meets all columns."""
    rank = max(part.ndim for part in entries)
    aligned = [part.reshape((1,) * (rank - part.ndim) + part.shape) for part in entries]
    inside = keras.tree.flatten([*node.constants])
    settings = [part for part in inside if is_array(part) and np.ndim(part)]
    if any(np.ndim(part) != rank for part in settings):
        raise Refused(
            "it joins a constant of another rank, whose first axis is the batch; give it the rank "
            "of the others with keras.ops.expand_dims"
        )
    return with_arrays(node, aligned, streams, settings)


def with_arrays(node: Node, entries: Entries, streams: Streams, settings: list[Any]) -> Entries:
    """An elementwise operation whose settings may be arrays, such as a position table."""
    found = [np.shape(setting) for setting in settings if np.ndim(setting)]
    if not found:
        return alike(node, entries, streams)
    rank = len(node.outputs[0].shape)
    for size in found:
        if len(size) > rank or (len(size) == rank and size[0] != 1):
            raise Refused("it joins a constant that differs between examples")
    # Constants are aligned at the right; their last axis is that of the channels.
    if all(set(size[max(0, len(size) - rank + 1) : -1]) <= {1} for size in found):
        return each_column(node, entries, streams)
    if not one_rank(entries):
        raise Refused(RANKS)
    return whole_window(node, entries, streams)
