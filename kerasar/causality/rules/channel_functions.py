"""Functions along the axes behind the positions: reductions, orders, rearrangements."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from kerasar.causality.rules.pointwise import axis_is_local, is_array
from kerasar.causality.rules.registry import Use, rule
from kerasar.keras_internals import operation_classes
from kerasar.layers.protocol import POINTWISE, Declaration, MixesPositions, Pointwise, Taps
from kerasar.typing import Tensor

L = keras.layers


@rule(
    *operation_classes(
        *"""Mean Sum Max Amax Min Amin Prod Ptp Logsumexp Norm Std Var All Any Average Median
        CountNonzero Argmax Argmin Nanargmax Nanargmin Nanmax Nanmean Nanmedian Nanmin Nanprod
        Nanstd Nansum Nanvar""".split()
    )
)
def _reduction(use: Use) -> Declaration | None:
    """One number for each vector along an axis."""
    axis = use.operation.axis
    if not axis_is_local(axis, use.rank, use.position_rank):
        return MixesPositions(f"it reduces over axis {axis}, which holds positions")
    weights = use.arguments("x", "weights")[1]
    is_plain = len(use.node.inputs) == 1 and len(np.shape(weights)) < 2
    return POINTWISE if is_plain else None


@rule(*operation_classes("Sort", "Argsort", "Argpartition", "Flip", "Roll", "Repeat", "Diff"))
def _rearranged(use: Use) -> Declaration:
    """Each vector along an axis by itself, of another length perhaps."""
    operation = use.operation
    axis = operation.axis
    if axis_is_local(axis, use.rank, use.position_rank):
        return POINTWISE
    kind = type(operation).__name__
    return MixesPositions(f"{kind} moves or mixes positions: it works along axis {axis}")


@rule(*operation_classes("Normalize", "RMSNorm", "LayerNorm"))
def _normalized(use: Use) -> Declaration | None:
    axis = use.operation.axis
    if not axis_is_local(axis, use.rank, use.position_rank):
        return MixesPositions(f"it normalizes over axis {axis}, which holds positions")
    scales = range(1, len(use.node.inputs))  # scale and offset, shaped as what is normalized
    if any(use.node.inputs[index] in use.data_dependent for index in scales):
        return None
    return Pointwise(whole=tuple(scales))


@rule(*operation_classes("Cumsum", "Cumprod", "Nancumsum", "Nancumprod"))
def _cumulative(use: Use) -> Declaration | None:
    return POINTWISE if axis_is_local(use.operation.axis, use.rank, use.position_rank) else None


@rule(*operation_classes("TopK"))
def _top(use: Use) -> Declaration:
    if use.has_channels:
        return POINTWISE
    return MixesPositions("it works along the last axis, which holds positions")


@rule(*operation_classes("MultiHot"))
def _multi_hot(use: Use) -> Declaration:
    return MixesPositions("it pools what it encodes over axis 1, which holds positions")


@rule(*operation_classes("Unstack"))
def _unstack(use: Use) -> Declaration:
    axis = use.operation.axis
    if axis_is_local(axis, use.rank, use.position_rank):
        return POINTWISE
    return MixesPositions(f"it takes axis {axis} apart, which holds positions")


@rule(*operation_classes("Squeeze"))
def _squeeze(use: Use) -> Declaration:
    axis = use.operation.axis
    if axis_is_local(axis, use.rank, use.position_rank):
        return POINTWISE
    return MixesPositions(
        f"it drops axis {axis}, which holds positions"
        if axis is not None
        else "it drops every axis of size 1, positions among them perhaps; say which with axis="
    )


@rule(*operation_classes("Tile"))
def _tile(use: Use) -> Declaration:
    repeats = np.atleast_1d(use.operation.repeats).tolist()
    missing = use.rank - len(repeats)
    head = ([1] * missing + repeats)[: 1 + use.position_rank]
    if missing < 0 or any(count != 1 for count in head):
        return MixesPositions("it repeats positions, or examples")
    return POINTWISE


@rule(L.Permute, *operation_classes("Transpose", "Swapaxes", "Moveaxis"))
def _permuted(use: Use) -> Declaration:
    order = _order(use)
    if order[: 1 + use.position_rank] == list(range(1 + use.position_rank)):
        return POINTWISE
    return MixesPositions(f"{type(use.operation).__name__} moves or mixes positions")


def _order(use: Use) -> list[int]:
    """Where each axis of the result comes from."""
    operation = use.operation
    if type(operation) is L.Permute:
        return [0, *operation.dims]
    names = np.empty(tuple(range(1, 1 + use.rank)), bool)  # each size tells its axis
    call = type(operation).__name__.lower()
    if call == "transpose":
        moved = np.transpose(names, operation.axes)
    elif call == "swapaxes":
        moved = np.swapaxes(names, operation.axis1, operation.axis2)
    else:
        moved = np.moveaxis(names, operation.source, operation.destination)
    return [size - 1 for size in moved.shape]


@rule(L.Flatten)
def _flatten(use: Use) -> Declaration:
    """Nothing is flattened where the axes behind the first one have size 1."""
    before = use.node.inputs[0].shape
    if use.position_rank == 1 and all(size == 1 for size in before[2:]):

        def combine(values: Sequence[Tensor], position: tuple[Tensor, ...]) -> Tensor:
            value = values[0]
            leading = len(value.shape) - len(before) + 2
            flat = tf.reshape(value, tf.shape(value)[:leading])
            return tf.ensure_shape(flat, value.shape[:leading])

        return Taps(((0,),), combine=combine)
    return MixesPositions(
        "Flatten moves or mixes positions; keras.layers.Reshape can flatten the axes behind them"
    )


@rule(*operation_classes("Take"))
def _take(use: Use) -> Declaration | None:
    """Channels by constant indices; or rows of a table by indices that are data."""
    axis = use.operation.axis
    table, indices = use.arguments("x", "indices")
    if not isinstance(indices, keras.KerasTensor):
        if axis_is_local(axis, use.rank, use.position_rank):
            return POINTWISE
        return MixesPositions(f"it takes from axis {axis}, which holds positions")
    tensors = list(use.node.inputs)
    if len(tensors) == 2 and tensors[0] in use.data_dependent:
        return None
    # The axes of the indices come first only where the table is looked up along its first one.
    return Pointwise(whole=(0,) if len(tensors) == 2 else ()) if axis == 0 else None


@rule(*operation_classes("TakeAlongAxis"))
def _take_along_axis(use: Use) -> Declaration | None:
    axis = use.operation.axis
    if not axis_is_local(axis, use.rank, use.position_rank):
        return MixesPositions(f"it takes from axis {axis}, which holds positions")
    constants = [part for part in use.arguments("x", "indices") if is_array(part)]
    if any(set(np.shape(part)[: 1 + use.position_rank]) - {1} for part in constants):
        return None  # other indices for other positions
    return Pointwise(whole=())


@rule(*operation_classes("Digitize", "IsIn", "SearchSorted"))
def _compared(use: Use) -> Declaration | None:
    """Each element by itself, compared with constants."""
    given = use.arguments("one", "other")
    is_search = type(use.operation) in operation_classes("SearchSorted")
    is_compared = isinstance(given[is_search], keras.KerasTensor)
    return POINTWISE if len(use.node.inputs) == 1 and is_compared else None
