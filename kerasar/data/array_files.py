"""Reads images from .npz and .npy files. Files are data: nothing in them is ever run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kerasar.data.image_checks import as_images, as_labels
from kerasar.data.image_data import ImageData, divide, join

Result = TypeVar("Result")

_HOW = "integer arrays with np.savez_compressed(path, x_train=..., x_test=...)"


def read_array_file(path: Path, levels: int | None = None) -> ImageData:
    """Reads an .npz or .npy file of images; `load_images` describes its layout.

    Raises:
        ValueError: if the file is damaged, or does not hold images of integers.
    """
    loaded = decode(path, lambda: np.load(path, allow_pickle=False))
    if isinstance(loaded, np.ndarray):
        return divide(path.stem, f"'{path}'", as_images(loaded, f"'{path}'"), levels=levels)
    with loaded as archive:
        return _read_archive(path, archive, levels)


def _read_archive(path: Path, archive: Any, levels: int | None) -> ImageData:
    def member(key: str) -> NDArray[Any]:
        array = decode(path, lambda: archive[key])
        if not isinstance(array, np.ndarray):  # NumPy hands out any file in a zip, as bytes
            raise ValueError(
                f"'{path}' is a zip file, but '{key}' in it is not an array. Save the images again "
                "with np.savez_compressed(path, x_train=..., x_test=...)."
            )
        return array

    def images(key: str) -> NDArray[Any]:
        return as_images(member(key), f"'{key}' in '{path}'")

    def labels(key: str, count: int) -> NDArray[Any] | None:
        if key not in archive.files:
            return None
        return as_labels(member(key), count, f"'{key}' in '{path}'")

    train_key, test_key = _image_keys(path, list(archive.files))
    train = images(train_key)
    train_labels = labels("y_train", len(train))
    if test_key is None:
        return divide(path.stem, f"'{path}'", train, train_labels, levels=levels)
    test = images(test_key)
    test_labels = labels("y_test", len(test))
    return join(path.stem, f"'{path}'", train, test, train_labels, test_labels, levels=levels)


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


def decode(path: Path, read: Callable[[], Result], how: str = _HOW) -> Result:
    """Calls `read`; what it raises becomes a ValueError with advice on `how` to save instead."""
    try:
        return read()
    # A stranger's file can fail in zipfile, zlib, the header parser or the allocator, each with
    # errors of its own; to the user they all mean the same.
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or "no reason given"
        raise ValueError(
            f"'{path}' cannot be read as arrays of numbers: it is damaged, cut short, or holds "
            "Python objects, which kerasar never loads because they can run code "
            f"({type(error).__name__}: {reason}). Copy the file again, or save it again from {how}."
        ) from error
