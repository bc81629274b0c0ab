"""Images for a model that is trained: read with its levels, checked against its shape."""

from pathlib import Path
from typing import Any

import numpy as np

from kerasar.cli.kinds.kind import Batch, Named, sizes, take
from kerasar.cli.support.data_spec import path_of
from kerasar.data import ImageData, load_images
from kerasar.data.split import hold_out


def load_for(model: Any, spec: str, data_dir: Path | None) -> ImageData:
    """Loads images that `model` can take.

    Raises:
        ValueError: if they are damaged, or have another size, other channels, or values that
            the model does not know.
    """
    levels = model.data_levels
    try:
        data = load_images(spec, data_dir, levels)
    except ValueError:
        data = load_images(spec, data_dir)  # what is wrong with the images themselves ends here
        largest = max(data.train.max(), data.test.max())
        raise ValueError(
            f"The model was trained on {levels} levels, so DATA must hold values from 0 to "
            f"{levels - 1}, but '{spec}' holds the value {largest}. Quantise the images, or train "
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


def named(data: ImageData, spec: str, part: str, conditional: bool = False) -> Named:
    """The images of one part: "test", "train", "all", or "auto"; with their classes if wanted.

    "auto" is the test set where the data come with one of their own, else all images in the
    order of the data.

    Raises:
        ValueError: if classes are wanted and the data have none.
    """
    why = "The model was trained with the class of each image"
    train, test = examples(data, why if conditional else None)
    if part == "auto":
        part = "test" if _has_own_test(spec) else "all"
    if part == "all" and not _has_own_test(spec):
        return _undivided(train, test, spec)
    test_names = list(data.names or (f"test/{i}" for i in range(len(data.test))))
    train_names = [f"train/{i}" for i in range(len(data.train))]
    if part == "test":
        return Named(test, test_names)
    if part == "train":
        return Named(train, train_names)
    return Named(_joined(train, test), train_names + test_names)


def examples(data: ImageData, why_classes: str | None) -> tuple[Batch, Batch]:
    """Images to train on and to test on, with their classes as conditions if those are wanted.

    Args:
        data: from `load_images`.
        why_classes: what wants them, for the message; None where nothing does.

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


def _joined(first: Batch, second: Batch) -> Batch:
    if isinstance(first, dict):
        return {name: np.concatenate([first[name], second[name]]) for name in first}
    return np.concatenate([first, second])


def _has_own_test(spec: str) -> bool:
    path = path_of(spec)
    if path is None or path.is_dir() or path.suffix.lower() == ".npy":
        return path is None
    with np.load(path, allow_pickle=False) as arrays:
        keys = set(arrays.files)
    return {"x_train", "x_test"} <= keys or {"train", "test"} <= keys


def _undivided(train: Batch, test: Batch, spec: str) -> Named:
    """All images in their original order: the inverse of the split of `load_images`."""
    count = sizes(train) + sizes(test)
    order = np.argsort(np.concatenate(hold_out(count, "images", spec)))
    path = path_of(spec)
    names = _png_names(path) if path and path.is_dir() else [str(i) for i in range(count)]
    return Named(take(_joined(train, test), order), names)


def _png_names(folder: Path) -> list[str]:
    """Names of the PNGs in the order in which `load_images` reads them."""

    def pngs(place: Path) -> list[Path]:
        files = (file for file in place.iterdir() if file.is_file() and file.name[0] != ".")
        return sorted(file for file in files if file.suffix.lower() == ".png")

    files = pngs(folder) or [
        file for place in sorted(folder.iterdir()) if place.is_dir() for file in pngs(place)
    ]
    return [file.relative_to(folder).as_posix() for file in files]
