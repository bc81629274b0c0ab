"""Reads a folder of PNG images, where subfolders are classes."""

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.data.folder_files import find_files
from kerasar.data.image_data import ImageData, divide
from kerasar.data.png_stream import lazy_images, survey

#: Pixels of an image; bytes of all images, or that many times those of their files.
_MOST_PIXELS, _FREE_BYTES, _TIMES = 1 << 24, 256 << 20, 20


def read_png_folder(
    folder: Path,
    levels: int | None = None,
    stream_above: int | None = None,
    skip_corrupt: bool = False,
) -> ImageData:
    """Reads all PNGs of a folder or, if it holds none, those of its subfolders, one per class.

    Images are taken in the order of their names, and classes are numbered in the order of theirs.
    Hidden files and files of other kinds are left alone. An image has at most 2²⁴ pixels, and all
    together take at most 256 MB, or 20 times the size of their files, unless they are streamed.

    Args:
        folder: an existing folder.
        levels: as for `load_images`.
        stream_above: images that take more bytes stay in their files; None: never.
        skip_corrupt: whether files that cannot be read are left out.

    Raises:
        ValueError: if there are no PNGs, one cannot be read, or they differ in size or color, or
            are larger than that.
    """
    files, in_subfolders = find_png_files(folder)
    classes = sorted({file.parent for file in files})
    images, skipped, found = _images(files, stream_above, skip_corrupt)
    files = [files[i] for i in found]
    labels = np.array([classes.index(file.parent) for file in files]) if in_subfolders else None
    names = [file.relative_to(folder).as_posix() for file in files]
    name, source = folder.resolve().name, f"'{folder}'"
    data = divide(name, source, images, labels, names, levels)
    return dataclasses.replace(data, skipped=tuple(skipped))


def _images(
    files: list[Path], stream_above: int | None, skip_corrupt: bool
) -> tuple[Any, list[str], NDArray[np.int64]]:
    """The images, what is wrong with those that are left out, and the indices of the others."""
    is_large = stream_above is not None and _bytes_of(files) > stream_above
    if not (is_large or skip_corrupt):
        return _read_all(files), [], np.arange(len(files))
    found = survey(files, _read_png, skip_corrupt)
    if not is_large:
        return _read_all([files[i] for i in found.good]), found.bad, found.good
    return lazy_images(files, _read_png, found), found.bad, found.good


def _bytes_of(files: list[Path]) -> int:
    """How many bytes all images take, by the first that can be read."""
    for file in files:
        with contextlib.suppress(ValueError):
            return len(files) * _read_png(file).size
    return 0


def find_png_files(folder: Path) -> tuple[list[Path], bool]:
    """The PNGs of a folder, and whether they are in subfolders."""
    return find_files(folder, "PNG images", (".png",))


def _read_all(files: list[Path]) -> NDArray[Any]:
    first = _read_png(files[0])
    most = max(_FREE_BYTES, _TIMES * sum(file.stat().st_size for file in files))
    if len(files) * first.size > most:
        raise ValueError(
            f"{len(files):,} images of shape {first.shape} take {len(files) * first.size:,} bytes, "
            f"but files of the size of those in '{files[0].parent}' may hold {most:,}. Convert "
            "them to smaller images, or save them with np.save."
        )
    images = np.empty((len(files), *first.shape), np.uint8)
    for i, file in enumerate(files):
        image = _read_png(file)
        if image.shape != first.shape:
            raise ValueError(
                "All images of a folder must have the same height, width and channels, but "
                f"'{files[0]}' has {first.shape} and '{file}' has {image.shape}. Crop, resize or "
                "convert one of them."
            )
        images[i] = image
    return images


def _read_png(file: Path) -> NDArray[Any]:
    import tensorflow as tf

    with file.open("rb") as opened:
        data = opened.read(_FREE_BYTES + 1)
    if len(data) > _FREE_BYTES:
        raise ValueError(
            f"A PNG image must have at most {_FREE_BYTES:,} bytes, but '{file}' has more. Crop or "
            "resize it, or move it out of the folder."
        )
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError(
            f"'{file}' is not a PNG image, though its name ends in .png: it starts with "
            f"{data[:8]!r}. Convert it to PNG, or move it out of the folder."
        )
    width, height = (int.from_bytes(data[i : i + 4], "big") for i in (16, 20))
    if width * height > _MOST_PIXELS:
        raise ValueError(
            f"An image must have at most {_MOST_PIXELS:,} pixels, but '{file}' states {width:,} × "
            f"{height:,}. Crop or resize it, or move it out of the folder."
        )
    if data[24:25] == b"\x10":  # TensorFlow would drop the lower half of each value silently
        raise ValueError(
            f"PNG images must have at most 8 bits a channel, but '{file}' has 16. Convert it to 8 "
            "bits, or save the values as an .npz file."
        )
    try:
        image = tf.io.decode_png(data).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(
            f"'{file}' cannot be read as a PNG image: it is damaged or cut short. Copy or save it "
            "again, or move it out of the folder."
        ) from error
    if image.shape[-1] in (2, 4):
        image, alpha = image[..., :-1], image[..., -1]
        if alpha.min() < 255:
            raise ValueError(
                f"Images must be gray or RGB, but '{file}' is transparent in places (alpha "
                f"{alpha.min()} of 255). Put it on a background and save it without transparency."
            )
    return image
