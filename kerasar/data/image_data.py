"""The result of every image reader, and two choices they share: the test set and the levels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.data.lazy_rows import is_lazy, select_rows
from kerasar.data.split import hold_out


@dataclass(frozen=True, eq=False)  # eq=False: comparing arrays gives no single truth
class ImageData:
    """Images as integers in `[0, levels)`, divided into training and test images.

    Attributes:
        name: the name of the data.
        train: training images, `(n, height, width, channels)`; uint8, or int32 where
            uint8 is too small.
        test: test images of the same shape.
        levels: int, at least 2. The number of values of a channel.
        train_labels: class of each training image, `(n,)` integers, or None.
        test_labels: class of each test image, or None.
        names: file name of each test image, or None if the images had no files of their own.
        skipped: what is wrong with each file that was left out.
    """

    name: str
    train: NDArray[Any]
    test: NDArray[Any]
    levels: int
    train_labels: NDArray[Any] | None = None
    test_labels: NDArray[Any] | None = None
    names: tuple[str, ...] | None = None
    skipped: tuple[str, ...] = ()


def divide(
    name: str,
    source: str,
    images: NDArray[Any],
    labels: NDArray[Any] | None = None,
    names: list[str] | None = None,
    levels: int | None = None,
) -> ImageData:
    """Makes `ImageData` of images without a test set: one tenth of them is held out.

    The same images are held out each time, at least 1, drawn at random from all of them; both
    parts keep the order of the data.

    Raises:
        ValueError: if there are fewer than 2 images, or `levels` does not fit them.
    """
    advice = ", or give a test set: an .npz file with the arrays x_train and x_test"
    kept, tested = hold_out(len(images), "images", source, advice)
    return join(
        name,
        source,
        select_rows(images, kept),
        select_rows(images, tested),
        train_labels=None if labels is None else labels[kept],
        test_labels=None if labels is None else labels[tested],
        names=None if names is None else [names[i] for i in tested],
        levels=levels,
    )


def join(
    name: str,
    source: str,
    train: NDArray[Any],
    test: NDArray[Any],
    train_labels: NDArray[Any] | None = None,
    test_labels: NDArray[Any] | None = None,
    names: list[str] | None = None,
    levels: int | None = None,
) -> ImageData:
    """Makes `ImageData` of training and test images, with `levels` as `load_images` describes.

    Raises:
        ValueError: if the two differ in shape, or `levels` does not fit them.
    """
    if train.shape[1:] != test.shape[1:]:
        raise ValueError(
            "Training and test images must have the same height, width and channels, but those of "
            f"{source} have {train.shape[1:]} and {test.shape[1:]}. Crop or resize one of them."
        )
    if levels == 2 and _is_black_or_white(train) and _is_black_or_white(test):
        train, test = _from_0_to_1(train), _from_0_to_1(test)
    largest = max(_largest(train), _largest(test))
    if levels is None:
        levels = _levels_for(largest)
    if largest >= levels:
        raise ValueError(
            f"With levels={levels} the values must be below {levels}, but {source} holds the value "
            f"{largest}. Pass levels={_levels_for(largest)}, or quantize the images first."
        )
    held = None if names is None else tuple(names)
    return ImageData(name, train, test, levels, train_labels, test_labels, held)


def _from_0_to_1(images: Any) -> Any:
    return images.from_0_to_1() if is_lazy(images) else np.minimum(images, 1)


def _largest(images: Any) -> int:
    return int(images.largest if is_lazy(images) else images.max())


def _is_black_or_white(images: Any) -> bool:
    if is_lazy(images):
        return bool(images.is_black_or_white)
    return bool(((images == 0) | (images == 255)).all())


def _levels_for(largest: int) -> int:
    """The rule of `load_images` for the largest value of training and test images."""
    if largest <= 16:
        return max(2, largest + 1)
    if largest <= 255:
        return 256
    return 1 << largest.bit_length()
