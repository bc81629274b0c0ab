"""Recordings of unequal length that stay in a file, padded when they are read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.data.lazy_rows import LazyRows
from kerasar.data.row_file import RowFile


class Recordings(LazyRows):
    """Stretches of a file of samples, as rows that are padded with silence to the longest.

    Args:
        file: of samples, `(total,)`, end to end.
        begin: where each stretch begins, `(n,)`.
        length: of each, `(n,)`.
        silence: the value that pads.
    """

    def __init__(
        self,
        file: RowFile,
        begin: NDArray[np.int64],
        length: NDArray[np.int64],
        silence: int,
    ) -> None:
        self._file, self._begin, self._length, self._silence = file, begin, length, silence
        self._width = int(length.max())
        mark = f"recordings with the mark {file.mark}"
        every = np.arange(len(begin), dtype=np.int64)
        super().__init__(self._padded, every, (self._width,), file.dtype, mark)

    def select(self, rows: Any) -> Recordings:
        return Recordings(self._file, self._begin[rows], self._length[rows], self._silence)

    def cut(self, rows: NDArray[np.int64], starts: NDArray[np.int64], size: int) -> Recordings:
        """Pieces: of each such recording, from a start on, at most so many samples."""
        length = np.minimum(self._length[rows] - starts, size)
        return Recordings(self._file, self._begin[rows] + starts, length, self._silence)

    def _padded(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        x = np.full((len(indices), self._width), self._silence, self.dtype)
        for row, i in zip(x, indices, strict=True):
            begin, length = int(self._begin[i]), int(self._length[i])
            row[:length] = self._file.read(np.arange(begin, begin + length))
        return x
