"""A folder of PNGs that is looked through once, and then read batch by batch."""

import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kerasar.data.lazy_rows import LazyRows
from kerasar.data.read_ahead import read_ahead, threads


class Survey(NamedTuple):
    """What was found in files.

    Attributes:
        good: indices of those that can be read.
        bad: what is wrong with each of the others.
        shape: of an image.
        largest: value of all.
        is_black_or_white: whether there are no values but 0 and 255.
    """

    good: NDArray[np.int64]
    bad: list[str]
    shape: tuple[int, ...]
    largest: int
    is_black_or_white: bool


def survey(
    files: Sequence[Path], read: Callable[[Path], NDArray[Any]], skip_corrupt: bool
) -> Survey:
    """Looks at all files, several at once.

    Args:
        files: of images.
        read: reads one of them, or raises a ValueError.
        skip_corrupt: whether those that cannot be read are left out.

    Raises:
        ValueError: for the first file that cannot be read, unless such are left out; if images
            differ in shape, or none can be read.
    """
    seen = np.zeros(256, bool)
    good: list[int] = []
    bad: list[str] = []
    first: tuple[Path, tuple[int, ...]] | None = None
    for i, found in enumerate(read_ahead(files, lambda file: _seen(read(file)))):
        if isinstance(found, Exception):
            if not skip_corrupt:
                raise found
            bad.append(str(found))
            continue
        shape, values = found
        if first is None:
            first = files[i], shape
        if shape != first[1]:
            raise ValueError(
                "All images of a folder must have the same height, width and channels, but "
                f"'{first[0]}' has {first[1]} and '{files[i]}' has {shape}. Crop, resize or "
                "convert one of them."
            )
        seen[values] = True
        good.append(i)
    if first is None:
        raise ValueError(f"None of {len(files):,} images can be read: {bad[0]}")
    return Survey(
        np.array(good, np.int64),
        bad,
        first[1],
        int(np.flatnonzero(seen)[-1]),
        not seen[1:255].any(),
    )


def lazy_images(
    files: Sequence[Path], read: Callable[[Path], NDArray[Any]], found: Survey
) -> LazyRows:
    """The images of the files that can be read, each batch by several threads."""
    pool = ThreadPoolExecutor(threads())

    def rows(indices: NDArray[np.int64]) -> NDArray[Any]:
        images = np.empty((len(indices), *found.shape), np.uint8)
        for k, image in enumerate(pool.map(lambda i: read(files[i]), indices)):
            if image.shape != found.shape:
                raise ValueError(f"'{files[indices[k]]}' has changed: its shape is {image.shape}.")
            images[k] = image
        return images

    mark = 0
    for i in found.good:
        about = files[i].stat()
        mark = zlib.crc32(f"{files[i].name} {about.st_size} {about.st_mtime_ns}".encode(), mark)
    where = f"{len(found.good):,} files with the mark {mark:08x}"
    values = found.largest, found.is_black_or_white
    return LazyRows(rows, found.good, found.shape, np.uint8, where, *values)


def _seen(image: NDArray[Any]) -> tuple[tuple[int, ...], NDArray[np.int64]]:
    """The shape and the values of an image."""
    return image.shape, np.flatnonzero(np.bincount(image.ravel(), minlength=256))
