"""Checks of arguments: every message states what was expected, what came and what to do."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from kerasar.typing import Shape


def check_data(x: Any, shape: Shape, levels: int | None, name: str = "x") -> np.ndarray:
    """Converts data to an array that a model of that event shape takes.

    Args:
        x: anything NumPy can read as an array, `(batch, *shape)`.
        shape: the shape of one example; None where a size is open.
        levels: number of values of discrete data, None for real values.
        name: the argument's name, for the messages.

    Returns:
        An integer array for discrete data, else float32 (float64 stays).

    Raises:
        TypeError: if `x` holds something other than numbers.
        ValueError: for another rank or size, an empty batch, NaN or infinity, and, for discrete
            data, values that are not integers in `[0, levels)`.
    """
    array = check_numbers(x, shape, name)
    if levels is None:
        return array if array.dtype == np.float64 else array.astype(np.float32)
    return _check_levels(array, levels, name)


def check_numbers(x: Any, shape: Shape, name: str) -> np.ndarray:
    """Converts data to a finite array of any real dtype; raises as `check_data` does."""
    array = check_kind(x, name)
    check_shape(array.shape, shape, name)
    if len(array) == 0:
        raise ValueError(f"{name} is empty: its shape is {array.shape}. Give at least one example.")
    if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(
            f"{name} must be finite, but {name}{list(place)} is {array[place]}. "
            "Remove or fix such examples first."
        )
    return array


def check_kind(x: Any, name: str) -> np.ndarray:
    """Converts data to a real or Boolean array; raises a TypeError for anything else."""
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ValueError(
            f"{name} must be an array, but its parts differ in shape: {error}"
        ) from error
    if not (np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_):
        raise TypeError(f"{name} must hold numbers, but its dtype is {array.dtype}.")
    if np.issubdtype(array.dtype, np.complexfloating):
        raise TypeError(f"{name} must hold real numbers, but its dtype is {array.dtype}.")
    return array


def _check_levels(array: np.ndarray, levels: int, name: str) -> np.ndarray:
    check_whole(array, name, f" in [0, {levels})")
    low, high = array.min(), array.max()
    if low < 0 or high >= levels:
        offender = low if low < 0 else high
        raise ValueError(
            f"{name} must lie in [0, {levels}), but holds {offender}. Quantize the data to "
            f"{levels} levels, or build the model with levels={max(int(high) + 1, 2)}."
            if low >= 0
            else f"{name} must lie in [0, {levels}), but holds {offender}. Shift the data so "
            "that the smallest value is 0."
        )
    # Bytes stay bytes: a quarter of the memory, and the training step casts them.
    return array if array.dtype == np.uint8 else array.astype(np.int32)


def check_whole(array: np.ndarray, name: str, where: str = "") -> None:
    """Raises a ValueError unless all values are integers."""
    fraction = array != np.round(array)
    if fraction.any():
        place = tuple(int(i) for i in np.argwhere(fraction)[0])
        raise ValueError(
            f"{name} must hold whole numbers{where}, but {name}{list(place)} is {array[place]}. "
            "Pass the integers themselves; the network scales or embeds them."
        )


def check_shape(actual: tuple[int, ...], shape: Shape, name: str) -> None:
    """Raises a ValueError unless `actual` is `(batch, *shape)`."""
    if not actual or not _fits(actual[1:], shape):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        hint = ""
        if shape and _fits(actual, shape):
            hint = f" For one example, pass {name}[None]."
        elif len(shape) == 3 and shape[-1] == 1 and _fits(actual[1:], shape[:-1]):
            hint = f" Gray images need a channel axis: pass {name}[..., None]."
        elif len(actual) == len(shape) + 1 == 4 and {actual[-1], shape[-1]} == {1, 3}:
            kinds = ("color", "gray") if shape[-1] == 1 else ("gray", "color")
            hint = (
                f" These are {kinds[0]} images, and the model is for {kinds[1]} ones. Convert "
                f"them, or build the model with {actual[-1]} for the last size of image_shape."
            )
        wanted = f"(batch, {wanted})" if shape else "(batch,)"
        raise ValueError(f"{name} must have shape {wanted}, but its shape is {actual}.{hint}")


def _fits(actual: tuple[int, ...], shape: Shape) -> bool:
    """Whether a shape matches; an open size matches any."""
    return len(actual) == len(shape) and all(
        want is None or want == have for want, have in zip(shape, actual, strict=True)
    )


def check_given(
    x: Any, known: Any, shape: Shape, levels: int | None, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Checks data of which some values are known; the others become zeros.

    Args:
        x: as for `check_data`; unknown values may be anything, NaN included.
        known: Boolean, shape of `x`, True where the value is given.
        shape, levels, name: as for `check_data`.

    Returns:
        The data as `check_data` gives it, and the mask.

    Raises:
        TypeError: if `known` is not Boolean, or `x` holds something other than numbers.
        ValueError: if the shapes differ, or `x` does not fit.
    """
    array, known = check_kind(x, name), np.asarray(known)
    if known.dtype != bool:
        raise TypeError(
            f"known must be Boolean, True where the value is given, but its dtype is "
            f"{known.dtype}. Write e.g. known = mask > 0."
        )
    if known.shape != array.shape:
        raise ValueError(
            f"known must have the shape of {name}, {array.shape}, but its shape is "
            f"{known.shape}. np.broadcast_to(known, {name}.shape) repeats one mask."
        )
    return check_data(np.where(known, array, 0), shape, levels, name), known


def check_count(
    value: Any, name: str, least: int = 1, most: int | None = None, advice: str = ""
) -> int:
    """An integer from `least` to `most`, as an `int`.

    Args:
        value: what the user passed.
        name: the argument's name, and what it belongs to if the user might not know, such as
            "factor of layer 'squeeze'".
        least: the smallest integer that is allowed.
        most: the largest one; None for no limit.
        advice: a sentence on what to do, for the end of the message.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is out of range.
    """
    hint = f" {advice}" if advice else ""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, but got {value!r}.{hint}")
    if value < least or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most:,}"
        raise ValueError(f"{name} must be {bounds}, but got {value}.{hint}")
    return int(value)


def check_seed(seed: Any) -> int:
    """A seed: an integer from 0 to 2³¹ - 1, as the noise generator and the signatures take it."""
    check_count(seed, "seed", least=0)
    if seed >= 2**31:
        raise ValueError(f"seed must be below 2**31, but got {seed}.")
    return int(seed)


def user_path(path: Any, name: str = "path") -> Path:
    """A path as the user means it: `~` is the home folder.

    Raises:
        TypeError: if it is neither text nor a path.
        ValueError: if it is empty.
    """
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise TypeError(f"{name} must be a path, a string or pathlib.Path, but got {path!r}.")
    if not os.fspath(path) or "\0" in os.fspath(path):
        raise ValueError(f"{name} must be a path, but got {os.fspath(path)!r}.")
    return Path(path).expanduser()
