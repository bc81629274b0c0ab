"""Moves, operations on channels and on elements, translated to whole positions."""

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasar.causality.graph import Edge, Node
from kerasar.causality.pairs.moves import BROADCASTS, RESHAPES
from kerasar.causality.rules.activations import is_elementwise, is_over_channels
from kerasar.causality.rules.pointwise import ELEMENTWISE_CLASSES, MERGES, is_array
from kerasar.causality.whole_positions.join import join, sides_of
from kerasar.causality.whole_positions.parts import SECOND, Axis, Layout, channel_axis
from kerasar.causality.whole_positions.translator import Translator, translation
from kerasar.keras_internals import operation_classes

L = keras.layers


@translation(*(RESHAPES - BROADCASTS), *operation_classes("ExpandDims"))
def _reshape(graph: Translator, node: Node) -> bool:
    edge, made = node.inputs[0], node.outputs[0]
    layout = graph.layout(edge)
    after = None if layout is None else layout.reshaped(made.shape)
    return after is not None and graph.finish(made, graph.whole(edge), after)


@translation(L.Permute, *operation_classes("Transpose", "Swapaxes", "Moveaxis"))
def _transpose(graph: Translator, node: Node) -> bool:
    edge, made = node.inputs[0], node.outputs[0]
    layout, order = graph.layout(edge), _order(node)
    if layout is None or order[0] != 0:
        return False
    whole, numbers, first = graph.whole(edge), layout.channel_numbers(order), 2 + layout.is_pair
    if numbers != sorted(numbers):
        axes = (*range(first), *(first + number for number in numbers))
        whole = graph.make(node.name, lambda x: ops.transpose(x, axes), whole)
    return graph.finish(made, whole, layout.permuted(order))


def _order(node: Node) -> list[int]:
    """Which axis becomes the first, second, …: seen where the indices along it arrive."""
    rank = len(node.inputs[0].shape)
    moved_to = []
    for axis in range(rank):
        index = np.indices([2] * rank)[axis].astype("int32")
        (moved,) = node.run({node.inputs[0]: ops.convert_to_tensor(index)})
        moved_to.append([np.ptp(np.asarray(moved), to).any() for to in range(rank)].index(True))
    return [moved_to.index(to) for to in range(rank)]


@translation(*operation_classes("Repeat", "BroadcastTo", "Tile"))
def _repeat(graph: Translator, node: Node) -> bool:
    """Channels that occur several times, such as keys for groups of queries."""
    edge, made = node.inputs[0], node.outputs[0]
    layout, found = graph.layout(edge), _apart(graph, edge)
    if layout is None or found is None or len(made.shape) != len(edge.shape):
        return False
    pairs = list(zip(edge.shape, made.shape, strict=True))
    axes = [axis for axis, (old, new) in enumerate(pairs) if old != new]
    if len(axes) != 1 or axes[0] not in found[1]:
        return False
    (axis,), (whole, place) = axes, found
    old, new = (int(size or 1) for size in pairs[axis])
    if old > 1 and type(node.operation) not in operation_classes("Repeat"):
        return False
    whole = graph.make(node.name, lambda x: ops.repeat(x, new // old, axis=place[axis]), whole)
    return graph.finish(made, whole, _replaced(layout, axis, new))


@translation(*operation_classes("Split"))
def _split(graph: Translator, node: Node) -> bool:
    """Channels that go different ways, such as queries, keys and values."""
    edge = node.inputs[0]
    axis = node.operation.axis % len(edge.shape)
    layout, found = graph.layout(edge), _apart(graph, edge)
    if layout is None or found is None or axis not in found[1] or node.unread:
        return False
    whole, place = found
    begin, done = 0, True
    for made in node.outputs:
        size = int(made.shape[axis] or 1)
        key = (*[slice(None)] * place[axis], slice(begin, begin + size))
        part = graph.make(node.name, lambda x, key=key: x[key], whole)
        done = done and graph.finish(made, part, _replaced(layout, axis, size))
        begin += size
    return done


@translation(*operation_classes("GetItem"))
def _get_item(graph: Translator, node: Node) -> bool:
    """Channels cut out, and new axes."""
    edge, made = node.inputs[0], node.outputs[0]
    layout, found = graph.layout(edge), _apart(graph, edge)
    args, kwargs = node.constants
    keys = _spelled_out([*args, *kwargs.values()][1], len(edge.shape))
    if layout is None or found is None or keys is None:
        return False
    whole, place = found
    axes: list[Axis] = []
    cuts: list[Any] = [slice(None)] * len(whole.shape)
    left = iter(range(len(edge.shape)))
    for key in keys:
        axis = None if key is None else next(left)
        if axis is None:
            axes.append(())
        elif axis in place:
            cuts[place[axis]] = key
            if isinstance(key, slice):
                size = made.shape[len(axes)]
                axes.append(channel_axis(int(size or 1)))
        elif key == slice(None):
            axes.append(layout.axes[axis])
        else:
            return False
    whole = graph.make(node.name, lambda x: x[tuple(cuts)], whole)
    return graph.finish(made, whole, Layout(tuple(axes)))


def _spelled_out(key: Any, rank: int) -> list[Any] | None:
    """One key for each axis, and None for each new one; None if there are others than slices."""
    keys = list(key) if isinstance(key, (tuple, list)) else [key]
    if any(not (k is None or k is Ellipsis or isinstance(k, (int, slice))) for k in keys):
        return None
    given = sum(k is not None and k is not Ellipsis for k in keys)
    place = keys.index(Ellipsis) if Ellipsis in keys else len(keys)
    return [*keys[:place], *[slice(None)] * (rank - given), *keys[place + 1 :]]


@translation(L.Concatenate, *operation_classes("Concatenate"))
def _concatenate(graph: Translator, node: Node) -> bool:
    """Channels behind each other, of tensors that have their positions on the same axes."""
    made, axis = node.outputs[0], node.operation.axis % len(node.outputs[0].shape)
    if any(edge not in graph.data_dependent for edge in node.inputs):
        return False
    parts, rests, place = [], [], 0
    for edge in node.inputs:
        layout, found = graph.layout(edge), _apart(graph, edge)
        if layout is None or found is None or axis not in found[1]:
            return False
        parts.append(found[0])
        rests.append(_replaced(layout, axis, 1))
        place = found[1][axis]
    if any(rest != rests[0] for rest in rests):
        return False
    whole = graph.make(node.name, lambda *x: ops.concatenate(x, axis=place), *parts)
    return graph.finish(made, whole, _replaced(rests[0], axis, int(made.shape[axis] or 1)))


_NORMALIZATIONS = (L.LayerNormalization, L.RMSNormalization, *operation_classes("RMSNorm"))


@translation(L.Dense, *_NORMALIZATIONS)
def _channels(graph: Translator, node: Node) -> bool:
    """Operations along the last axis."""
    edge, made, operation = node.inputs[0], node.outputs[0], node.operation
    layout, found, last = graph.layout(edge), _apart(graph, edge), len(edge.shape) - 1
    activation = getattr(operation, "activation", None)
    is_last = getattr(operation, "axis", -1) in (-1, [-1], (-1,))
    if layout is None or found is None or last not in found[1] or not is_last:
        return False
    if len(node.inputs) > 1 or not (is_elementwise(activation) or is_over_channels(activation)):
        return False
    whole, size = found[0], int(made.shape[-1] or 1)
    done = Edge((*whole.shape[:-1], size), made.dtype, made.name)
    slots = tuple((key, whole) for key, _ in node.slots)
    graph.nodes.append(dataclasses.replace(node, inputs=(whole,), outputs=(done,), slots=slots))
    return graph.finish(made, done, _replaced(layout, last, size))


_ELEMENTS = (
    L.ReLU, L.LeakyReLU, L.ELU, L.Dropout, L.GaussianNoise, L.GaussianDropout, L.Identity,
    L.Rescaling,
)  # fmt: skip


@translation(*ELEMENTWISE_CLASSES, *MERGES, *_ELEMENTS)
def elementwise(graph: Translator, node: Node) -> bool:
    """Elements with the same index, after broadcasting; axes are counted from the right."""
    made, settings = node.outputs[0], vars(node.operation)
    if getattr(node.operation, "axis", None) is not None:
        return False
    if any(is_array(part) and np.size(part) > 1 for part in settings.values()):
        return False
    data = [edge for edge in dict.fromkeys(node.inputs) if edge in graph.data_dependent]
    layouts = [graph.layout(edge) for edge in data]
    if any(own is None or len(own.axes) != len(made.shape) for own in layouts):
        return False
    joined = layouts[0]
    for own in layouts[1:]:
        joined = join(joined, own) if joined is not None and own is not None else None
    if joined is None:
        return False
    read: dict[Edge, Edge] = {}
    for edge in dict.fromkeys(node.inputs):
        beside = (spread if edge in data else Translator.beside)(graph, edge, joined)
        if beside is None:
            return False
        read[edge] = beside
    return graph.repeat(node, made, read, joined)


def spread(graph: Translator, edge: Edge, joined: Layout) -> Edge | None:
    """A tensor of whole positions as it lies beside others, with sizes of 1 for what it lacks."""
    layout = graph.layout(edge)
    if layout is None:
        return None
    kept = [bool(axis) for axis in layout.axes]
    pairs = zip(joined.axes, kept, strict=True)
    channels = [
        part.size if keeps else 1 for axis, keeps in pairs for part in axis if not part.is_digit
    ]
    if not joined.is_pair or layout.is_pair:
        return graph.reshape(graph.whole(edge), graph.shape(joined, channels), edge.name)
    sides = sides_of(joined.on_axes(kept))
    if len(sides) != 1:
        return None
    pair = [1, graph.count] if sides == {SECOND} else [graph.count, 1]
    return graph.reshape(graph.whole(edge), [*pair, *channels], edge.name)


def _apart(graph: Translator, edge: Edge) -> tuple[Edge, dict[int, int]] | None:
    """A tensor of whole positions with the axes of its channels as the network has them.

    Also which of its axes each of those is; None if channels share an axis with positions.
    """
    layout = graph.layout(edge)
    if layout is None:
        return None
    held = [{part.is_digit for part in axis} for axis in layout.axes]
    if any(len(kinds) > 1 for kinds in held) or held[0] == {False}:
        return None
    axes = [axis for axis, kinds in enumerate(held) if axis and True not in kinds]
    shape = graph.shape(layout, [int(edge.shape[axis] or 1) for axis in axes])
    first = 2 + layout.is_pair
    return graph.reshape(graph.whole(edge), shape, edge.name), {
        axis: first + number for number, axis in enumerate(axes)
    }


def _replaced(layout: Layout, axis: int, size: int) -> Layout:
    """The layout with other channels on an axis."""
    return Layout((*layout.axes[:axis], channel_axis(size), *layout.axes[axis + 1 :]))
