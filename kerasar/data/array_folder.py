"""Reads a folder of .npz and .npy files, each with some of the images."""

import dataclasses
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kerasar.data.array_files import load_arrays, member_of, rows_that_stay
from kerasar.data.image_checks import as_images, as_labels
from kerasar.data.image_data import ImageData, divide
from kerasar.data.image_rows import joined_rows
from kerasar.data.lazy_rows import is_lazy

ENDINGS = (".npz", ".npy")


class _Part(NamedTuple):
    """One file: its images, and their classes if it has some."""

    images: Any
    labels: NDArray[Any] | None


def is_array_folder(folder: Path) -> bool:
    """Whether a folder holds arrays, and no PNGs beside them or in its subfolders."""
    pictures = (*folder.glob("*.[pP][nN][gG]"), *folder.glob("*/*.[pP][nN][gG]"))
    return bool(array_files(folder)) and not pictures


def array_files(folder: Path) -> list[Path]:
    """The files of arrays in a folder, in the order of their names; hidden ones are left alone."""
    visible = (file for file in folder.iterdir() if not file.name.startswith("."))
    return sorted(file for file in visible if file.suffix.lower() in ENDINGS and file.is_file())


def read_array_folder(
    folder: Path,
    levels: int | None = None,
    stream_above: int | None = None,
    skip_corrupt: bool = False,
) -> ImageData:
    """Reads the images of all files, in the order of their names.

    An .npy file holds images, an .npz file one array of them, or `x` and their classes `y`.

    Args:
        folder: which holds such files.
        levels: as for `load_images`.
        stream_above: if all images take more bytes, they stay in their files; None: never.
        skip_corrupt: whether files that cannot be read are left out.

    Raises:
        ValueError: if one cannot be read, some have classes and some have none, or they differ in
            shape.
    """
    files = array_files(folder)
    is_large = stream_above is not None and sum(map(_unpacked_size, files)) > stream_above
    parts: list[_Part] = []
    good, skipped = [], []
    for file in files:
        try:
            parts.append(_read(file, 0 if is_large else None))
        except ValueError as error:
            if not skip_corrupt:
                raise
            skipped.append(str(error))
            continue
        good.append(file)
    if not good:
        raise ValueError(f"None of {len(files):,} files of arrays can be read: {skipped[0]}")
    first = parts[0]
    for file, part in zip(good, parts, strict=True):
        if part.images.shape[1:] != first.images.shape[1:]:
            raise ValueError(
                "All images of a folder must have the same height, width and channels, but those "
                f"of '{good[0]}' have {first.images.shape[1:]} and those of '{file}' "
                f"{part.images.shape[1:]}. Crop or resize one of them."
            )
        if (part.labels is None) != (first.labels is None):
            have, lack = (good[0], file) if part.labels is None else (file, good[0])
            raise ValueError(
                f"Either all files of '{folder}' have classes 'y' or none, but '{have}' has some "
                f"and '{lack}' has none. Add them, or leave them out."
            )
    labels = None if first.labels is None else np.concatenate([p.labels for p in parts])
    found = [part.images for part in parts]
    images: Any
    if all(map(is_lazy, found)):
        images = joined_rows(found)
    else:
        images = np.concatenate([part[:] for part in found])
    data = divide(folder.resolve().name, f"'{folder}'", images, labels, levels=levels)
    return dataclasses.replace(data, skipped=tuple(skipped))


def _unpacked_size(file: Path) -> int:
    """Bytes of the arrays of a file; 0 if it is damaged, which reading it tells."""
    if file.suffix.lower() == ".npy":
        return file.stat().st_size
    try:
        with zipfile.ZipFile(file) as archive:
            return sum(info.file_size for info in archive.infolist())
    except (OSError, zipfile.BadZipFile, NotImplementedError):
        return 0


def _read(file: Path, stream_above: int | None) -> _Part:
    what = f"'{file}'"
    images = rows_that_stay(file, None, stream_above)
    if images is not None:
        return _Part(images, None)
    loaded = load_arrays(file)
    if isinstance(loaded, np.ndarray):
        return _Part(as_images(loaded, what), None)
    with loaded as archive:
        keys = set(archive.files)
        if len(keys) != 1 and keys != {"x", "y"}:
            raise ValueError(
                "Each .npz file of a folder must hold one array of images, or 'x' and their "
                f"classes 'y', but {what} holds {sorted(keys)}. Save it again with np.savez(path, "
                "x=..., y=...)."
            )
        key = "x" if "x" in keys else keys.pop()
        images = rows_that_stay(file, key, stream_above)
        if images is None:
            images = as_images(member_of(file, archive, key), f"'{key}' in {what}")
        labels = None
        if "y" in keys:
            labels = as_labels(member_of(file, archive, "y"), len(images), f"'y' in {what}")
    return _Part(images, labels)
