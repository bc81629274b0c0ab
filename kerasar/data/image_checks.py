"""Checks of images and labels: both must be integers.

Nothing is rounded, clipped or dropped here. Each message names the source, what is wrong with it
and what to do.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 2**16 - 1  # what 16-bit images can hold


def as_images(array: NDArray[Any], source: str) -> NDArray[Any]:
    """Returns images as `(n, height, width, channels)` integers.

    Args:
        array: `(n, height, width)` or `(n, height, width, channels)`, of any numeric type or bool,
            with integers from 0 to 65,535.
        source: what to call the array in a message, such as "'train' in 'faces.npz'".

    Raises:
        ValueError: if the array is anything else.
    """
    if array.ndim not in (3, 4):
        raise ValueError(
            "Images must form an array of shape (n, height, width) or (n, height, width, "
            f"channels), but {source} has shape {array.shape}. Reshape it and save it again."
        )
    if array.size == 0:
        raise ValueError(
            f"{source} is empty: its shape is {array.shape}. Save an array that holds some images."
        )
    if array.ndim == 3:
        array = array[..., np.newaxis]
    elif array.shape[1] in (1, 3) and array.shape[3] > 4:
        raise ValueError(
            "Channels must come last, (n, height, width, channels), but they seem to come first in "
            f"{source}, of shape {array.shape}. Move them with np.moveaxis(images, 1, -1)."
        )
    return _whole_numbers(array, source)


def as_labels(array: NDArray[Any], count: int, source: str) -> NDArray[Any]:
    """Returns labels as `(count,)` integers; takes `(count, 1)` too, as in keras.datasets."""
    if array.shape not in ((count,), (count, 1)):
        raise ValueError(
            f"There must be one label for each of the {count} images, an array of shape "
            f"({count},), but {source} has shape {array.shape}. Save one integer for each image."
        )
    return _whole_numbers(array.reshape(count), source)


def _whole_numbers(array: NDArray[Any], source: str) -> NDArray[Any]:
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"The values must be whole numbers from 0 to {LARGEST:,}, but {source} has dtype "
            f"{array.dtype}. Convert it with array.astype('uint8') and save it again."
        )
    if array.dtype.kind == "f":
        _check_floats(array, source)
    smallest, largest = array.min().item(), array.max().item()
    if smallest < 0 or largest > LARGEST:
        raise ValueError(
            f"The values must be whole numbers from 0 to {LARGEST:,}, but {source} holds values "
            f"from {smallest} to {largest}. Shift or quantize them to 0, 1, 2, ... and save them "
            "again."
        )
    return np.ascontiguousarray(array, dtype=np.uint8 if largest <= 255 else np.int32)


def _check_floats(array: NDArray[Any], source: str) -> None:
    with np.errstate(invalid="ignore"):  # inf - inf
        wrong = ~(array - np.floor(array) == 0)  # NaN and infinity are wrong as well
    if not wrong.any():
        return
    place = tuple(int(i) for i in np.unravel_index(int(wrong.argmax()), array.shape))
    value = array[place]
    if not np.isfinite(value):
        advice = "Find out where it comes from and fix the data; it is not an image value."
    elif 0 <= array.min() and array.max() <= 1:
        advice = (
            "If the images were scaled to [0, 1], undo it: np.round(images * 255).astype('uint8')."
        )
    else:
        advice = "Undo any scaling, round, and save the array as integers."
    raise ValueError(
        f"The values must be whole numbers, but {source} holds {value} at index {place}. {advice}"
    )
