"""The declaration that all convolutions share: a weighted sum of taps, a bias, an activation."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from keras import ops

from kerasar.layers.protocol import Offset, Taps
from kerasar.typing import Tensor


def convolution_taps(
    layer: Any,
    offsets: tuple[Offset, ...],
    grow: Offset | None = None,
    kernel: Callable[[], Tensor] | None = None,
    connects: Any = None,
) -> Taps:
    """The declaration of a layer with `kernel`, `bias`, `activation` and `groups` as `Conv2D` has.

    `kernel` gives the effective kernel where it is not `layer.kernel`, for instance masked.
    """
    read = kernel or (lambda: layer.kernel)

    def weigh(which: Sequence[int]) -> Callable[[Sequence[Tensor]], Tensor]:
        weights = ops.cast(read(), layer.compute_dtype)
        channels, filters = weights.shape[-2:]
        weights = ops.reshape(weights, (-1, channels, filters))
        numbers = list(which)
        if numbers != list(range(weights.shape[0])):
            first, last = numbers[0], numbers[-1]
            run = numbers == list(range(first, last + 1))
            weights = weights[first : last + 1] if run else tf.gather(weights, numbers)
        groups = layer.groups
        if groups == 1:
            matrix = ops.reshape(weights, (-1, filters))
            return lambda values: matmul(
                values[0] if len(values) == 1 else tf.concat(list(values), -1), matrix
            )
        width, out = channels, filters // groups
        matrices = [
            ops.reshape(weights[:, :, g * out : (g + 1) * out], (-1, out)) for g in range(groups)
        ]

        def grouped(values: Sequence[Tensor]) -> Tensor:
            parts = []
            for g, matrix in enumerate(matrices):
                some = [value[..., g * width : (g + 1) * width] for value in values]
                parts.append(matmul(tf.concat(some, -1), matrix))
            return tf.concat(parts, -1)

        return grouped

    def finish(total: Tensor) -> Tensor:
        if layer.use_bias:
            total = total + ops.cast(layer.bias, total.dtype)
        return total if layer.activation is None else layer.activation(total)

    return Taps(offsets, 0.0, grow, weigh=weigh, finish=finish, connects=connects)


def matmul(values: Tensor, matrix: Tensor) -> Tensor:
    """A product over the last axis, flat: one plain matrix product whatever the rank."""
    values = tf.cast(values, matrix.dtype)
    flat = tf.matmul(tf.reshape(values, (-1, matrix.shape[0])), matrix)
    shape = tf.concat([tf.shape(values)[:-1], [matrix.shape[1]]], 0)
    return tf.ensure_shape(tf.reshape(flat, shape), (*values.shape[:-1], matrix.shape[1]))
