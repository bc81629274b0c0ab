"""The declaration that convolutions share: a weighted sum of taps, a bias, an activation."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from kerasar.layers.protocol import Offset, Taps
from kerasar.typing import Tensor


def linear_taps(
    layer: Any,
    offsets: tuple[Offset, ...],
    length_change: Offset | None = None,
    kernel: Callable[[], Tensor] | None = None,
    connects: Any = None,
) -> Taps:
    """The declaration of a layer with `kernel`, `bias` and `activation`, as `Dense` has.

    Args:
        layer: the layer.
        offsets: of the kernel's elements in raster order.
        length_change: as for `Taps`.
        kernel: gives the effective kernel where it is not `layer.kernel`, for instance masked.
        connects: as for `Taps`.
    """
    groups = getattr(layer, "groups", 1)

    def matrices() -> Sequence[Tensor]:
        weights = ops.cast(layer.kernel if kernel is None else kernel(), layer.compute_dtype)
        channels, filters = weights.shape[-2:]
        if len(offsets) == 1:
            return [block_diagonal(ops.reshape(weights, (channels, filters)), groups)]
        taps = tf.unstack(ops.reshape(weights, (-1, channels, filters)))
        return [block_diagonal(tap, groups) for tap in taps]

    def finish(total: Tensor) -> Tensor:
        if layer.use_bias:
            total = total + ops.cast(layer.bias, total.dtype)
        return total if layer.activation is None else layer.activation(total)

    linear = layer.activation in (None, keras.activations.linear)
    return Taps(
        offsets,
        0.0,
        length_change,
        matrices=matrices,
        finish=finish,
        linear=linear,
        connects=connects,
    )


def weighted_sum(values: Sequence[Tensor], matrix: Tensor) -> Tensor:
    """The values' channels side by side, times the matrices on top of each other."""
    cast = [tf.cast(value, matrix.dtype) for value in values]
    joined = cast[0] if len(cast) == 1 else tf.concat(cast, -1)
    return matmul(joined, matrix)


def matmul(values: Tensor, matrix: Tensor) -> Tensor:
    """A product over the last axis, flat: one plain matrix product whatever the rank."""
    values = of_width(tf.cast(values, matrix.dtype), matrix.shape[0])
    flat = values if values.shape.rank == 2 else tf.reshape(values, (-1, matrix.shape[0]))
    return with_last_axes(tf.matmul(flat, matrix), values, (matrix.shape[1],))


def of_width(values: Tensor, width: int) -> Tensor:
    """Values whose last axis must have a size, for else a reshape would take it for more rows."""
    own = values.shape[-1]
    return values if own == width else tf.ensure_shape(values, (*values.shape[:-1], width))


def with_last_axes(product: Tensor, values: Tensor, last: Sequence[int]) -> Tensor:
    """A product of values `(*sizes, n)`, computed flat or not, as `(*sizes, *last)`."""
    sizes = [*values.shape[:-1], *last]
    if product.shape.as_list() == sizes:
        return product
    if sizes.count(None) <= 1 and 0 not in sizes:
        return tf.reshape(product, [-1 if size is None else size for size in sizes])
    shape = tf.concat([tf.shape(values)[:-1], last], 0)
    return tf.ensure_shape(tf.reshape(product, shape), sizes)


def block_diagonal(tap: Tensor, groups: int) -> Tensor:
    """Grouped channels as one matrix: each group of outputs sees its own group of inputs."""
    if groups == 1:
        return tap
    width, out = tap.shape[0], tap.shape[1] // groups
    rows = []
    for group in range(groups):
        block = tap[:, group * out : (group + 1) * out]
        rows.append(tf.pad(block, [[0, 0], [group * out, (groups - 1 - group) * out]]))
    return tf.ensure_shape(tf.concat(rows, 0), (width * groups, out * groups))
