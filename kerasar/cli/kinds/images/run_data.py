"""Images for a model that is trained: read with its levels, checked against its shape."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerasar.cli.kinds.kind import (
    Batch,
    NamedExamples,
    join,
    name_examples,
    num_examples,
    path_of,
    take,
)
from kerasar.cli.support.capabilities import levels_of
from kerasar.data import ImageData, load_images
from kerasar.data.array_folder import is_array_folder
from kerasar.data.png_folder import find_png_files
from kerasar.data.split import hold_out

if TYPE_CHECKING:
    from kerasar.training import DensityModel


def load_for(model: DensityModel, spec: str, data_dir: Path | None) -> ImageData:
    """Loads images that `model` can take.

    Raises:
        ValueError: if they are damaged, or have another size, other channels, or values that
            the model does not know.
    """
    levels = levels_of(model)
    try:
        data = load_images(spec, data_dir, levels)
    except ValueError:
        data = load_images(spec, data_dir)  # what is wrong with the images themselves ends here
        largest = max(data.train.max(), data.test.max())
        raise ValueError(
            f"The model was trained on {levels} levels, so DATA must hold values from 0 to "
            f"{levels - 1}, but '{spec}' holds the value {largest}. Quantize the images, or train "
            "a model on such data."
        ) from None
    wanted, got = model.data_shape, data.train.shape[1:]
    if any(w is not None and w != g for w, g in zip(wanted, got, strict=True)):
        raise ValueError(
            f"The model was trained on images of (height, width, channels) = {wanted}, so DATA "
            f"must hold such, but those of '{spec}' are {got}. Crop, resize or convert them, or "
            "train a model on such data."
        )
    return data


def training_parts(data: ImageData, why_classes: str | None) -> tuple[Batch, Batch]:
    """Images to train on and to test on, with their classes as conditions if those are wanted.

    Args:
        data: from `load_images`.
        why_classes: what needs them, for the message; None where nothing does.

    Raises:
        ValueError: if classes are wanted and the data have none.
    """
    if why_classes is None:
        return data.train, data.test
    if data.train_labels is None or data.test_labels is None:
        raise ValueError(
            f"{why_classes}, but DATA has none. Add labels: arrays y_train and y_test, or a "
            "subfolder for each class."
        )
    return (
        {"x": data.train, "condition": data.train_labels},
        {"x": data.test, "condition": data.test_labels},
    )


def name_images(data: ImageData, spec: str, part: str, conditional: bool) -> NamedExamples:
    """The images of one part: "test", "train", "all", or "auto"; with their classes if wanted.

    "auto" is the test set where the data come with one of their own, else all images in the
    order of the data.

    Raises:
        ValueError: if classes are wanted and the data have none.
    """
    why = "The model was trained with the class of each image"
    train, test = training_parts(data, why if conditional else None)
    if part in ("auto", "all") and not _has_test_set(spec):
        return _in_original_order(train, test, spec)
    if part == "test" and data.names is not None:
        return NamedExamples(test, list(data.names))
    return name_examples({"train": train, "test": test}, part)


def _has_test_set(spec: str) -> bool:
    path = path_of(spec)
    if path is None or path.is_dir() or path.suffix.lower() == ".npy":
        return path is None
    with np.load(path, allow_pickle=False) as arrays:
        keys = set(arrays.files)
    return {"x_train", "x_test"} <= keys or {"train", "test"} <= keys


def _in_original_order(train: Batch, test: Batch, spec: str) -> NamedExamples:
    """All images, as before `load_images` held out some of them."""
    count = num_examples(train) + num_examples(test)
    order = np.argsort(np.concatenate(hold_out(count, "images", spec)))
    names, path = [str(i) for i in range(count)], path_of(spec)
    if path is not None and path.is_dir() and not is_array_folder(path):
        names = [file.relative_to(path).as_posix() for file in find_png_files(path)[0]]
    return NamedExamples(take(join([train, test]), order), names)
