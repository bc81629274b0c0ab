"""What Keras' own layers and `keras.ops` functions see: one entry for each kind of operation.

An operation that is not here and declares nothing itself is unknown, which is no error: it is
probed, and sampled from without a cache.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops as K

from kerasar.causality.graph import Node
from kerasar.layers.linear_taps import linear_taps, matmul
from kerasar.layers.protocol import POINTWISE, Declaration, Mixing, Recurrence, RowRecurrence, Taps
from kerasar.typing import Tensor

Rule = Callable[[Node, int], Declaration | None]
_RULES: dict[type, Rule] = {}


def declaration(node: Node, places: int) -> Declaration | None:
    """What an operation declares about itself or is known to see; None if unknown."""
    operation = node.operation
    if hasattr(operation, "taps"):
        taps = operation.taps(places)
        if isinstance(taps, Taps) and taps.combine is None and taps.matrices is None:
            taps = taps._replace(combine=getattr(operation, "combine", None))
        return _without_masked(taps) if isinstance(taps, Taps) else taps
    if hasattr(operation, "initial_rows"):
        return RowRecurrence(
            operation.sees,
            operation.initial_rows,
            operation.row,
            operation.initial,
            operation.step,
        )
    if hasattr(operation, "initial") and hasattr(operation, "step"):
        return Recurrence(operation.initial, operation.step)
    rule = _RULES.get(type(operation))
    return None if rule is None else rule(node, places)


def _without_masked(taps: Taps) -> Taps:
    """The same without the taps of a linear map of which the mask leaves nothing."""
    if taps.connects is None or taps.matrices is None:
        return taps
    links, whole = np.asarray(taps.connects), taps.matrices
    kept = [number for number, link in enumerate(links) if link.any()]
    return taps._replace(
        offsets=tuple(taps.offsets[number] for number in kept),
        matrices=lambda: [matrix for n, matrix in enumerate(whole()) if n in kept],
        connects=links[kept],
    )


def _rule(*kinds: Any) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        for kind in kinds:
            _RULES[kind] = rule
        return rule

    return register


def _operation(*names: str) -> list[type]:
    """The operation classes behind functions of `keras.ops`, which are not public by name."""
    modules = [np, K]
    from keras.src.ops import core, math, nn, numpy

    modules = [numpy, nn, core, math]
    return [getattr(m, name) for name in names for m in modules if hasattr(m, name)]


L = keras.layers


# Each position by itself.


def _axis_is_local(axis: Any, rank: int, places: int) -> bool:
    """Whether a normalisation or reduction over these axes leaves the positions alone."""
    axes = [axis] if isinstance(axis, int) else list(axis or range(rank))
    return all(a % rank > places for a in axes)


@_rule(
    L.EinsumDense,
    L.Embedding,
    L.Activation,
    L.ReLU,
    L.LeakyReLU,
    L.ELU,
    L.Dropout,
    L.GaussianNoise,
    L.GaussianDropout,
    L.AlphaDropout,
    L.SpatialDropout1D,
    L.SpatialDropout2D,
    L.ActivityRegularization,
    L.Identity,
    L.Rescaling,
    L.Add,
    L.Subtract,
    L.Multiply,
    L.Average,
    L.Maximum,
    L.Minimum,
    L.CategoryEncoding,
)
def _pointwise_layer(node: Node, places: int) -> Declaration | None:
    operation = node.operation
    if isinstance(operation, L.Embedding) and operation.mask_zero:
        return Mixing("mask_zero=True passes a mask on, which single positions do not have")
    if isinstance(operation, (L.EinsumDense, L.CategoryEncoding)):
        return None
    return POINTWISE


@_rule(L.Dense)
def _dense(node: Node, places: int) -> Declaration:
    if len(node.inputs[0].shape) < places + 2:
        return Mixing("it is applied over positions, not over channels")
    if getattr(node.operation, "quantization_mode", None):
        return POINTWISE
    return linear_taps(node.operation, (_zero(places),))


@_rule(
    L.Softmax,
    L.LayerNormalization,
    L.BatchNormalization,
    L.UnitNormalization,
    L.RMSNormalization,
)
def _over_channels(node: Node, places: int) -> Declaration:
    rank = len(node.inputs[0].shape)
    if not _axis_is_local(node.operation.axis, rank, places):
        return Mixing(f"it normalises over axis {node.operation.axis}, which holds positions")
    return POINTWISE


@_rule(L.GroupNormalization)
def _group_norm(node: Node, places: int) -> Declaration:
    return Mixing("it normalises over all positions; LayerNormalization works on channels alone")


@_rule(L.PReLU)
def _prelu(node: Node, places: int) -> Declaration | None:
    shared = node.operation.shared_axes or ()
    if set(range(1, places + 1)) <= set(shared):
        return POINTWISE
    return Mixing("its slopes differ between positions; set shared_axes to the position axes")


@_rule(L.Concatenate)
def _concatenate_layer(node: Node, places: int) -> Declaration:
    return _along(node.operation.axis, node, places)


@_rule(*_operation("Concatenate", "Stack"))
def _concatenate(node: Node, places: int) -> Declaration:
    return _along(node.operation.axis, node, places)


@_rule(*_operation("Split"))
def _split(node: Node, places: int) -> Declaration:
    return _along(node.operation.axis, node, places)


@_rule(*_operation("Softmax", "LogSoftmax"))
def _softmax(node: Node, places: int) -> Declaration:
    return _along(node.operation.axis, node, places)


def _along(axis: int, node: Node, places: int) -> Declaration:
    rank = len(node.inputs[0].shape)
    if not _axis_is_local(axis, rank, places):
        return Mixing(f"it works along axis {axis}, which holds positions")
    return POINTWISE


@_rule(
    *_operation(
        "Add",
        "Subtract",
        "Multiply",
        "Divide",
        "TrueDivide",
        "FloorDivide",
        "Mod",
        "Power",
        "Maximum",
        "Minimum",
        "Where",
        "Equal",
        "NotEqual",
        "Greater",
        "GreaterEqual",
        "Less",
        "LessEqual",
        "LogicalAnd",
        "LogicalOr",
        "LogicalNot",
        "Absolute",
        "Abs",
        "Negative",
        "Sign",
        "Square",
        "Sqrt",
        "Exp",
        "Expm1",
        "Log",
        "Log1p",
        "Sin",
        "Cos",
        "Tanh",
        "Arctan",
        "Round",
        "Floor",
        "Ceil",
        "Clip",
        "Reciprocal",
        "Rsqrt",
        "Erf",
        "Cast",
        "OnesLike",
        "ZerosLike",
        "Relu",
        "Relu6",
        "Sigmoid",
        "Softplus",
        "Softsign",
        "Silu",
        "LogSigmoid",
        "LeakyRelu",
        "HardSigmoid",
        "HardSilu",
        "HardTanh",
        "Elu",
        "Selu",
        "Gelu",
        "Celu",
        "Glu",
        "Tanhshrink",
        "Softshrink",
        "StopGradient",
        "OneHot",
    )
)
def _elementwise(node: Node, places: int) -> Declaration | None:
    if type(node.operation).__name__ == "OneHot":
        new = node.operation.axis % len(node.outputs[0].shape)
        return POINTWISE if new > places else Mixing("its new axis stands before the positions")
    if getattr(node.operation, "axis", None) is not None:
        return _along(node.operation.axis, node, places)
    for edge in node.inputs:
        # Broadcasting counts axes from the right, so ranks must agree to keep positions aligned.
        if len(edge.shape) != len(node.outputs[0].shape) and len(edge.shape) > 0:
            return Mixing("it joins tensors of different ranks, which misaligns positions")
    args, kwargs = node.constants
    for constant in [*args, *kwargs.values()]:
        if isinstance(constant, (np.ndarray, tf.Tensor, keras.Variable)):
            if any(size != 1 for size in tuple(constant.shape)[:-1]):
                return Mixing("it joins a constant that differs between positions")
    return POINTWISE


@_rule(*_operation("Mean", "Sum", "Max", "Min", "Prod", "Logsumexp", "Norm", "Std", "Var", "All"))
def _reduction(node: Node, places: int) -> Declaration:
    operation, rank = node.operation, len(node.inputs[0].shape)
    if _axis_is_local(operation.axis, rank, places):
        return POINTWISE
    return Mixing(f"it reduces over axis {operation.axis}, which holds positions")


@_rule(*_operation("ExpandDims"))
def _expand_dims(node: Node, places: int) -> Declaration:
    rank = len(node.outputs[0].shape)
    axis = node.operation.axis
    axes = [axis] if isinstance(axis, int) else list(axis)
    if all(a % rank > places for a in axes):
        return POINTWISE
    return Mixing(f"it puts a new axis {axis} before the positions")


@_rule(*_operation("Squeeze"))
def _squeeze(node: Node, places: int) -> Declaration:
    if _axis_is_local(node.operation.axis, len(node.inputs[0].shape), places):
        return POINTWISE
    return Mixing(f"it drops axis {node.operation.axis}, which holds positions")


@_rule(L.Reshape, *_operation("Reshape"))
def _reshape(node: Node, places: int) -> Declaration:
    """Positions stay, the axes behind them are renamed."""
    before, after = node.inputs[0].shape, node.outputs[0].shape
    same = len(after) > places and before[1 : places + 1] == after[1 : places + 1]
    if not same or None in after[places + 1 :]:
        return Mixing(f"it reshapes {before} to {after}, which moves positions")
    tail = after[places + 1 :]

    def combine(values: Sequence[Tensor], position: tuple[Tensor, ...]) -> Tensor:
        leading = tf.shape(values[0])[: places + 1]
        result = tf.reshape(values[0], tf.concat([leading, tail], 0))
        return tf.ensure_shape(result, (*values[0].shape[: places + 1], *tail))

    return Taps((_zero(places),), combine=combine)


def _zero(places: int) -> tuple[int, ...]:
    return (0,) * places


# Fixed offsets.


def _window(
    size: Sequence[int], dilation: Sequence[int], padding: str, strides: Sequence[int]
) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
    """Offsets of a window's elements in raster order, and by how much the output grows."""
    places = len(size)
    spans = [(k - 1) * d for k, d in zip(size, dilation, strict=True)]
    before = {
        "valid": [0] * places,
        "same": [span // 2 for span in spans],
        "causal": spans,
    }[padding]
    grid = np.indices(size).reshape(places, -1).T
    offsets = [tuple(int(v) for v in g * np.array(dilation) - np.array(before)) for g in grid]
    grow = tuple(-span if padding == "valid" else 0 for span in spans)
    return offsets, grow


def _strided(operation: Any) -> Mixing | None:
    strides = operation.strides
    strides = strides if isinstance(strides, (tuple, list)) else (strides,)
    if any(s != 1 for s in strides):
        return Mixing(
            f"its strides {tuple(strides)} leave positions out; kerasar.convolutionalize turns "
            "strides into dilations"
        )
    if getattr(operation, "data_format", "channels_last") != "channels_last":
        return Mixing("it has data_format='channels_first'; channels come last here")
    return None


@_rule(L.Conv1D, L.Conv2D)
def _convolution(node: Node, places: int) -> Declaration | None:
    operation = node.operation
    if len(operation.kernel_size) != places:
        return Mixing(f"it convolves over {len(operation.kernel_size)} axes of {places}")
    refused = _strided(operation)
    if refused is not None:
        return refused
    offsets, grow = _window(
        operation.kernel_size, operation.dilation_rate, operation.padding, operation.strides
    )
    return linear_taps(operation, tuple(offsets), grow)


@_rule(L.DepthwiseConv1D, L.DepthwiseConv2D, L.SeparableConv1D, L.SeparableConv2D)
def _depthwise(node: Node, places: int) -> Declaration | None:
    layer = node.operation
    if len(layer.kernel_size) != places:
        return Mixing(f"it convolves over {len(layer.kernel_size)} axes of {places}")
    refused = _strided(layer)
    if refused is not None:
        return refused
    offsets, grow = _window(layer.kernel_size, layer.dilation_rate, layer.padding, layer.strides)
    separable = hasattr(layer, "pointwise_kernel")

    def combine(values: Sequence[Tensor], position: tuple[Tensor, ...]) -> Tensor:
        kernel = layer.depthwise_kernel if separable else layer.kernel
        kernel = K.cast(kernel, layer.compute_dtype)
        channels, multiplier = kernel.shape[-2:]
        kernel = K.reshape(kernel, (-1, channels, multiplier))
        total = sum(v[..., None] * kernel[i] for i, v in enumerate(values))
        shape = tf.concat([tf.shape(values[0])[:-1], [channels * multiplier]], 0)
        total = tf.reshape(total, shape)
        if separable:
            matrix = K.reshape(layer.pointwise_kernel, (channels * multiplier, -1))
            total = matmul(total, K.cast(matrix, layer.compute_dtype))
        total = tf.ensure_shape(total, (*values[0].shape[:-1], node.outputs[0].shape[-1]))
        if layer.use_bias:
            total = total + K.cast(layer.bias, total.dtype)
        return total if layer.activation is None else layer.activation(total)

    return Taps(tuple(offsets), 0.0, grow, combine=combine)


@_rule(L.MaxPooling1D, L.AveragePooling1D, L.MaxPooling2D, L.AveragePooling2D)
def _pooling(node: Node, places: int) -> Declaration | None:
    layer = node.operation
    size = layer.pool_size if isinstance(layer.pool_size, tuple) else (layer.pool_size,)
    if len(size) != places:
        return Mixing(f"it pools over {len(size)} axes of {places}")
    refused = _strided(layer)
    if refused is not None:
        return refused
    offsets, grow = _window(size, (1,) * places, layer.padding, (1,) * places)
    if isinstance(layer, (L.MaxPooling1D, L.MaxPooling2D)):
        return Taps(
            tuple(offsets),
            -np.inf,
            grow,
            combine=lambda values, _: functools.reduce(K.maximum, values),
        )
    if layer.padding == "same":
        # Real values only are averaged, so the divisor depends on the place: no step form.
        return Taps(tuple(offsets), 0.0, grow)
    return Taps(tuple(offsets), 0.0, grow, combine=lambda values, _: sum(values) / len(offsets))


@_rule(L.ZeroPadding1D, L.ZeroPadding2D)
def _zero_padding(node: Node, places: int) -> Declaration:
    padding = node.operation.padding
    pairs = [padding] if places == 1 else list(padding)
    return _moved([(int(a), int(b)) for a, b in pairs], 0.0)


@_rule(L.Cropping1D, L.Cropping2D)
def _cropping(node: Node, places: int) -> Declaration:
    cropping = node.operation.cropping
    pairs = [cropping] if places == 1 else list(cropping)
    return _moved([(-int(a), -int(b)) for a, b in pairs], 0.0)


@_rule(*_operation("Pad"))
def _pad(node: Node, places: int) -> Declaration:
    operation = node.operation
    pairs = [(int(front), int(back)) for front, back in np.asarray(operation.pad_width)]
    inside = pairs[1 : places + 1]
    if pairs[0] != (0, 0) or any(pair != (0, 0) for pair in pairs[places + 1 :]):
        return Mixing("it pads other axes than the positions")
    if operation.mode != "constant":
        return Mixing(f"it pads by mode '{operation.mode}', which copies other positions")
    constants = node.arguments.kwargs.get("constant_values")
    return _moved(inside, float(constants or 0.0))


@_rule(*_operation("GetItem"))
def _get_item(node: Node, places: int) -> Declaration:
    key = node.arguments.args[1] if len(node.arguments.args) > 1 else node.arguments.kwargs["key"]
    key = list(key) if isinstance(key, (tuple, list)) else [key]
    rank = len(node.inputs[0].shape)
    if Ellipsis in [k for k in key if k is Ellipsis]:
        at = next(i for i, k in enumerate(key) if k is Ellipsis)
        missing = rank - (len(key) - 1) + sum(k is None for k in key)
        key = key[:at] + [slice(None)] * missing + key[at + 1 :]
    head = key[: places + 1]
    if not all(isinstance(k, slice) and k.step in (None, 1) for k in head):
        return Mixing(f"it indexes positions by {head}")
    if head and head[0] != slice(None):
        return Mixing("it slices the batch")
    pairs = []
    for axis, part in enumerate(head[1:], 1):
        size = node.inputs[0].shape[axis]
        start, stop = part.start or 0, part.stop
        if size is not None:
            start, stop, _ = part.indices(size)
            stop -= size
        elif start < 0 or (stop is not None and stop >= 0):
            return Mixing(f"it slices an open length by {part}")
        pairs.append((-start, stop or 0))
    pairs += [(0, 0)] * (places - len(pairs))
    if all(pair == (0, 0) for pair in pairs):
        return POINTWISE
    rest = tuple(key[places + 1 :])
    if not rest:
        return _moved(pairs, 0.0)
    whole = (slice(None),) * (places + 1) + rest
    return _moved(pairs, 0.0, lambda value: value[whole])


def _moved(
    pairs: list[tuple[int, int]], pad: float, rest: Callable[[Tensor], Tensor] | None = None
) -> Taps:
    """Padding (positive) or cropping (negative) in front and behind: one tap, another length."""
    offset = tuple(-front for front, _ in pairs)
    grow = tuple(front + back for front, back in pairs)
    if rest is None:
        return Taps((offset,), pad, grow, combine=lambda values, _: values[0], moves=True)
    return Taps((offset,), pad, grow, combine=lambda values, _: rest(values[0]))


# States along the sequence.


@_rule(L.GRU, L.LSTM, L.SimpleRNN, L.RNN)
def _recurrent(node: Node, places: int) -> Declaration:
    layer = node.operation
    if places != 1:
        return Mixing("it runs over one axis of an image")
    if not layer.return_sequences:
        return Mixing("it returns the last state only; set return_sequences=True")
    if layer.go_backwards or layer.stateful or len(node.inputs) > 1 or layer.return_state:
        return Mixing("it runs backwards, keeps or takes or returns states")

    def initial(batch: Tensor) -> Any:
        return list(layer.get_initial_state(batch_size=batch))

    def step(x: Tensor, carry: Any, position: Tensor) -> tuple[Tensor, Any]:
        y, states = layer.cell(x, list(carry), training=False)
        return y, list(states) if isinstance(states, (list, tuple)) else [states]

    return Recurrence(initial, step)


@_rule(L.Bidirectional)
def _bidirectional(node: Node, places: int) -> Declaration:
    return Mixing("one of its directions comes from the future")


@_rule(L.TimeDistributed)
def _time_distributed(node: Node, places: int) -> Declaration | None:
    return None


@_rule(
    L.Flatten,
    L.Permute,
    L.GlobalAveragePooling1D,
    L.GlobalMaxPooling1D,
    L.GlobalAveragePooling2D,
    L.GlobalMaxPooling2D,
    L.UpSampling1D,
    L.UpSampling2D,
    *_operation("Flip", "Roll", "Transpose", "Cumsum", "Sort", "Argsort"),
)
def _mixing(node: Node, places: int) -> Declaration | None:
    name = type(node.operation).__name__
    if name == "Cumsum":
        return None
    return Mixing(f"{name} moves or mixes positions")
