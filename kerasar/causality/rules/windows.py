"""Convolutions and poolings: a window at fixed offsets."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops as K

from kerasar.causality.rules.bound_kernels import (
    BoundConv,
    BoundDepthwiseConv,
    BoundSeparableConv,
)
from kerasar.causality.rules.registry import Use, rule, with_activation, without_masked
from kerasar.keras_internals import operation_classes
from kerasar.layers.linear_taps import linear_taps, matmul
from kerasar.layers.protocol import Declaration, MixesPositions, Taps
from kerasar.typing import Tensor

L = keras.layers


def _window(
    size: Sequence[int], dilation: Sequence[int], padding: str
) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
    """Offsets of a window's elements in raster order, and by how much the output grows."""
    position_rank = len(size)
    spans = [(k - 1) * d for k, d in zip(size, dilation, strict=True)]
    before = {
        "valid": [0] * position_rank,
        "same": [span // 2 for span in spans],
        "causal": spans,
    }[padding]
    grid = np.indices(size).reshape(position_rank, -1).T
    offsets = [tuple(int(v) for v in g * np.array(dilation) - np.array(before)) for g in grid]
    length_change = tuple(-span if padding == "valid" else 0 for span in spans)
    return offsets, length_change


def _refused(
    operation: Any, size: Sequence[int], position_rank: int, verb: str
) -> MixesPositions | None:
    """Why a window cannot be a set of offsets; None if it can."""
    if len(size) != position_rank:
        return MixesPositions(f"it {verb} over {len(size)} axes of {position_rank}")
    strides = operation.strides or size  # as pooling has it
    strides = strides if isinstance(strides, (tuple, list)) else (strides,)
    if any(s != 1 for s in strides):
        return MixesPositions(
            f"its strides {tuple(strides)} leave positions out; kerasar.convolutionalize turns "
            "strides into dilations"
        )
    data_format = getattr(operation, "data_format", None) or keras.config.image_data_format()
    if data_format != "channels_last":
        return MixesPositions("it has data_format='channels_first'; channels come last here")
    return None


@rule(L.Conv1D, L.Conv2D, BoundConv)
def _convolution(use: Use) -> Declaration | None:
    operation, position_rank = use.operation, use.position_rank
    refused = _refused(operation, operation.kernel_size, position_rank, "convolves")
    if refused is not None:
        return refused
    offsets, length_change = _window(
        operation.kernel_size, operation.dilation_rate, operation.padding
    )
    connects = operation.connects if isinstance(operation, BoundConv) else None
    taps = linear_taps(operation, tuple(offsets), length_change, connects=connects)
    return with_activation(without_masked(taps), operation.activation, use)


@rule(L.Conv1DTranspose, L.Conv2DTranspose)
def _transposed(use: Use) -> Declaration | None:
    """Without strides it is a convolution too, by the kernel reversed; "valid" pads both ends."""
    layer, position_rank = use.operation, use.position_rank
    refused = _refused(layer, layer.kernel_size, position_rank, "convolves")
    if refused is not None:
        return refused
    if any(rate != 1 for rate in layer.dilation_rate) or layer.output_padding is not None:
        return None
    offsets, _ = _window(layer.kernel_size, (1,) * position_rank, layer.padding)
    reversed_ = tuple(tuple(-step for step in offset) for offset in offsets)
    spans = tuple(size - 1 if layer.padding == "valid" else 0 for size in layer.kernel_size)

    def kernel() -> Tensor:
        return K.swapaxes(layer.kernel, -1, -2)

    return with_activation(
        linear_taps(layer, reversed_, spans, kernel=kernel), layer.activation, use
    )


@rule(L.DepthwiseConv1D, L.DepthwiseConv2D, L.SeparableConv1D, L.SeparableConv2D,
      BoundDepthwiseConv, BoundSeparableConv)  # fmt: skip
def _depthwise(use: Use) -> Declaration | None:
    layer, node, position_rank = use.operation, use.node, use.position_rank
    refused = _refused(layer, layer.kernel_size, position_rank, "convolves")
    if refused is not None:
        return refused
    offsets, length_change = _window(layer.kernel_size, layer.dilation_rate, layer.padding)
    separable = hasattr(layer, "pointwise_kernel")
    kept = getattr(layer, "kept", range(len(offsets))) or [0]

    def combine(values: Sequence[Tensor], position: tuple[Tensor, ...]) -> Tensor:
        kernel = layer.depthwise_kernel if separable else layer.kernel
        kernel = K.cast(kernel, layer.compute_dtype)
        channels, multiplier = kernel.shape[-2:]
        kernel = K.reshape(kernel, (-1, channels, multiplier))
        total = sum(v[..., None] * kernel[i] for i, v in zip(kept, values, strict=True))
        shape = tf.concat([tf.shape(values[0])[:-1], [channels * multiplier]], 0)
        total = tf.reshape(total, shape)
        if separable:
            matrix = K.reshape(layer.pointwise_kernel, (channels * multiplier, -1))
            total = matmul(total, K.cast(matrix, layer.compute_dtype))
        total = tf.ensure_shape(total, (*values[0].shape[:-1], node.outputs[0].shape[-1]))
        if layer.use_bias:
            total = total + K.cast(layer.bias, total.dtype)
        return total if layer.activation is None else layer.activation(total)

    taps = Taps(tuple(offsets[tap] for tap in kept), 0.0, length_change, combine=combine)
    return with_activation(taps, layer.activation, use)


_MAXIMA = (L.MaxPooling1D, L.MaxPooling2D, *operation_classes("MaxPool"))


@rule(*_MAXIMA, L.AveragePooling1D, L.AveragePooling2D, *operation_classes("AveragePool"))
def _pooling(use: Use) -> Declaration | None:
    layer, position_rank = use.operation, use.position_rank
    size = layer.pool_size
    size = tuple(size) if isinstance(size, (tuple, list)) else (size,) * (use.rank - 2)
    refused = _refused(layer, size, position_rank, "pools")
    if refused is not None:
        return refused
    offsets, length_change = _window(size, (1,) * position_rank, layer.padding)
    if isinstance(layer, _MAXIMA):
        return Taps(
            tuple(offsets),
            -np.inf,
            length_change,
            combine=lambda values, _: functools.reduce(K.maximum, values),
        )
    if layer.padding == "same":
        return Taps(tuple(offsets), math.nan, length_change, combine=_average_inside)
    return Taps(
        tuple(offsets), 0.0, length_change, combine=lambda values, _: sum(values) / len(offsets)
    )


def _average_inside(values: Sequence[Tensor], position: tuple[Tensor, ...]) -> Tensor:
    """The average of real values: NaN marks what is outside of the input."""
    inside = [K.logical_not(K.isnan(value)) for value in values]
    total = sum(K.where(own, value, 0.0) for own, value in zip(inside, values, strict=True))
    return total / sum(K.cast(own, values[0].dtype) for own in inside)
