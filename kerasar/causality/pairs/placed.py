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

import numpy as np

from kerasar.causality.offsets import Offsets
from kerasar.causality.pairs.values import ORDINARY, UNKNOWN, is_ordinary


@dataclasses.dataclass(frozen=True)
class Placed:
    """What a tensor sees of the data.

    Attributes:
        axes: for each axis that holds positions, one or two of them, the offsets that are seen from
            the position on that axis; no offsets where it is a mere index.
        values: what is known of the elements (see `kerasar.causality.pairs.values`), of the
            tensor's rank; sizes of 1 hold for all.
        fold: how many rows of the first axis belong to one example.
        grid: whether the positions of an image lie on this axis and the next one.
    """

    axes: Mapping[int, Offsets]
    values: np.ndarray
    fold: int = 1
    grid: bool = False

    def partner(self, axis: int) -> int | None:
        """The other axis that holds positions."""
        return next((other for other in self.axes if other != axis), None)


def as_matrix(values: np.ndarray, row: int, column: int) -> np.ndarray:
    """What is known for each pair of an index on one axis and one on another, whatever the rest."""
    others = tuple(axis for axis in range(values.ndim) if axis not in (row, column))
    merged = reduce_values(values, others)
    matrix = merged.reshape([merged.shape[axis] for axis in sorted((row, column))])
    return matrix if row < column else matrix.T


def reduce_values(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """What is known of all elements along some axes, which then have size 1."""
    if not axes or all(values.shape[axis] == 1 for axis in axes):
        return values
    first = values.max(axis=axes, keepdims=True, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        same = (values == first).all(axis=axes, keepdims=True)
    high = is_ordinary(values).all(axis=axes, keepdims=True)
    return np.where(same, first, np.where(high, ORDINARY, UNKNOWN))


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
    height, width = sizes
    rows = seen.reshape(height, width, height, width)
    found = []
    for down in range(1 - height, height):  # one sort over all pairs would take minutes
        columns = np.diagonal(rows, down, axis1=0, axis2=2).any(axis=-1)
        aside = (a for a in range(1 - width, width) if np.diagonal(columns, a).any())
        found += [(down, offset) for offset in aside]
    return Offsets.of(2, found)
