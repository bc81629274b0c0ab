"""What each kind of layer does to the columns of a window model: one rule for each kind."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import tree

from kerasar.causality.convolutionalize.streams import (
    ZERO,
    Call,
    Lookup,
    Pool,
    Read,
    Streams,
    Weigh,
)
from kerasar.causality.graph import Edge, Node
from kerasar.causality.rules import declaration
from kerasar.causality.rules.pointwise import ELEMENTWISE
from kerasar.causality.rules.registry import operation_classes
from kerasar.layers.causal_shift import CausalShift
from kerasar.layers.protocol import Mixing, Pointwise
from kerasar.layers.scale_levels import ScaleLevels

L = keras.layers

Cells = list[np.ndarray]
Rule = Callable[[Node, Cells, Streams], Cells]


class Refused(Exception):
    """Why a layer cannot be expressed on streams."""


def apply(node: Node, cells: Cells, streams: Streams) -> Cells:
    """The numbers that an operation puts out, given those of its inputs.

    Raises:
        Refused: with the reason, if the operation cannot be expressed.
    """
    kind = type(node.operation)
    if kind in _REASONS:
        raise Refused(_REASONS[kind])
    if getattr(node.operation, "data_format", "channels_last") != "channels_last":
        raise Refused("it has data_format='channels_first'; channels come last here")
    if kind in _RULES:
        return _RULES[kind](node, cells, streams)
    return _declared(node, cells, streams)


def _declared(node: Node, cells: Cells, streams: Streams) -> Cells:
    """Column by column, if the causality engine knows that the operation treats them alike."""
    declared = declaration(node, len(node.inputs[0].shape) - 2)
    if isinstance(declared, Mixing):
        raise Refused(declared.reason)
    if isinstance(declared, Pointwise):
        return _each_column(node, cells, streams)
    raise Refused(
        "no rule says how it works on single columns. A layer of your own that treats each column "
        "by itself says so by a method taps(places) that returns "
        "kerasar.layers.protocol.POINTWISE"
    )


def is_move(node: Node) -> bool:
    """Whether an operation only renames, repeats or drops columns."""
    return _RULES.get(type(node.operation)) is _moved


# Renaming.


def _moved(node: Node, cells: Cells, streams: Streams) -> Cells:
    """The operation itself shows where it puts each number: it is run on their names.

    Zeros stand for padding. A second example, named otherwise, shows that nothing else enters.
    """
    flat = np.concatenate([[[ZERO, 0, 0]], *[part.reshape(-1, 3) for part in cells]])
    count, start = len(flat), 1
    values: dict[Edge, Any] = {}
    for edge, part in zip(node.inputs, cells, strict=True):
        names = np.arange(start, start + part[..., 0].size).reshape(part.shape[:-1])
        start += names.size
        values[edge] = np.stack([names, names + count]).astype("int32")
    found = []
    for output in node.run(values):
        names = np.asarray(output)
        if len(names) != 2 or not (names[1] == np.where(names[0], names[0] + count, 0)).all():
            raise Refused("it moves numbers between examples, or brings in numbers of its own")
        found.append(flat[names[0]])
    return found


# Windows.


def _places(size: int, kernel: int, stride: int, dilation: int, padding: str) -> np.ndarray:
    """Which column each tap of each output meets, `(outputs, taps)`; -1 outside."""
    span = (kernel - 1) * dilation
    if padding == "valid":
        outputs, front = (size - span - 1) // stride + 1, 0
    else:
        outputs = -(-size // stride)
        missing = max((outputs - 1) * stride + span + 1 - size, 0)
        front = span if padding == "causal" else missing // 2
    places = np.arange(outputs)[:, None] * stride + np.arange(kernel) * dilation - front
    return np.where((places < 0) | (places >= size), -1, places)


def _convolution(node: Node, cells: Cells, streams: Streams) -> Cells:
    layer = node.operation
    _check_weights(layer)
    (kernel,), (stride,), (dilation,) = layer.kernel_size, layer.strides, layer.dilation_rate
    columns = streams.columns(cells[0])
    channels, width = cells[0].shape[-2], _sizes(node)[-1]
    plain = isinstance(layer, L.Conv1D)
    rows = channels // layer.groups if plain else 1
    each = rows * width if plain else layer.depth_multiplier * channels
    after = width * layer.depth_multiplier * channels if isinstance(layer, L.SeparableConv1D) else 0
    made = []
    for places in _places(len(columns), kernel, stride, dilation, layer.padding):
        taps = [(tap, columns[place]) for tap, place in enumerate(places) if place >= 0]
        taps = [(tap, (int(s), int(shift))) for tap, (s, shift) in taps if s != ZERO]
        if not taps:
            taps = [(0, streams.filled([(ZERO, 0)], channels, node.inputs[0].dtype)[0])]
        job = Weigh(
            layer, tuple(tap * rows for tap, _ in taps), (rows,) * len(taps), None, node=node
        )
        cost = len(taps) * each + after
        made.append(streams.add(job, [read for _, read in taps], width, cost))
    return [streams.cells(made, width)]


def _pooling(node: Node, cells: Cells, streams: Streams) -> Cells:
    layer = node.operation
    size, stride = _single(layer.pool_size), _single(layer.strides)
    columns, width = streams.columns(cells[0]), cells[0].shape[-2]
    made = []
    for places in _places(len(columns), size, stride, 1, layer.padding):
        inside = [columns[place] for place in places if place >= 0]
        made.append(_pooled(node, inside, width, streams))
    return [streams.cells(made, width)]


def _global_pooling(node: Node, cells: Cells, streams: Streams) -> Cells:
    width = cells[0].shape[-2]
    columns = streams.columns(cells[0])
    read = _pooled(node, list(columns), width, streams)
    shape = _sizes(node)
    return [streams.cells([read], width).reshape(*shape, 3)]


def _reduction(node: Node, cells: Cells, streams: Streams) -> Cells:
    """`ops.mean` and its like: over the window a pooling, over channels a column's own affair."""
    axis, rank = node.operation.axis, cells[0].ndim
    axes = [axis] if isinstance(axis, int) else list(axis or ())
    axes = [a % rank for a in axes]
    if axes == [1] and rank == 3:
        return _global_pooling(node, cells, streams)
    if axes == [rank - 1] and node.operation.keepdims:
        return _each_column(node, cells, streams)
    raise Refused(
        f"it reduces over axis {axis}; possible are the window, axis=1 of (batch, window, "
        "channels), and the channels, axis=-1 with keepdims=True"
    )


def _pooled(node: Node, columns: list[Any], width: int, streams: Streams) -> Read:
    reads = [(int(stream), int(shift)) for stream, shift in columns]
    reads = streams.filled(reads, width, node.inputs[0].dtype)
    if len(reads) == 1:
        return reads[0]
    job = Pool(_kind_of(node.operation), node.outputs[0].dtype, node=node)
    return streams.add(job, reads, width, len(reads) * width)


def _kind_of(operation: Any) -> str:
    name = type(operation).__name__.lower()
    for kind in ("max", "min", "sum"):
        if kind in name:
            return kind
    return "mean"


# Vectors.


def _dense(node: Node, cells: Cells, streams: Streams) -> Cells:
    """On a column as on a stream; on a flattened map each stream meets its part of the kernel."""
    layer = node.operation
    _check_weights(layer)
    shape, width = _sizes(node), _sizes(node)[-1]
    vectors = cells[0].reshape(-1, *cells[0].shape[-2:])
    size = vectors.shape[1]
    made = []
    for vector, whole in zip(vectors, streams.whole(vectors).tolist(), strict=True):
        if whole:
            job = Weigh(layer, (0,), (size,), None, node=node)
            read = (int(vector[0, 0]), int(vector[0, 1]))
            made.append(streams.add(job, [read], width, size * width))
        else:
            made.append(
                _joined(node, vector, width, streams) or _weighed(node, vector, width, streams)
            )
    return [streams.cells(made, width).reshape(*shape, 3)]


def _joined(node: Node, vector: np.ndarray, width: int, streams: Streams) -> Read | None:
    """The same from columns that are joined first, if they are one stream; None if not wanted."""
    if not streams.join_first:
        return None
    cuts = np.flatnonzero(np.diff(vector[:, 1])) + 1
    size = int(cuts[0]) if len(cuts) else len(vector)
    if len(vector) % size or (cuts % size).any():
        return None
    reads = [(int(s), int(shift)) for s, shift in streams.columns(vector.reshape(-1, size, 3))]
    if len({stream for stream, _ in reads}) != 1 or reads[0][0] == ZERO:
        return None
    rows = tuple(range(0, len(vector), size))
    job = Weigh(node.operation, rows, (size,) * len(rows), None, node=node)
    return streams.add(job, reads, width, len(vector) * width)


def _weighed(node: Node, vector: np.ndarray, width: int, streams: Streams) -> Read:
    """The sum of kernel rows times the numbers of one vector."""
    rows = np.flatnonzero(vector[:, 0] != ZERO)
    if not len(rows):
        zeros = streams.filled([(ZERO, 0)], len(vector), node.inputs[0].dtype)
        job = Weigh(node.operation, (0,), (len(vector),), None, node=node)
        return streams.add(job, zeros, width, len(vector) * width)
    stream, shift, channel = vector[rows].T
    # The same number may come twice: then its second row belongs to a tap of its own.
    sort = np.lexsort((rows, channel, -shift, stream))
    keys = vector[rows][sort]
    fresh = np.concatenate([[True], (keys[1:] != keys[:-1]).any(axis=1)])
    number = np.arange(len(keys))
    copies = np.empty(len(keys), int)
    copies[sort] = number - np.maximum.accumulate(np.where(fresh, number, 0))
    sort = np.lexsort((rows, channel, -shift, stream, copies))
    tap = np.stack([copies, stream, shift], axis=1)[sort]
    starts = np.flatnonzero(np.concatenate([[True], (tap[1:] != tap[:-1]).any(axis=1)]))
    stops = np.append(starts[1:], len(tap))
    reads, tables = [], []
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        _, source, at = tap[start].tolist()
        table = np.full(streams.all[source].width, -1)
        table[channel[sort[start:stop]]] = rows[sort[start:stop]]
        reads.append((source, at))
        tables.append(table)
    widths = tuple(len(table) for table in tables)
    natural = all((t == t[0] + np.arange(len(t))).all() and t[0] >= 0 for t in tables)
    if natural:
        firsts, order = [int(table[0]) for table in tables], None
    else:
        firsts = np.concatenate([[0], np.cumsum(widths)[:-1]]).tolist()
        order = tuple(np.concatenate(tables).tolist())
    job = Weigh(node.operation, tuple(firsts), widths, order, node=node)
    return streams.add(job, reads, width, len(rows) * width)


def _elementwise(node: Node, cells: Cells, streams: Streams) -> Cells:
    """Number by number, so whole streams can be treated at once, wherever their numbers went."""
    whole = np.broadcast_arrays(*cells) if _one_rank(cells) else []
    alike = bool(whole) and all(
        (part[..., 2] == whole[0][..., 2]).all()
        and (streams.widths(part[..., 0]) == streams.widths(whole[0][..., 0])).all()
        and (part[..., 0] != ZERO).all()
        for part in whole
    )
    if len(cells) == 1 and _is_zero_at_zero(node):
        alike = True
    if not _constants_are_scalars(node):
        return _declared(node, cells, streams)
    if not alike:
        return _each_column(node, cells, streams)
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
        made.append(streams.add(_call(node), reads, width, width * max(1, len(reads) - 1)))
    result = whole[0].copy()
    result[..., :2] = np.array(made)[which.reshape(-1)].reshape(*result.shape[:-1], 2)
    return [result]


def _rescaling(node: Node, cells: Cells, streams: Streams) -> Cells:
    layer = node.operation
    same = np.ndim(layer.scale) == 0 and np.ndim(layer.offset) == 0
    return (_elementwise if same else _each_column)(node, cells, streams)


def _activation(node: Node, cells: Cells, streams: Streams) -> Cells:
    function = node.operation.activation
    _check_activation(function)
    over_channels = ("softmax", "log_softmax", "sparsemax", "glu")
    if _is_of_keras(function) and function.__name__ not in over_channels:
        return _elementwise(node, cells, streams)
    return _each_column(node, cells, streams)


def _each_column(node: Node, cells: Cells, streams: Streams) -> Cells:
    """The operation is called on the column of each input at the same place."""
    shape = _sizes(node)
    if not _one_rank(cells) or len(shape) != cells[0].ndim - 1:
        raise Refused(
            "it joins tensors of different ranks, or changes the rank; keepdims=True or a Reshape "
            "keeps columns in line"
        )
    columns = [streams.columns(part) for part in cells]
    places = np.broadcast_shapes(*[part.shape[:-1] for part in columns])
    if places != tuple(shape[:-1]) or len(node.outputs) != 1:
        raise Refused(f"it turns columns {places} into {tuple(shape[:-1])}")
    rows = [np.broadcast_to(part, (*places, 2)).reshape(-1, 2).tolist() for part in columns]
    made: list[Read] = []
    known: dict[Any, Read] = {}
    for group in zip(*rows, strict=True):
        name = tuple(tuple(read) for read in group)
        if name not in known:
            reads = [
                streams.filled([read], part.shape[-2], edge.dtype)[0]
                for read, part, edge in zip(name, cells, node.inputs, strict=True)
            ]
            known[name] = streams.add(_call(node), reads, shape[-1], shape[-1] * len(reads))
        made.append(known[name])
    return [streams.cells(made, shape[-1]).reshape(*shape, 3)]


def _lookup(node: Node, cells: Cells, streams: Streams) -> Cells:
    """Each number becomes a vector: embeddings, one-hot codes."""
    operation = node.operation
    if getattr(operation, "mask_zero", False):
        raise Refused("mask_zero=True passes a mask on, which streams do not have")
    shape, width = _sizes(node), _sizes(node)[-1]
    if tuple(shape[:-1]) != cells[0].shape[:-1]:
        raise Refused(f"it turns numbers {cells[0].shape[:-1]} into {tuple(shape)}")
    flat = cells[0].reshape(-1, 3)
    made = []
    for stream, shift, channel in flat.tolist():
        reads = streams.filled([(stream, shift)], 1, node.inputs[0].dtype)
        made.append(streams.add(Lookup(_use(node), channel, node=node), reads, width, width))
    return [streams.cells(made, width).reshape(*shape, 3)]


def _function(node: Node, cells: Cells, streams: Streams) -> Cells:
    """A `Lambda`: its function is unknown, so it is tried whether it treats columns alike."""
    if len(cells) != 1 or cells[0].ndim != 3 or len(node.outputs) != 1:
        raise Refused("its function is unknown; only (batch, window, channels) can be tried")
    dtype = node.inputs[0].dtype
    sample = (8 * np.random.default_rng(0).normal(size=(2, *cells[0].shape[:-1]))).astype(dtype)
    whole = np.asarray(node.run({node.inputs[0]: sample})[0], "float64")
    if whole.shape[:2] != sample.shape[:2]:
        raise Refused(f"its function turns columns {sample.shape[1:2]} into {whole.shape[1:]}")
    for place in range(sample.shape[1]):
        alone = node.run({node.inputs[0]: sample[:, place : place + 1]})[0]
        if not np.allclose(np.asarray(alone, "float64")[:, 0], whole[:, place], 1e-3, 1e-3):
            raise Refused("its function treats the columns of a window differently")
    return _each_column(node, cells, streams)


# Helpers.


def _use(node: Node) -> Any:
    """What makes two calls the same: the layer, or this very call if it has settings of its own."""
    args, kwargs = node.constants
    settings = [leaf for leaf in tree.flatten(args) if not isinstance(leaf, keras.KerasTensor)]
    settings += [value for value in kwargs.values() if value is not None]
    is_layer = isinstance(node.operation, keras.layers.Layer)
    return node.operation if is_layer and not settings else node


def _call(node: Node) -> Call:
    return Call(_use(node), node=node)


def _one_rank(cells: Cells) -> bool:
    return len({part.ndim for part in cells}) == 1


def _sizes(node: Node) -> tuple[int, ...]:
    """The shape of an output but for the batch, which a window model leaves open alone."""
    return tuple(int(size or 0) for size in node.outputs[0].shape[1:])


def _single(size: Any) -> int:
    return int(size[0] if isinstance(size, (tuple, list)) else size)


def _constants_are_scalars(node: Node) -> bool:
    args, kwargs = node.constants
    leaves = tree.flatten((args, kwargs))
    return all(isinstance(leaf, keras.KerasTensor) or np.ndim(leaf) == 0 for leaf in leaves)


def _is_zero_at_zero(node: Node) -> bool:
    """Whether zeros stay zeros, so that padding stays padding."""
    if not _constants_are_scalars(node):
        return False
    dtype = node.inputs[0].dtype
    shape = (1,) * len(node.inputs[0].shape)
    return not np.asarray(node.run({node.inputs[0]: np.zeros(shape, dtype)})[0]).any()


def _is_of_keras(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith("keras.")


def _check_activation(function: Any) -> None:
    """An activation of the user's own must not look across columns; it is tried."""
    if function is None or _is_of_keras(function):
        return
    sample = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    whole = np.asarray(function(sample))
    alone = [np.asarray(function(sample[:, i : i + 1])) for i in range(5)]
    if whole.shape != sample.shape or not np.allclose(np.concatenate(alone, 1), whole, 1e-4, 1e-5):
        raise Refused("its activation function treats the columns of a window differently")


def _check_weights(layer: Any) -> None:
    if layer.activity_regularizer is not None:
        raise Refused(
            "its activity_regularizer sums over the columns of each window, which are not computed "
            "any more; leave it out"
        )
    if getattr(layer, "quantization_mode", None):
        raise Refused("it is quantized; convert first, quantize then")
    _check_activation(layer.activation)


_RECURRENT = (
    "it is recurrent over the window: its state starts anew with every window, so each window "
    "needs a pass of its own"
)
_ATTENDS = (
    "it attends over the window: what a column becomes depends on all columns of that very window"
)
_REASONS: dict[type, str] = {
    **dict.fromkeys((L.RNN, L.LSTM, L.GRU, L.SimpleRNN, L.Bidirectional, L.ConvLSTM1D), _RECURRENT),
    **dict.fromkeys(
        (L.Attention, L.AdditiveAttention, L.MultiHeadAttention, L.GroupQueryAttention), _ATTENDS
    ),
    L.Masking: "it passes a mask on, which streams do not have",
    L.TimeDistributed: "it wraps a layer; Dense and its like treat columns alike without it",
}

_RULES: dict[type, Rule] = {
    **dict.fromkeys(
        (
            L.Flatten,
            L.Reshape,
            L.Permute,
            L.RepeatVector,
            L.ZeroPadding1D,
            L.Cropping1D,
            L.UpSampling1D,
            L.Concatenate,
            CausalShift,
            *operation_classes(
                "Concatenate", "Stack", "Split", "GetItem", "Pad", "Reshape", "Transpose", "Flip",
                "ExpandDims", "Squeeze", "Repeat", "Tile", "Roll", "Moveaxis", "Swapaxes",
                            ),
        ),
        _moved,
    ),
    **dict.fromkeys((L.Conv1D, L.DepthwiseConv1D, L.SeparableConv1D), _convolution),
    **dict.fromkeys((L.MaxPooling1D, L.AveragePooling1D), _pooling),
    **dict.fromkeys((L.GlobalMaxPooling1D, L.GlobalAveragePooling1D), _global_pooling),
    **dict.fromkeys(operation_classes("Mean", "Sum", "Max", "Min"), _reduction),
    L.Dense: _dense,
    L.Activation: _activation,
    L.Rescaling: _rescaling,
    L.Embedding: _lookup,
    L.Lambda: _function,
    **dict.fromkeys(operation_classes(*ELEMENTWISE), _elementwise),
    **dict.fromkeys(
        (
            L.ReLU, L.LeakyReLU, L.ELU, L.Dropout, L.GaussianNoise, L.GaussianDropout,
            L.AlphaDropout, L.SpatialDropout1D, L.Identity, L.Add, L.Subtract, L.Multiply,
            L.Average, L.Maximum, L.Minimum, ScaleLevels,
        ),
        _elementwise,
    ),
    **dict.fromkeys(operation_classes("OneHot"), _lookup),
    **dict.fromkeys(operation_classes("Glu"), _each_column),
}  # fmt: skip
