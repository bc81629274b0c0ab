"""What a tensor sees of the data where its positions lie on any axes, or on two.

Attention moves the positions behind its heads and then makes a tensor over pairs of positions,
(query, key): element (i, j) sees what the query at i sees, and what the key at j sees. A mask
leaves some pairs out. Summed over j, what is left are offsets again:

    key j    0 1 2 3
    query 0  x . . .      allowed pairs (i, j): j - i is 0, -1, -2, -3
          1  x x . .      sum over j at query i sees
          2  x x x .          offsets of the query, and
          3  x x x x          (j - i) + offsets of the key, for each allowed pair
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasar.causality.offsets import Offsets
from kerasar.causality.pairs.values import LOW, ORDINARY, UNKNOWN, is_high, is_low


def _unknown() -> np.ndarray:
    return np.full((1, 1), UNKNOWN)


@dataclasses.dataclass(frozen=True)
class Placed:
    """What a tensor sees of the data.

    Attributes:
        axes: for each axis that holds positions, one or two of them, the offsets that are seen from
            the position on that axis; no offsets where it is a mere index.
        values: what is known of the elements, `(positions, positions)` with the lower axis first:
            see `kerasar.causality.pairs.values`. Sizes of 1 hold for all.
        fold: how many rows of the first axis belong to one example.
        grid: whether the positions of an image lie on this axis and the next one.
    """

    axes: Mapping[int, Offsets]
    values: Any = dataclasses.field(default_factory=_unknown)
    fold: int = 1
    grid: bool = False

    def partner(self, axis: int) -> int | None:
        """The other axis that holds positions."""
        return next((other for other in self.axes if other != axis), None)

    def with_rows(self, axis: int) -> np.ndarray:
        """The known values with this axis first."""
        return self.values if axis == min(self.axes) else self.values.T  # type: ignore[no-any-return]

    def full_values(self, rank: int) -> np.ndarray:
        """The known values as an array that broadcasts against the tensor."""
        shape = [1] * rank
        for axis, size in zip(sorted(self.axes), self.values.shape, strict=False):
            shape[axis] = size
        return self.values.reshape(shape)  # type: ignore[no-any-return]


def placed_pairs(
    axes: Mapping[int, Offsets], values: np.ndarray | None = None, fold: int = 1
) -> Placed:
    """A tensor on these axes, from values that broadcast against it."""
    if values is None:
        return Placed(axes, fold=fold)
    held = sorted(axes)
    merged = reduce_values(values, tuple(a for a in range(values.ndim) if a not in held))
    sizes = [values.shape[axis] for axis in held]
    return Placed(axes, merged.reshape((*sizes, 1)[:2]), fold)


def reduce_values(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """What is known of all elements along some axes, which then have size 1."""
    if not axes or all(values.shape[axis] == 1 for axis in axes):
        return values
    first = values.max(axis=axes, keepdims=True, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        same = (values == first).all(axis=axes, keepdims=True)
    low = is_low(values).all(axis=axes, keepdims=True)
    high = is_high(values).all(axis=axes, keepdims=True)
    found = np.where(low, LOW, np.where(high, ORDINARY, UNKNOWN))
    return np.where(same, first, found)


def pair_offsets(seen: np.ndarray, sizes: tuple[int, ...]) -> Offsets:
    """The offsets from the position of a row to that of a column, over all pairs that are seen.

    Args:
        seen: Boolean `(positions, positions)`; positions of an image in raster order. Sizes of 1
            hold for all.
        sizes: of the data along its position axes.
    """
    count = int(np.prod(sizes))
    seen = np.broadcast_to(seen, (count, count))
    if len(sizes) == 1:
        lags = [lag for lag in range(1 - count, count) if np.diagonal(seen, lag).any()]
        return Offsets.of(1, [(lag,) for lag in lags])
    one, other = np.nonzero(seen)
    width = sizes[1]
    apart = np.stack([other // width - one // width, other % width - one % width], -1)
    return Offsets.of(2, [(int(row), int(column)) for row, column in np.unique(apart, axis=0)])
