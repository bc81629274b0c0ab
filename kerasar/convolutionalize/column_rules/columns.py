"""Operations that treat all columns, or all elements, alike."""

from typing import Any

import keras
import numpy as np

from kerasar.causality.graph import Node
from kerasar.causality.rules import declaration
from kerasar.causality.rules.activations import is_elementwise
from kerasar.convolutionalize.column_rules.common import (
    RANKS,
    Entries,
    Refused,
    call,
    check_activation,
    check_columns_alike,
    identity_key,
    is_zero_at_zero,
    one_rank,
    sizes,
)
from kerasar.convolutionalize.streams import ZERO, Lookup, Read, Streams
from kerasar.layers.protocol import MixesPositions, Pointwise


def declared(node: Node, entries: Entries, streams: Streams) -> Entries:
    """Column by column, if the causality engine knows that the operation treats them alike."""
    declared = declaration(node, len(node.inputs[0].shape) - 2)
    if isinstance(declared, MixesPositions):
        raise Refused(declared.reason)
    if isinstance(declared, Pointwise):
        return each_column(node, entries, streams)
    if isinstance(node.operation, keras.Model):
        raise Refused(
            "its graph is not what it computes here: its class overrides call, or it is called "
            "with more than its inputs. Build what it computes with the functional API"
        )
    raise Refused(
        "no rule says how it works on single columns. A layer of your own that treats each column "
        "by itself declares so: mark its class with @kerasar.layers.protocol.declares_what_it_sees "
        "and give it a method taps(position_rank) that returns kerasar.layers.protocol.POINTWISE"
    )


def alike(node: Node, entries: Entries, streams: Streams) -> Entries:
    """Element by element, so whole streams can be treated at once, wherever their elements are."""
    whole = np.broadcast_arrays(*entries) if one_rank(entries) else []
    alike = bool(whole) and all(
        (part[..., 2] == whole[0][..., 2]).all()
        and (streams.widths(part[..., 0]) == streams.widths(whole[0][..., 0])).all()
        and (part[..., 0] != ZERO).all()
        for part in whole
    )
    if len(entries) == 1 and is_zero_at_zero(node):
        alike = True
    if not alike:
        return each_column(node, entries, streams)
    flat = np.concatenate([part.reshape(-1, 3)[:, :2] for part in whole], axis=1)
    # Shifts relative to the first input: the same pair at another time is the same pair.
    kinds, which = np.unique(flat, axis=0, return_inverse=True)
    made = []
    for kind in kinds.reshape(len(kinds), -1, 2).tolist():
        reads = [(stream, shift) for stream, shift in kind]
        if reads[0][0] == ZERO:
            made.append((ZERO, 0))
            continue
        width = streams.all[reads[0][0]].width
        made.append(streams.add(call(node), reads, width, width * max(1, len(reads) - 1)))
    result = whole[0].copy()
    result[..., :2] = np.array(made)[which.reshape(-1)].reshape(*result.shape[:-1], 2)
    return [result]


def activation(node: Node, entries: Entries, streams: Streams) -> Entries:
    function = node.operation.activation
    check_activation(function, node)
    return (alike if is_elementwise(function) else each_column)(node, entries, streams)


def each_column(node: Node, entries: Entries, streams: Streams) -> Entries:
    """The operation is called on the column of each input at the same index."""
    shape = sizes(node)
    if not one_rank(entries):
        raise Refused(RANKS)
    if len(shape) != entries[0].ndim - 1 or not shape:
        raise Refused("it changes the rank; keepdims=True or a Reshape keeps columns aligned")
    columns = [streams.columns(part) for part in entries]
    indices = np.broadcast_shapes(*[part.shape[:-1] for part in columns])
    if indices != tuple(shape[:-1]) or len(node.outputs) != 1:
        raise Refused(f"it turns columns {indices} into {tuple(shape[:-1])}")
    rows = [np.broadcast_to(part, (*indices, 2)).reshape(-1, 2).tolist() for part in columns]
    made: list[Read] = []
    known: dict[Any, Read] = {}
    for group in zip(*rows, strict=True):
        name = tuple(tuple(read) for read in group)
        if name not in known:
            reads = [
                streams.filled([read], part.shape[-2], edge.dtype)[0]
                for read, part, edge in zip(name, entries, node.inputs, strict=True)
            ]
            known[name] = streams.add(call(node), reads, shape[-1], shape[-1] * len(reads))
        made.append(known[name])
    return [streams.entries(made, shape[-1]).reshape(*shape, 3)]


def lookup(node: Node, entries: Entries, streams: Streams) -> Entries:
    """Each element becomes a vector: embeddings, one-hot codes."""
    operation = node.operation
    if getattr(operation, "axis", -1) not in (-1, len(node.inputs[0].shape)):
        raise Refused(f"its new axis {operation.axis} is not the last; move it there afterwards")
    if getattr(operation, "mask_zero", False):
        raise Refused("mask_zero=True passes a mask on, which streams do not have")
    shape, width = sizes(node), sizes(node)[-1]
    if tuple(shape[:-1]) != entries[0].shape[:-1]:
        raise Refused(f"it turns elements of shape {entries[0].shape[:-1]} into {tuple(shape)}")
    flat = entries[0].reshape(-1, 3)
    made = []
    for stream, shift, channel in flat.tolist():
        reads = streams.filled([(stream, shift)], 1, node.inputs[0].dtype)
        made.append(
            streams.add(Lookup(identity_key(node), channel, node=node), reads, width, width)
        )
    return [streams.entries(made, width).reshape(*shape, 3)]


def function(node: Node, entries: Entries, streams: Streams) -> Entries:
    """A `Lambda`: its function is unknown, so it is tried whether it treats columns alike."""
    if len(entries) != 1 or entries[0].ndim not in (2, 3) or len(node.outputs) != 1:
        raise Refused("its function is unknown; only (batch, window, channels) can be tried")
    layer = node.operation
    settings = layer.arguments or {}
    check_columns_alike(lambda t: layer.function(t, **settings), node.inputs[0], "function")
    return each_column(node, entries, streams)
