"""Rows of one shape in a file, read by their index: arrays as NumPy saves them, or written here.

Files are read and not mapped, for what is mapped counts as memory in use.
"""

from __future__ import annotations

import itertools
import math
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from kerasar.disk import disk_errors

#: Bytes that are looked at together.
_BLOCK = 1 << 24


class RowFile:
    """Rows in a file.

    Args:
        source: the path of the file, or an open temporary one.
        offset: bytes before the first row.
        shape: of all rows, `(n, …)`.
        dtype: of their values.
        mark: a text that changes when the rows do.
    """

    def __init__(
        self, source: Path | IO[bytes], offset: int, shape: tuple[int, ...], dtype: Any, mark: str
    ) -> None:
        self.shape, self.dtype, self.mark = shape, np.dtype(dtype), mark
        self._source, self._offset = source, offset
        self._size = math.prod(shape[1:]) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Of all rows."""
        return len(self) * self._size

    def read(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """The rows of such indices.

        Raises:
            ValueError: if the file has become shorter.
        """
        rows = np.empty((len(indices), *self.shape[1:]), self.dtype)
        ends = [0, *(np.flatnonzero(np.diff(indices) != 1) + 1), len(indices)]
        with self._opened() as file:
            for begin, end in itertools.pairwise(ends):  # of rows that are neighbors
                if begin < end:
                    self._fill(file, rows[begin:end], int(indices[begin]))
        return rows

    def blocks(self) -> Iterator[NDArray[Any]]:
        """All rows, some at a time."""
        count = max(1, _BLOCK // max(self._size, 1))
        for start in range(0, len(self), count):
            yield self.read(np.arange(start, min(start + count, len(self))))

    def _opened(self) -> Any:
        # Many files are not held open; a temporary one has no name to be opened by.
        if isinstance(self._source, Path):
            return self._source.open("rb", buffering=0)
        return open(os.dup(self._source.fileno()), "rb", buffering=0)

    def _fill(self, file: Any, rows: NDArray[Any], start: int) -> None:
        view: Any = memoryview(rows.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
        place = self._offset + start * self._size
        while view:
            count = os.preadv(file.fileno(), [view], place)
            if count == 0:
                raise ValueError(
                    f"'{self._source}' has become shorter while it was read. Copy it again."
                )
            view, place = view[count:], place + count


class Spool:
    """A temporary file that rows are written to, one block after the other, and read from.

    It is in `$TMPDIR`, and gone when nobody reads it any more, whatever ends the process.
    """

    def __init__(self) -> None:
        self._file, self._sum = tempfile.TemporaryFile(prefix="kerasar-rows-"), 0

    def add(self, block: NDArray[Any]) -> None:
        """Writes rows behind those that are there.

        Raises:
            NotWrittenError: if there is no room for them.
        """
        self._write(block.tobytes())

    def copy(self, file: IO[bytes]) -> None:
        """Writes all that another file holds."""
        while block := file.read(_BLOCK):
            self._write(block)

    def rows(self, shape: tuple[int, ...], dtype: Any) -> RowFile:
        """What was written, as rows."""
        return RowFile(self._file, 0, shape, dtype, self._mark)

    def array(self) -> RowFile | None:
        """What was written, as an array that NumPy saved."""
        return _saved_rows(self._file, self._file, 0, self._mark)

    @property
    def _mark(self) -> str:
        self._write(b"")
        return f"{self._sum:08x}"

    def _write(self, block: bytes) -> None:
        self._sum = zlib.crc32(block, self._sum)
        with disk_errors(f"{tempfile.gettempdir()} (TMPDIR)"):
            self._file.write(block)
            self._file.flush()


def array_rows(path: Path, member: str | None = None) -> RowFile | None:
    """The array of an .npy file, or of a member of an .npz file, whose rows stay there.

    What is compressed is unpacked to a temporary file once. None is for what has no rows there, as
    an array of Python objects or one in Fortran's order.

    Raises:
        zipfile.BadZipFile: if the member is damaged.
    """
    if member is None:
        with path.open("rb") as file:
            return _saved_rows(path, file, 0, _mark(path))
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{member}.npy")
        with archive.open(info) as unpacked:
            if info.compress_type != zipfile.ZIP_STORED:
                spool = Spool()
                spool.copy(unpacked)
                return spool.array()
            while unpacked.read(_BLOCK):  # to its end, where its sum is checked
                pass
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)
        name, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
        return _saved_rows(path, file, info.header_offset + 30 + name + extra, _mark(path))


def _mark(path: Path) -> str:
    about = path.stat()
    return f"{zlib.crc32(f'{about.st_size} {about.st_mtime_ns}'.encode()):08x}"


def _saved_rows(source: Path | IO[bytes], file: IO[bytes], start: int, mark: str) -> RowFile | None:
    file.seek(start)
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, in_fortran_order, dtype = read(file)
    if in_fortran_order or dtype.hasobject or len(shape) < 2:
        return None
    return RowFile(source, file.tell(), shape, dtype, mark)
