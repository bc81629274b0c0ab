"""Operations that leave the positions where they are: elementwise ones, and those of other axes."""

import keras
import numpy as np

from kerasar.causality.offsets import Offsets
from kerasar.causality.pairs.moves import MOVES, moved
from kerasar.causality.pairs.placed import Placed
from kerasar.causality.pairs.use import PairUse, Ruled, pair_rule, unite
from kerasar.causality.pairs.values import UNKNOWN, combine, flat, is_low, operands
from kerasar.causality.rules.activations import is_elementwise
from kerasar.causality.rules.pointwise import ELEMENTWISE_CLASSES
from kerasar.causality.rules.scans import scan_refusal
from kerasar.causality.scan_operations import STEPS_FIRST
from kerasar.keras_internals import operation_classes
from kerasar.layers.protocol import Aligned

L = keras.layers


@pair_rule(*MOVES)
def _moves(use: PairUse) -> Ruled | str:
    """Transposes, reshapes, repetitions, slices of one tensor."""
    (edge,) = dict.fromkeys(use.node.inputs)
    outputs: list[Placed] = []
    for made in use.node.outputs:
        found = moved(use.node, use.placed[edge], edge, made, use.sizes)
        if isinstance(found, str):
            return found
        placed, axes = found
        outputs.append(placed)
    return Ruled(Aligned((axes,)), tuple(outputs))


_MERGES = (L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum)
_ELEMENTS = (
    L.ReLU, L.LeakyReLU, L.ELU, L.Dropout, L.GaussianNoise, L.GaussianDropout, L.AlphaDropout,
    L.ActivityRegularization, L.Identity,
)  # fmt: skip


@pair_rule(*_ELEMENTS, *_MERGES, *ELEMENTWISE_CLASSES)
def elementwise(use: PairUse) -> Ruled | str | None:
    """Elements with the same index, after broadcasting; axes are counted from the right."""
    operation, rank = use.node.operation, use.rank
    if getattr(operation, "axis", None) is not None or type(operation) in _WITH_AXES:
        return None
    reason = _misaligned(use)
    if reason is not None:
        return reason
    axes = _joined_axes(use)
    if isinstance(axes, str):
        return axes
    values = combine(operation, [use.values(part) for part in operands(use.node)])
    values = values.reshape((1,) * (rank - values.ndim) + values.shape)
    axes.update(_mask_axis(use, axes, values))
    fold = max(placed.fold for placed in use.placed.values())
    return Ruled(Aligned(use.aligned_axes()), (Placed(axes, values, fold),))


def _mask_axis(use: PairUse, axes: dict[int, Offsets], values: np.ndarray) -> dict[int, Offsets]:
    """The axis of the queries, where a mask over pairs meets a tensor that only has keys."""
    count = int(np.prod(use.sizes))
    found = [a for a in range(1, values.ndim) if a not in axes and values.shape[a] == count]
    masks = bool((is_low(values) | (values == 0)).any())
    return {found[0]: use.none()} if masks and len(axes) == len(found) == 1 else {}


_WITH_AXES = frozenset(operation_classes("OneHot", "Glu"))


def _misaligned(use: PairUse) -> str | None:
    """Why broadcasting would join examples or positions that do not belong together."""
    rank = use.rank
    for edge in use.node.inputs:
        missing = rank - len(edge.shape)
        if edge in use.placed and missing:
            return f"it joins tensors of ranks {len(edge.shape)} and {rank}, which misaligns them"
        if missing and (len(edge.shape) and edge.shape[0] is None):
            return "it joins a condition of another rank, which misaligns examples"
        if missing and isinstance(use.node.operation, L.Layer):
            return "it joins tensors of different ranks, which misaligns positions"
        if not missing and rank and edge.shape[0] not in (None, 1):
            return "it joins a constant that differs between examples"
    folds = {placed.fold for placed in use.placed.values()}
    if len(folds) > 1 or (
        folds != {1}
        and any(e not in use.placed and e.shape[:1] == (None,) for e in use.node.inputs)
    ):
        return "it joins tensors whose first axes hold different things"
    return None


def _joined_axes(use: PairUse) -> dict[int, Offsets] | str:
    """The position axes of all inputs together, of tensors aligned from the right."""
    axes: dict[int, Offsets] = {}
    for edge in use.node.inputs:
        for axis, offsets in use.placed[edge].axes.items() if edge in use.placed else ():
            unite(axes, axis + use.rank - len(edge.shape), offsets)
    if len(axes) > 2:
        return "it joins positions on three axes"
    if any(placed.grid for placed in use.placed.values()):
        return "it joins images with tensors of another form"
    return axes


@pair_rule(
    L.LayerNormalization, L.RMSNormalization, L.UnitNormalization, L.Dense,
    *operation_classes("LayerNorm", "RMSNorm", "Normalize", "OneHot"),
)  # fmt: skip
def along_other_axes(use: PairUse) -> Ruled | str | None:
    """Operations along axes that hold no positions."""
    operation, node = use.node.operation, use.node
    edge = node.inputs[0]
    if len(node.inputs) != 1 or edge not in use.placed:
        return None
    activation = getattr(operation, "activation", None)
    axis = getattr(operation, "axis", -1)
    placed, rank = use.placed[edge], len(edge.shape)
    axes = [a % rank for a in (axis if isinstance(axis, (list, tuple)) else [axis])]
    if any(a in placed.axes or a == 0 for a in axes):
        return f"it works along axis {axis}, which holds positions"
    if not is_elementwise(activation) or len(node.outputs[0].shape) != rank:
        return None
    return Ruled(Aligned((_same(rank),)), (Placed(placed.axes, flat(UNKNOWN, rank), placed.fold),))


@pair_rule(L.Concatenate, *operation_classes("Concatenate", "Stack"))
def _joins(use: PairUse) -> Ruled | str | None:
    """Concatenations and stacks along axes that hold no positions."""
    node, rank = use.node, use.rank
    axis, is_stack = node.operation.axis % rank, type(node.operation).__name__ == "Stack"
    if len({len(edge.shape) for edge in node.inputs}) > 1:
        return None
    shift = {a: a + (is_stack and a >= axis) for a in range(rank - is_stack)}
    axes: dict[int, Offsets] = {}
    for edge in node.inputs:
        if edge not in use.placed:
            continue
        placed = use.placed[edge]
        if placed.grid or placed.fold != 1:
            return "it joins tensors whose axes hold different things"
        for own, offsets in placed.axes.items():
            unite(axes, shift[own], offsets)
    if axis in axes or axis == 0 or len(axes) > 2:
        return f"it works along axis {node.operation.axis}, which holds positions"
    maps = tuple(dict[int, int | str](shift) for _ in node.inputs)
    return Ruled(Aligned(maps), (Placed(axes, flat(UNKNOWN, rank)),))


@pair_rule(*STEPS_FIRST)
def _scan(use: PairUse) -> str:
    """A scan that the transpositions around it do not make a recurrence of each example."""
    return scan_refusal(use.node) or (
        "it runs over axis 0; let keras.ops.transpose bring the steps there and back behind it, "
        "with nothing in between but operations on channels"
    )


def _same(rank: int) -> dict[int, int | str]:
    return {axis: axis for axis in range(rank)}
