"""Operations that treat each position by itself, if their axes leave positions alone."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.causality.rules.registry import Use, rule, with_activation
from kerasar.keras_internals import operation_classes
from kerasar.layers.linear_taps import linear_taps
from kerasar.layers.protocol import POINTWISE, Declaration, MixesPositions, Taps
from kerasar.typing import Tensor

L = keras.layers


def axis_is_local(axis: Any, rank: int, position_rank: int) -> bool:
    """Whether a normalization or reduction over these axes leaves the positions alone."""
    if axis is None:
        return False
    axes = [axis] if isinstance(axis, (int, np.integer)) else list(axis)
    return all(int(a) % rank > position_rank for a in axes)


@rule(
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
    L.Embedding,
)
def _pointwise_layer(use: Use) -> Declaration:
    return POINTWISE


@rule(L.Masking)
def _masking(use: Use) -> Declaration:
    if use.has_channels:
        return POINTWISE
    return MixesPositions("it looks along the last axis, which holds positions")


@rule(L.Rescaling)
def _rescaling(use: Use) -> Declaration | None:
    sizes = [np.shape(value) for value in (use.operation.scale, use.operation.offset)]
    return POINTWISE if all(len(size) <= use.has_channels for size in sizes) else None


@rule(L.Activation)
def _activation(use: Use) -> Declaration | None:
    return with_activation(POINTWISE, use.operation.activation, use)


#: Layers that join their inputs element by element.
MERGES = (L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum)


@rule(*MERGES)
def _merge(use: Use) -> Declaration:
    """Keras gives tensors of lower rank new axes of size 1 behind the batch."""
    rank = len(use.node.outputs[0].shape)
    for edge in use.node.inputs:
        missing = rank - len(edge.shape)
        if missing and (edge in use.data_dependent or missing < use.position_rank):
            return MixesPositions(
                f"it joins tensors of ranks {len(edge.shape)} and {rank}, which misaligns "
                "positions; give both the same rank with keras.ops.expand_dims"
            )
    lifted = {key for key, _ in use.node.slots}
    for constant in filter(is_array, keras.tree.flatten(use.node.constants)):
        shape = tuple(constant.shape)
        shape = (*shape[:1], *(1,) * (rank - len(shape)), *shape[1:])
        if id(constant) not in lifted and set(shape[: use.position_rank + 1]) - {1}:
            return MixesPositions(
                f"it joins a constant of shape {tuple(constant.shape)} whose first axis is the "
                "batch; give it the rank of the others with keras.ops.expand_dims"
            )
    return POINTWISE


@rule(L.Dense)
def _dense(use: Use) -> Declaration | None:
    if not use.has_channels:
        return MixesPositions("it is applied over positions, not over channels")
    layer = use.operation
    if getattr(layer, "quantization_mode", None):
        return with_activation(POINTWISE, layer.activation, use)
    taps = linear_taps(layer, ((0,) * use.position_rank,))
    return with_activation(taps, layer.activation, use)


@rule(
    L.Softmax, L.LayerNormalization, L.BatchNormalization, L.UnitNormalization, L.RMSNormalization
)
def _over_channels(use: Use) -> Declaration:
    axis = use.operation.axis
    if not axis_is_local(axis, use.rank, use.position_rank):
        return MixesPositions(f"it normalizes over axis {axis}, which holds positions")
    is_softmax = type(use.operation) is L.Softmax
    if is_softmax and any(len(edge.shape) != use.rank for edge in use.node.inputs):
        return MixesPositions(
            "its mask has another rank than its input, which misaligns positions; give both the "
            "same rank with keras.ops.expand_dims, or take the mask off with mask_zero=False"
        )
    return POINTWISE


@rule(L.GroupNormalization)
def _group_norm(use: Use) -> Declaration:
    return MixesPositions(
        "it normalizes over all positions; LayerNormalization works on channels alone, and "
        "TimeDistributed(GroupNormalization()) on each step alone"
    )


@rule(L.PReLU)
def _prelu(use: Use) -> Declaration:
    shared = use.operation.shared_axes or ()
    if set(range(1, use.position_rank + 1)) <= set(shared):
        return POINTWISE
    return MixesPositions(
        "its slopes differ between positions; set shared_axes to the position axes"
    )


@rule(L.Concatenate, *operation_classes("Concatenate", "Stack", "Split", "Softmax", "LogSoftmax"))
def _along_axis(use: Use) -> Declaration:
    return _along(use.operation.axis, use)


def _along(axis: Any, use: Use) -> Declaration:
    rank = max(len(edge.shape) for edge in (*use.node.inputs, *use.node.outputs))
    if not axis_is_local(axis, rank, use.position_rank):
        return MixesPositions(f"it works along axis {axis}, which holds positions")
    return POINTWISE


#: Functions of `keras.ops` that treat each element by itself, or each vector along the last axis.
ELEMENTWISE = """
    Add Subtract Multiply Divide DivideNoNan TrueDivide FloorDivide Mod Fmod Power Maximum Minimum
    Fmax Fmin Hypot Logaddexp Logaddexp2 Arctan2 Heaviside Ldexp Nextafter Gcd Lcm Isclose Where
    Equal NotEqual Greater GreaterEqual Less LessEqual LogicalAnd LogicalOr LogicalXor LogicalNot
    BitwiseAnd BitwiseInvert BitwiseNot BitwiseOr BitwiseXor BitwiseLeftShift LeftShift
    BitwiseRightShift RightShift Absolute Abs Fabs Negative Sign Signbit Square Sqrt Cbrt Exp Exp2
    Expm1 Log Log10 Log1p Log2 Sin Cos Tan Arcsin Arccos Arctan Sinh Cosh Tanh Arcsinh Arccosh
    Arctanh Sinc Deg2rad Rad2deg Round Floor Ceil Trunc Clip Reciprocal Rsqrt Erf Erfc Erfinv
    Isfinite Isinf Isnan Isneginf Isposinf Isreal NanToNum Cast SaturateCast Copy OnesLike ZerosLike
    Relu Relu6 Sigmoid SparseSigmoid Softplus SparsePlus Squareplus Softsign Silu LogSigmoid
    LeakyRelu HardSigmoid HardSilu HardTanh HardShrink SoftShrink TanhShrink Threshold Elu Selu Gelu
    Celu Glu Sparsemax ReLU Mish StopGradient OneHot ConvertToTensor
""".split()
#: The same as classes of operations.
ELEMENTWISE_CLASSES = frozenset(operation_classes(*ELEMENTWISE))


@rule(*ELEMENTWISE_CLASSES)
def _elementwise(use: Use) -> Declaration | None:
    node, operation = use.node, use.operation
    rank = len(node.outputs[0].shape)
    if type(operation) in operation_classes("OneHot"):
        if operation.axis % rank > use.position_rank:
            return POINTWISE
        return MixesPositions("its new axis comes before the positions")
    if getattr(operation, "axis", None) is not None:
        return _along(operation.axis, use)
    # Broadcasting counts axes from the right, so ranks must agree to keep positions aligned.
    if any(len(edge.shape) not in (0, rank) for edge in node.inputs):
        return MixesPositions("it joins tensors of different ranks, which misaligns positions")
    batches = {e.shape[0] for e in node.inputs if e.shape and e in use.data_dependent} | {None, 1}
    if any(edge.shape and edge.shape[0] not in batches for edge in node.inputs):
        return MixesPositions("it joins a tensor that differs between examples")
    settings = [value for name, value in vars(operation).items() if not name.startswith("_")]
    sizes = [np.shape(value) for value in settings if is_array(value)]
    if any(size != 1 for shape in sizes for size in shape):
        return None  # an array among its settings, such as the bounds of a clip
    lifted = {key for key, _ in node.slots}  # known at every position, as conditions are
    for constant in filter(is_array, keras.tree.flatten(node.constants)):
        if id(constant) in lifted:
            continue
        shape = (1,) * (rank - len(constant.shape)) + tuple(constant.shape)
        if len(shape) > rank or shape[0] != 1:
            return MixesPositions("it joins a constant that differs between examples")
        if any(size != 1 for size in shape[1 : use.position_rank + 1]):
            return MixesPositions("it joins a constant that differs between positions")
    return POINTWISE


def is_array(value: Any) -> bool:
    """Whether a setting of an operation is an array of numbers."""
    return isinstance(value, (np.ndarray, tf.Tensor, tf.Variable, keras.Variable))


@rule(*operation_classes("ExpandDims"))
def _expand_dims(use: Use) -> Declaration:
    axis = use.operation.axis
    if axis_is_local(axis, len(use.node.outputs[0].shape), use.position_rank):
        return POINTWISE
    return MixesPositions(f"it puts a new axis {axis} before the positions")


@rule(L.Reshape, *operation_classes("Reshape"))
def _reshape(use: Use) -> Declaration:
    """Positions stay, the axes behind them are renamed."""
    before, after = use.node.inputs[0].shape, use.node.outputs[0].shape
    first = use.position_rank + 1
    tail = after[first:]
    same = len(after) >= first and len(before) >= first and before[:first] == after[:first]
    if not same or None in tail or None in before[first:]:
        return MixesPositions(f"it reshapes {before} to {after}, which moves positions")
    if math.prod(map(int, before[first:])) != math.prod(map(int, tail)):  # type: ignore[arg-type]
        return MixesPositions(
            f"it reshapes {before} to {after}, which folds axes into the batch; transpose them "
            "there first"
        )

    def combine(values: Sequence[Tensor], position: tuple[Tensor, ...]) -> Tensor:
        value = values[0]
        leading = len(value.shape) - len(before) + first
        result = tf.reshape(value, tf.concat([tf.shape(value)[:leading], tail], 0))
        return tf.ensure_shape(result, (*value.shape[:leading], *tail))

    return Taps(((0,) * use.position_rank,), combine=combine)
