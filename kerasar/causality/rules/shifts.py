"""Paddings, crops and slices: the same values at other positions."""

import itertools
from collections.abc import Callable, Sequence

import keras
import numpy as np

from kerasar.causality.rules.registry import Use, rule
from kerasar.keras_internals import operation_classes
from kerasar.layers.protocol import POINTWISE, Declaration, MixesPositions, Taps
from kerasar.typing import Tensor

L = keras.layers


def _refused(use: Use) -> MixesPositions | None:
    """Why a layer's axes are not the positions; None if they are."""
    if getattr(use.operation, "data_format", "channels_last") != "channels_last":
        return MixesPositions("it has data_format='channels_first'; channels come last here")
    one_axis = isinstance(use.operation, (L.ZeroPadding1D, L.Cropping1D))
    if one_axis != (use.position_rank == 1):
        return MixesPositions(f"it moves {1 if one_axis else 2} axes of {use.position_rank}")
    return None


@rule(L.ZeroPadding1D, L.ZeroPadding2D)
def _zero_padding(use: Use) -> Declaration:
    padding = use.operation.padding
    pairs = [padding] if use.position_rank == 1 else list(padding)
    return _refused(use) or _moved([(int(a), int(b)) for a, b in pairs], 0.0)


@rule(L.Cropping1D, L.Cropping2D)
def _cropping(use: Use) -> Declaration:
    cropping = use.operation.cropping
    pairs = [cropping] if use.position_rank == 1 else list(cropping)
    return _refused(use) or _moved([(-int(a), -int(b)) for a, b in pairs], 0.0)


@rule(*operation_classes("Pad"))
def _pad(use: Use) -> Declaration:
    operation, position_rank = use.operation, use.position_rank
    pairs = [(int(front), int(back)) for front, back in np.asarray(operation.pad_width)]
    inside = pairs[1 : position_rank + 1]
    if pairs[0] != (0, 0) or any(pair != (0, 0) for pair in pairs[position_rank + 1 :]):
        return MixesPositions("it pads other axes than the positions")
    if operation.mode != "constant":
        return MixesPositions(f"it pads by mode '{operation.mode}', which copies other positions")
    arguments = use.node.arguments
    value = [*arguments.args[1:], *arguments.kwargs.values(), None][0]
    if not isinstance(value, (int, float, type(None))):
        return MixesPositions("it pads with a tensor")
    return _moved(inside, float(value or 0.0))


@rule(*operation_classes("Diff"))
def _diff(use: Use) -> Declaration | None:
    operation, position_rank = use.operation, use.position_rank
    axis, order = operation.axis % use.rank, operation.n
    if use.node.inputs[0].dtype == "bool":
        return None
    if order == 0 or axis > position_rank:
        return POINTWISE
    if axis == 0:
        return MixesPositions("it takes differences between examples")

    def along(step: int) -> tuple[int, ...]:
        return tuple(step if axis == 1 + n else 0 for n in range(position_rank))

    def combine(values: Sequence[Tensor], position: tuple[Tensor, ...]) -> Tensor:
        while len(values) > 1:
            values = [after - before for before, after in itertools.pairwise(values)]
        return values[0]

    return Taps(tuple(map(along, range(order + 1))), 0.0, along(-order), combine=combine)


@rule(*operation_classes("GetItem"))
def _get_item(use: Use) -> Declaration:
    node, position_rank = use.node, use.position_rank
    key = node.arguments.args[1] if len(node.arguments.args) > 1 else node.arguments.kwargs["key"]
    key = list(key) if isinstance(key, (tuple, list)) else [key]
    rank = len(node.inputs[0].shape)
    if Ellipsis in [k for k in key if k is Ellipsis]:
        at = next(i for i, k in enumerate(key) if k is Ellipsis)
        missing = rank - (len(key) - 1) + sum(k is None for k in key)
        key = key[:at] + [slice(None)] * missing + key[at + 1 :]
    head = key[: position_rank + 1]
    if not all(isinstance(k, slice) and k.step in (None, 1) for k in head):
        return MixesPositions(f"it indexes positions by {head}")
    if head and head[0] != slice(None):
        return MixesPositions("it slices the batch")
    pairs = []
    for axis, part in enumerate(head[1:], 1):
        size = node.inputs[0].shape[axis]
        start, stop = part.start or 0, part.stop
        if size is not None:
            start, stop, _ = part.indices(size)
            stop -= size
        elif start < 0 or (stop is not None and stop >= 0):
            return MixesPositions(f"it slices an open length by {part}")
        pairs.append((-start, stop or 0))
    pairs += [(0, 0)] * (position_rank - len(pairs))
    if all(pair == (0, 0) for pair in pairs):
        return POINTWISE
    rest = tuple(key[position_rank + 1 :])
    if not rest:
        return _moved(pairs, 0.0)
    whole = (slice(None),) * (position_rank + 1) + rest
    return _moved(pairs, 0.0, lambda value: value[whole])


def _moved(
    pairs: list[tuple[int, int]], pad: float, rest: Callable[[Tensor], Tensor] | None = None
) -> Taps:
    """Padding (positive) or cropping (negative) in front and behind: one tap, another length."""
    offset = tuple(-front for front, _ in pairs)
    length_change = tuple(front + back for front, back in pairs)
    if rest is None:
        return Taps((offset,), pad, length_change, combine=lambda values, _: values[0], moves=True)
    return Taps((offset,), pad, length_change, combine=lambda values, _: rest(values[0]))
