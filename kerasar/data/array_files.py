"""Reads images from .npz and .npy files. Files are data: nothing in them is ever run."""

import math
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kerasar.data.image_checks import as_images, as_labels
from kerasar.data.image_data import ImageData, divide, join
from kerasar.data.image_rows import image_rows
from kerasar.data.row_file import array_rows
from kerasar.disk import NotWrittenError

#: Bounds for a compressed file, besides its own size.
_MEMBERS, _FREE_BYTES = 1_000, 256 << 20

Result = TypeVar("Result")

_HOW = "integer arrays with np.savez_compressed(path, x_train=..., x_test=...)"


def read_array_file(
    path: Path, levels: int | None = None, stream_above: int | None = None
) -> ImageData:
    """Reads an .npz or .npy file of images; `load_images` describes its layout.

    Raises:
        ValueError: if the file is damaged, or does not hold images of integers.
    """
    images = rows_that_stay(path, None, stream_above)
    if images is not None:
        return divide(path.stem, f"'{path}'", images, levels=levels)
    loaded = load_arrays(path)
    if isinstance(loaded, np.ndarray):
        return divide(path.stem, f"'{path}'", as_images(loaded, f"'{path}'"), levels=levels)
    with loaded as archive:
        return _read_archive(path, archive, levels, stream_above)


def rows_that_stay(path: Path, member: str | None, stream_above: int | None) -> Any:
    """Images that are to stay in their file, as `LazyRows`; None if they are to be read.

    Args:
        path: of an .npy or .npz file.
        member: the array of an .npz file; None for an .npy file.
        stream_above: images of more bytes stay there; None: none do.

    Raises:
        ValueError: if the file is damaged, or does not hold images of integers.
    """
    if stream_above is None or zipfile.is_zipfile(path) == (member is None):
        return None
    decode(path, lambda: _check_sizes(path))
    if decode(path, lambda: _stated_size(path, member)) <= stream_above:
        return None
    file = decode(path, lambda: array_rows(path, member))
    what = f"'{path}'" if member is None else f"'{member}' in '{path}'"
    return None if file is None else image_rows(file, what)


def _stated_size(path: Path, member: str | None) -> int:
    if member is None:
        return path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        names = {info.filename: info.file_size for info in archive.infolist()}
    return names.get(f"{member}.npy", 0)


def _read_archive(
    path: Path, archive: Any, levels: int | None, stream_above: int | None
) -> ImageData:
    def images(key: str) -> Any:
        found = rows_that_stay(path, key, stream_above)
        return (
            as_images(member_of(path, archive, key), f"'{key}' in '{path}'")
            if found is None
            else found
        )

    def labels(key: str, count: int) -> NDArray[Any] | None:
        if key not in archive.files:
            return None
        return as_labels(member_of(path, archive, key), count, f"'{key}' in '{path}'")

    train_key, test_key = _image_keys(path, list(archive.files))
    train = images(train_key)
    train_labels = labels("y_train", len(train))
    if test_key is None:
        return divide(path.stem, f"'{path}'", train, train_labels, levels=levels)
    test = images(test_key)
    test_labels = labels("y_test", len(test))
    return join(path.stem, f"'{path}'", train, test, train_labels, test_labels, levels=levels)


def member_of(path: Path, archive: Any, key: str) -> NDArray[Any]:
    """An array of an .npz file that is open.

    Raises:
        ValueError: if it is damaged, or not an array.
    """
    array = decode(path, lambda: archive[key])
    if not isinstance(array, np.ndarray):  # NumPy hands out any file in a zip, as bytes
        raise ValueError(
            f"'{path}' is a zip file, but '{key}' in it is not an array. Save the images again "
            "with np.savez_compressed(path, x_train=..., x_test=...)."
        )
    return array


def _image_keys(path: Path, keys: list[str]) -> tuple[str, str | None]:
    for train_key, test_key in (("x_train", "x_test"), ("train", "test")):
        if train_key in keys:
            return train_key, test_key if test_key in keys else None
    if len(keys) == 1:
        return keys[0], None
    raise ValueError(
        "An .npz file of images must hold the arrays 'x_train' and 'x_test', or 'train' and "
        f"'test', or one array alone, but '{path}' holds {keys}. Save it again with "
        "np.savez_compressed(path, x_train=..., x_test=...)."
    )


def load_arrays(path: Path, how: str = _HOW) -> Any:
    """What `np.load` gives for a file that unpacks to no more than it may.

    The arrays of a compressed file hold at most 256 MB, or 10 times its size, together, and each
    has as many bytes as its header states.
    """
    decode(path, lambda: _check_sizes(path), how)
    return decode(path, lambda: np.load(path, allow_pickle=False), how)


def _check_sizes(path: Path) -> None:
    """Reads the headers of arrays, not their values."""
    if not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            _check_header(file, path.stat().st_size, path.name)
        return
    most = max(_FREE_BYTES, 10 * path.stat().st_size)
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        size = sum(info.file_size for info in members)
        if len(members) > _MEMBERS or size > most:
            raise ValueError(
                f"{len(members):,} arrays of {size:,} bytes together are more than {_MEMBERS:,} "
                f"arrays of {most:,} bytes, which is what a file of its size may hold"
            )
        for info in members:
            if info.filename.endswith(".npy"):
                with archive.open(info) as file:
                    _check_header(file, info.file_size, info.filename)


def _check_header(file: Any, size: int, name: str) -> None:
    if file.read(6) != b"\x93NUMPY":
        return
    version = tuple(file.read(2))
    length = int.from_bytes(file.read(2 if version < (2, 0) else 4), "little")
    header = file.read(min(length, 10_000))
    found = re.search(rb"'shape': *\(([0-9, L]*)\)", header)
    kind = re.search(rb"'descr': *'[<>|=]?[a-zA-Z](\d+)'", header)
    if found is None or kind is None:
        return  # NumPy says what is wrong, or that it holds Python objects
    shape = [int(part.strip(b" L")) for part in found.group(1).split(b",") if part.strip()]
    stated = math.prod(shape) * int(kind.group(1))
    if stated > size:
        raise ValueError(f"'{name}' states shape {tuple(shape)}, but has {size:,} bytes")


def decode(path: Path, read: Callable[[], Result], how: str = _HOW) -> Result:
    """Calls `read`; what it raises becomes a ValueError with advice on `how` to save instead."""
    try:
        return read()
    except NotWrittenError:  # of a temporary file: nothing is wrong with this one
        raise
    # A stranger's file can fail in zipfile, zlib, the header parser or the allocator, each with
    # errors of its own; to the user they all mean the same.
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or "no reason given"
        raise ValueError(
            f"'{path}' cannot be read as arrays of numbers: it is damaged, cut short, or holds "
            "Python objects, which kerasar never loads because they can run code "
            f"({type(error).__name__}: {reason}). Copy the file again, or save it again from {how}."
        ) from error
