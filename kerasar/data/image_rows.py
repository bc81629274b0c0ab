"""Images that stay in a file, looked through once; and several such as one."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.data.image_checks import as_images
from kerasar.data.lazy_rows import LazyRows
from kerasar.data.row_file import RowFile


def image_rows(file: RowFile, source: str) -> LazyRows:
    """The images of a file, checked as `as_images` does, but some at a time.

    Args:
        file: of arrays `(n, height, width)` or `(n, height, width, channels)`.
        source: what to call it in a message.

    Raises:
        ValueError: if they are no images.
    """
    largest, is_black_or_white, start = 0, True, 0
    shape: tuple[int, ...] = ()
    for block in file.blocks():
        images = as_images(block, f"{source}, from index {start} on" if start else source)
        shape, start = images.shape[1:], start + len(images)
        largest = max(largest, int(images.max()))
        is_black_or_white &= bool(((images == 0) | (images == 255)).all())
    if not shape:
        as_images(np.empty(file.shape, file.dtype), source)  # which says that it is empty
    dtype = np.uint8 if largest <= 255 else np.int32

    def read(indices: NDArray[np.int64]) -> NDArray[Any]:
        return file.read(indices).reshape(len(indices), *shape).astype(dtype)

    every = np.arange(len(file), dtype=np.int64)
    mark = f"a file with the mark {file.mark}"
    return LazyRows(read, every, shape, dtype, mark, largest, is_black_or_white)


def joined_rows(parts: Sequence[LazyRows]) -> LazyRows:
    """The rows of all parts, one part after the other; they have one shape."""
    ends = np.cumsum([len(part) for part in parts])
    dtype = np.result_type(*(part.dtype for part in parts))

    def read(indices: NDArray[np.int64]) -> NDArray[Any]:
        rows = np.empty((len(indices), *parts[0].shape[1:]), dtype)
        which = np.searchsorted(ends, indices, side="right")
        for k in np.unique(which):
            here = which == k
            rows[here] = parts[k][indices[here] - (ends[k] - len(parts[k]))]
        return rows

    sums = " ".join(part.fingerprint for part in parts)
    mark = f"{len(parts):,} files with the mark {zlib.crc32(sums.encode()):08x}"
    every = np.arange(int(ends[-1]), dtype=np.int64)
    largest = max(part.largest for part in parts)
    is_black_or_white = all(part.is_black_or_white for part in parts)
    return LazyRows(read, every, parts[0].shape[1:], dtype, mark, largest, is_black_or_white)
