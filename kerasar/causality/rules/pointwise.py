"""Operations that treat each position by itself, if their axes leave positions alone."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.causality.graph import Node
from kerasar.causality.rules.registry import rule
from kerasar.keras_internals import operation_classes
from kerasar.layers.linear_taps import linear_taps
from kerasar.layers.protocol import POINTWISE, Declaration, MixesPositions, Taps
from kerasar.typing import Tensor

L = keras.layers


def _axis_is_local(axis: Any, rank: int, position_rank: int) -> bool:
    """Whether a normalization or reduction over these axes leaves the positions alone."""
    axes = [axis] if isinstance(axis, int) else list(axis or range(rank))
    return all(a % rank > position_rank for a in axes)


@rule(
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
def _pointwise_layer(node: Node, position_rank: int) -> Declaration | None:
    operation = node.operation
    if isinstance(operation, L.Embedding) and operation.mask_zero:
        return MixesPositions("mask_zero=True passes a mask on, which single positions do not have")
    if isinstance(operation, (L.EinsumDense, L.CategoryEncoding)):
        return None
    return POINTWISE


@rule(L.Dense)
def _dense(node: Node, position_rank: int) -> Declaration:
    if len(node.inputs[0].shape) < position_rank + 2:
        return MixesPositions("it is applied over positions, not over channels")
    if getattr(node.operation, "quantization_mode", None):
        return POINTWISE
    return linear_taps(node.operation, ((0,) * position_rank,))


@rule(
    L.Softmax,
    L.LayerNormalization,
    L.BatchNormalization,
    L.UnitNormalization,
    L.RMSNormalization,
)
def _over_channels(node: Node, position_rank: int) -> Declaration:
    rank = len(node.inputs[0].shape)
    if not _axis_is_local(node.operation.axis, rank, position_rank):
        return MixesPositions(
            f"it normalizes over axis {node.operation.axis}, which holds positions"
        )
    return POINTWISE


@rule(L.GroupNormalization)
def _group_norm(node: Node, position_rank: int) -> Declaration:
    return MixesPositions(
        "it normalizes over all positions; LayerNormalization works on channels alone"
    )


@rule(L.PReLU)
def _prelu(node: Node, position_rank: int) -> Declaration | None:
    shared = node.operation.shared_axes or ()
    if set(range(1, position_rank + 1)) <= set(shared):
        return POINTWISE
    return MixesPositions(
        "its slopes differ between positions; set shared_axes to the position axes"
    )


@rule(L.Concatenate)
def _concatenate_layer(node: Node, position_rank: int) -> Declaration:
    return _along(node.operation.axis, node, position_rank)


@rule(*operation_classes("Concatenate", "Stack"))
def _concatenate(node: Node, position_rank: int) -> Declaration:
    return _along(node.operation.axis, node, position_rank)


@rule(*operation_classes("Split"))
def _split(node: Node, position_rank: int) -> Declaration:
    return _along(node.operation.axis, node, position_rank)


@rule(*operation_classes("Softmax", "LogSoftmax"))
def _softmax(node: Node, position_rank: int) -> Declaration:
    return _along(node.operation.axis, node, position_rank)


def _along(axis: int, node: Node, position_rank: int) -> Declaration:
    rank = len(node.inputs[0].shape)
    if not _axis_is_local(axis, rank, position_rank):
        return MixesPositions(f"it works along axis {axis}, which holds positions")
    return POINTWISE


#: Functions of `keras.ops` that treat each element by itself, or each vector along the last axis.
ELEMENTWISE = """
    Add Subtract Multiply Divide TrueDivide FloorDivide Mod Power Maximum Minimum Where Equal
    NotEqual Greater GreaterEqual Less LessEqual LogicalAnd LogicalOr LogicalNot Absolute Abs
    Negative Sign Square Sqrt Exp Expm1 Log Log1p Sin Cos Tanh Arctan Round Floor Ceil Clip
    Reciprocal Rsqrt Erf Cast OnesLike ZerosLike Relu Relu6 Sigmoid Softplus Softsign Silu
    LogSigmoid LeakyRelu HardSigmoid HardSilu HardTanh Elu Selu Gelu Celu Glu Tanhshrink
    Softshrink StopGradient OneHot
""".split()


@rule(*operation_classes(*ELEMENTWISE))
def _elementwise(node: Node, position_rank: int) -> Declaration | None:
    if type(node.operation).__name__ == "OneHot":
        new = node.operation.axis % len(node.outputs[0].shape)
        return (
            POINTWISE
            if new > position_rank
            else MixesPositions("its new axis comes before the positions")
        )
    if getattr(node.operation, "axis", None) is not None:
        return _along(node.operation.axis, node, position_rank)
    for edge in node.inputs:
        # Broadcasting counts axes from the right, so ranks must agree to keep positions aligned.
        if len(edge.shape) != len(node.outputs[0].shape) and len(edge.shape) > 0:
            return MixesPositions("it joins tensors of different ranks, which misaligns positions")
    args, kwargs = node.constants
    for constant in [*args, *kwargs.values()]:
        if isinstance(constant, (np.ndarray, tf.Tensor, keras.Variable)):
            if any(size != 1 for size in tuple(constant.shape)[:-1]):
                return MixesPositions("it joins a constant that differs between positions")
    return POINTWISE


@rule(
    *operation_classes(
        "Mean", "Sum", "Max", "Min", "Prod", "Logsumexp", "Norm", "Std", "Var", "All"
    )
)
def _reduction(node: Node, position_rank: int) -> Declaration:
    operation, rank = node.operation, len(node.inputs[0].shape)
    if _axis_is_local(operation.axis, rank, position_rank):
        return POINTWISE
    return MixesPositions(f"it reduces over axis {operation.axis}, which holds positions")


@rule(*operation_classes("ExpandDims"))
def _expand_dims(node: Node, position_rank: int) -> Declaration:
    rank = len(node.outputs[0].shape)
    axis = node.operation.axis
    axes = [axis] if isinstance(axis, int) else list(axis)
    if all(a % rank > position_rank for a in axes):
        return POINTWISE
    return MixesPositions(f"it puts a new axis {axis} before the positions")


@rule(*operation_classes("Squeeze"))
def _squeeze(node: Node, position_rank: int) -> Declaration:
    if _axis_is_local(node.operation.axis, len(node.inputs[0].shape), position_rank):
        return POINTWISE
    return MixesPositions(f"it drops axis {node.operation.axis}, which holds positions")


@rule(L.Reshape, *operation_classes("Reshape"))
def _reshape(node: Node, position_rank: int) -> Declaration:
    """Positions stay, the axes behind them are renamed."""
    before, after = node.inputs[0].shape, node.outputs[0].shape
    same = (
        len(after) > position_rank and before[1 : position_rank + 1] == after[1 : position_rank + 1]
    )
    if not same or None in after[position_rank + 1 :]:
        return MixesPositions(f"it reshapes {before} to {after}, which moves positions")
    tail = after[position_rank + 1 :]

    def combine(values: Sequence[Tensor], position: tuple[Tensor, ...]) -> Tensor:
        leading = tf.shape(values[0])[: position_rank + 1]
        result = tf.reshape(values[0], tf.concat([leading, tail], 0))
        return tf.ensure_shape(result, (*values[0].shape[: position_rank + 1], *tail))

    return Taps(((0,) * position_rank,), combine=combine)
