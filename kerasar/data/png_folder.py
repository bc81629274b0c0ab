"""Reads a folder of PNG images, where subfolders are classes."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.data.image_data import ImageData, divide


def read_png_folder(folder: Path, levels: int | None = None) -> ImageData:
    """Reads all PNGs of a folder or, if it holds none, those of its subfolders, one per class.

    Images are taken in the order of their names, and classes are numbered in the order of theirs.
    Hidden files and files of other kinds are left alone.

    Raises:
        ValueError: if there are no PNGs, one cannot be read, or they differ in size or colour.
    """
    images_here = _pngs_in(folder)
    classes = sorted(f for f in folder.iterdir() if f.is_dir() and _pngs_in(f))
    if images_here and classes:
        raise ValueError(
            "PNG images must lie either in the folder itself or in subfolders that name their "
            f"class, but '{folder}' has both: '{images_here[0].name}' and '{classes[0].name}/'. "
            "Move the images into a subfolder for their class, or the subfolders elsewhere."
        )
    if not images_here and not classes:
        raise ValueError(
            f"'{folder}' holds no PNG images, nor do its subfolders: there are no files that end "
            "in .png. Put images there, or convert those that are there to PNG."
        )

    files, labels = images_here, None
    if classes:
        grouped = [_pngs_in(f) for f in classes]
        files = [file for group in grouped for file in group]
        labels = np.repeat(np.arange(len(grouped)), [len(group) for group in grouped])
    names = [file.relative_to(folder).as_posix() for file in files]
    return divide(folder.resolve().name, f"'{folder}'", _read_all(files), labels, names, levels)


def _pngs_in(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() == ".png" and not file.name.startswith(".") and file.is_file()
    )


def _read_all(files: list[Path]) -> NDArray[Any]:
    first = _read_png(files[0])
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

    data = file.read_bytes()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError(
            f"'{file}' is not a PNG image, though its name ends in .png: it starts with "
            f"{data[:8]!r}. Convert it to PNG, or move it out of the folder."
        )
    if data[24:25] == b"\x10":  # TensorFlow would drop the lower half of each value unasked
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
                f"Images must be grey or RGB, but '{file}' is transparent in places (alpha "
                f"{alpha.min()} of 255). Lay it on a background and save it without transparency."
            )
    return image
