"""Examples that stay where they are, in files, until they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


class LazyRows:
    """Rows that are read when they are indexed: as an array for those who take some of them.

    Args:
        read: takes indices, int64 `(n,)`, and returns the rows, `(n, *shape)`.
        indices: of all rows there are.
        shape: of one row.
        dtype: of the rows.
        mark: a text that changes when the rows do.
        largest: of the values of images, which are integers from 0.
        is_black_or_white: whether images have no values but 0 and 255.
    """

    def __init__(
        self,
        read: Callable[[NDArray[np.int64]], NDArray[Any]],
        indices: NDArray[np.int64],
        shape: tuple[int, ...],
        dtype: Any,
        mark: str,
        largest: int = 0,
        is_black_or_white: bool = False,
    ) -> None:
        self.largest, self.is_black_or_white = largest, is_black_or_white
        self._read, self._indices = read, indices
        self.shape = (len(indices), *shape)
        self.dtype = np.dtype(dtype)
        self.ndim, self.size = len(self.shape), int(np.prod(self.shape))
        self._mark = mark

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        found = self._indices[rows]
        return self._read(np.atleast_1d(found)) if np.ndim(found) else self._read(found[None])[0]

    def select(self, rows: Any) -> LazyRows:
        """Some of the rows, unread."""
        return self._like(self._read, self._indices[rows], self.largest)

    def from_0_to_1(self) -> LazyRows:
        """The same rows with 1 in place of larger values."""
        return self._like(lambda i: np.minimum(self._read(i), 1), self._indices, 1)

    def _like(self, read: Any, indices: NDArray[np.int64], largest: int) -> LazyRows:
        shape, is_black_or_white = self.shape[1:], self.is_black_or_white
        return LazyRows(read, indices, shape, self.dtype, self._mark, largest, is_black_or_white)

    @property
    def fingerprint(self) -> str:
        """What these rows are, in a few words, without reading them."""
        return f"{self.dtype} of shape {self.shape} from {self._mark}"


def is_lazy(array: Any) -> bool:
    """Whether rows are still to be read."""
    return isinstance(array, LazyRows)


def select_rows(array: Any, rows: Any) -> Any:
    """Some rows of an array, or of what is read later."""
    return array.select(rows) if isinstance(array, LazyRows) else array[rows]
