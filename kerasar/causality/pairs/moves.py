"""Operations that copy elements to other places: where they bring the positions.

Not by a rule for each: positions are numbered, the numbers are sent through the operation, and
where they arrive is what it does. That is exact, for every element is a copy of one element.
"""

from typing import Any

import keras
import numpy as np

from kerasar.causality.graph import Edge, Node
from kerasar.causality.offsets import Offsets
from kerasar.causality.pairs.placed import Placed
from kerasar.causality.pairs.values import flat
from kerasar.keras_internals import operation_classes

L = keras.layers

#: Operations of one tensor whose result holds copies of its elements and nothing else.
MOVES = frozenset(
    [
        L.Reshape, L.Permute, L.Flatten, L.RepeatVector,
        *operation_classes(*"""Transpose Reshape ExpandDims Squeeze Swapaxes Moveaxis Repeat Tile
        BroadcastTo GetItem Split Flip Roll Ravel Unstack""".split()),
    ]
)  # fmt: skip
#: Those whose arguments name sizes, so that they are run by the shape of the result.
BROADCASTS = frozenset(operation_classes("BroadcastTo"))
RESHAPES = BROADCASTS | {L.Reshape, L.Flatten, *operation_classes("Reshape", "Ravel", "Squeeze")}


def moved(
    node: Node, placed: Placed, edge: Edge, made: Edge, sizes: tuple[int, ...]
) -> tuple[Placed, dict[int, int]] | str:
    """Where an operation brings the positions, and which axis becomes which; or why not.

    Args:
        node: the operation.
        placed: what its input sees.
        edge: its input.
        made: the output that is asked for.
        sizes: of the data along its position axes.
    """
    shape = (2 * placed.fold, *edge.shape[1:])
    if any(size is None for size in shape):
        return "its axes have open sizes"
    count = int(np.prod(sizes))
    number = node.outputs.index(made)
    try:
        rows = _sent(node, edge, np.arange(2 * placed.fold) // placed.fold, 0, shape)[number]
        found: dict[int, tuple[int, bool]] = {}
        for axis in placed.axes:
            numbers = np.arange(count)
            arrived = _sent(node, edge, numbers.reshape(sizes if placed.grid else -1), axis, shape)
            place = _place(arrived[number], sizes)
            if place is None:
                return f"it moves positions ({_change(node)})"
            found[axis] = place
    except Exception as error:
        return f"it cannot be called alone ({type(error).__name__})"
    fold, rest = divmod(rows.shape[0], 2)
    if rest or not (rows == _along(np.arange(rows.shape[0]) // max(fold, 1), 0, rows.ndim)).all():
        return f"it moves examples ({_change(node)})"
    axes: dict[int, Offsets] = {place: placed.axes[axis] for axis, (place, _) in found.items()}
    if len(axes) < len(found) or 0 in axes:
        return f"it joins axes that hold positions ({_change(node)})"
    grid = any(grid for _, grid in found.values())
    result = Placed(axes, _moved_values(node, placed, edge, number), fold, grid)
    return result, {axis: place for axis, (place, _) in found.items()}


def _sent(
    node: Node, edge: Edge, numbers: np.ndarray, axis: int, shape: tuple[Any, ...]
) -> list[np.ndarray]:
    """What an operation makes of a tensor that holds the numbers of its places along an axis."""
    filled = np.broadcast_to(_along(numbers, axis, len(shape)), shape)
    made = node.run({edge: keras.ops.convert_to_tensor(filled.astype("int32"))})
    return [np.asarray(part) for part in made]


def _moved_values(node: Node, placed: Placed, edge: Edge, number: int) -> np.ndarray:
    """What is known of the elements where they arrive."""
    values = placed.values
    if values.size == 1:
        return flat(values.item(), len(node.outputs[number].shape))
    shape: Any = (placed.fold, *edge.shape[1:])
    filled = np.broadcast_to(values, shape)
    return squeezed(np.asarray(node.run({edge: keras.ops.convert_to_tensor(filled)})[number]))


def squeezed(values: np.ndarray) -> np.ndarray:
    """The same values with size 1 along axes on which they do not differ."""
    for axis in range(values.ndim):
        first = values[(*[slice(None)] * axis, slice(0, 1))]
        if np.array_equal(np.broadcast_to(first, values.shape), values, equal_nan=True):
            values = first
    return values


def _along(numbers: np.ndarray, axis: int, rank: int) -> np.ndarray:
    shape = [1] * rank
    shape[axis : axis + numbers.ndim] = numbers.shape
    return numbers.reshape(shape)


def _place(numbers: np.ndarray, sizes: tuple[int, ...]) -> tuple[int, bool] | None:
    """The axis along which all positions lie in order; of an image, perhaps its two axes."""
    count = int(np.prod(sizes))
    for axis in range(1, numbers.ndim):
        if numbers.shape[axis] == count > 1:
            if (numbers == _along(np.arange(count), axis, numbers.ndim)).all():
                return axis, False
    if len(sizes) == 2 and numbers.shape[1:3] == sizes:
        if (numbers == _along(np.arange(count).reshape(sizes), 1, numbers.ndim)).all():
            return 1, True
    return None


def _change(node: Node) -> str:
    return f"{node.inputs[0].shape} to {node.outputs[0].shape}"
