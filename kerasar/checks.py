"""Checks of arguments: every message states what was expected, what came and what to do."""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasar.arguments import check_kind_of, shorten
from kerasar.memory import available_memory, in_gib
from kerasar.typing import Shape

#: How many elements are looked at at once, so that a memory map stays on its disk.
_BLOCK = 2**20
#: The largest size of an axis that TensorFlow counts, in int32.
LARGEST = 2**31 - 1
#: The largest size in the configuration of a model, and the most values of one of its examples, so
#: that its file can be loaded again.
LARGEST_IN_MODELS = 2**24
#: The steps that a dtype must resolve, relative to the standard deviation, and the number of
#: examples from which on that says something about the data.
_FINE, _ROWS = 1e-2, 8


def check_data(
    x: Any,
    shape: Shape,
    levels: int | None,
    name: str = "x",
    dtype: str = "float32",
    missing: bool = False,
) -> np.ndarray:
    """Converts data to an array that a model of that event shape takes.

    Args:
        x: anything NumPy can read as an array, `(batch, *shape)`.
        shape: the shape of one example; None where a size is open.
        levels: number of values of discrete data, None for real values.
        name: the argument's name, for the messages.
        dtype: what the model computes real values in.
        missing: whether NaN is a value that is missing, for models that know of such.

    Returns:
        An integer array for discrete data, else float32 (float64 stays). A memory map of another
        dtype stays as it is: a batch of it is cast when it is read.

    Raises:
        TypeError: if `x` holds something other than numbers.
        ValueError: for another rank or size, an empty batch, NaN or infinity, for discrete data,
            values that are not integers in `[0, levels)`, and for real values that `dtype` cannot
            hold.
    """
    array = check_numbers(x, shape, name, missing)
    if levels is None:
        spread = Spread.of(array, dtype)
        if spread is not None and spread.count >= _ROWS:
            spread.check(dtype, lambda i: f"{name}[..., {i}]", _FINE)
        if array.dtype == np.float64 or is_mapped(array):
            return array
        return array.astype(np.float32, copy=False)
    return _check_levels(array, levels, name)


def check_numbers(x: Any, shape: Shape, name: str, missing: bool = False) -> np.ndarray:
    """Converts data to a finite array of any real dtype; raises as `check_data` does."""
    array = check_kind(x, name)
    check_shape(array.shape, shape, name)
    return _check_content(array, name, missing)


def check_values(x: Any, name: str, *ranks: int) -> np.ndarray:
    """Converts numbers of any shape, or of one of some ranks, to a finite array of real numbers.

    Raises:
        TypeError: if `x` holds something other than numbers.
        ValueError: for another rank, no values at all, NaN and infinity.
    """
    array = check_kind(x, name)
    if ranks and array.ndim not in ranks:
        raise ValueError(
            f"{name} must be an array of rank {' or '.join(map(str, ranks))}, but its shape is "
            f"{array.shape}."
        )
    return _check_content(array, name)


def _check_content(array: np.ndarray, name: str, missing: bool = False) -> np.ndarray:
    """The array, unless it is empty or not finite; NaN may be allowed."""
    if array.size == 0:
        raise ValueError(f"{name} is empty: its shape is {array.shape}. Give at least one example.")
    if np.issubdtype(array.dtype, np.floating):
        place = _first(array, np.isinf if missing else lambda block: ~np.isfinite(block))
        if place is not None:
            raise ValueError(
                f"{name} must be finite, but {name}{list(place)} is {array[place]}. "
                "Remove or fix such examples first."
            )
    return array


def is_mapped(array: Any) -> bool:
    """Whether an array, or what it is a view of, is a memory map."""
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return array is not None


def _blocks(array: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The array in parts along its first axis, with the index at which each begins."""
    if array.ndim == 0:
        yield 0, array
        return
    rows = max(_BLOCK * len(array) // max(array.size, 1), 1)
    for start in range(0, len(array), rows):
        yield start, array[start : start + rows]


def _first(array: np.ndarray, is_bad: Callable[[np.ndarray], Any]) -> tuple[int, ...] | None:
    """The index of the first value that is bad; None if all are good."""
    for start, block in _blocks(array):
        bad = np.asarray(is_bad(block))
        if bad.any():
            place = [int(i) for i in np.argwhere(bad)[0]]
            return (place[0] + start, *place[1:]) if place else ()
    return None


class Spread:
    """Mean and standard deviation of data, for each index of their last axis, block by block.

    Args:
        size: of the last axis.
    """

    def __init__(self, size: int) -> None:
        self.count = 0
        self.mean, self._squares, self.largest = np.zeros((3, size))

    @classmethod
    def of(cls, array: np.ndarray, dtype: str) -> "Spread | None":
        """The spread of an array; None if `dtype` can hold every value of its dtype."""
        if array.ndim == 0 or np.can_cast(array.dtype, dtype):
            return None
        spread = cls(array.shape[-1] if array.ndim > 1 else 1)
        for _, block in _blocks(array):
            spread.add(block)
        return spread

    def add(self, batch: Any) -> None:
        """Takes further data into account; a row with a value that is missing counts for none."""
        rows = np.asarray(batch, "float64").reshape(-1, len(self.mean))
        rows = rows[~np.isnan(rows).any(axis=1)]
        if not len(rows):
            return
        # Chan's update of a mean and of a sum of squares about it: no cancellation.
        total = self.count + len(rows)
        apart = rows.mean(axis=0) - self.mean
        self._squares += ((rows - rows.mean(axis=0)) ** 2).sum(axis=0)
        self._squares += apart**2 * self.count * len(rows) / total
        self.mean += apart * len(rows) / total
        self.largest = np.maximum(self.largest, np.abs(rows).max(axis=0))
        self.count = total

    @property
    def deviation(self) -> np.ndarray:
        return np.sqrt(self._squares / max(self.count, 1))

    def check(self, dtype: str, label: Callable[[int], str], finest: float = 1e-3) -> None:
        """Raises a ValueError if a dtype would round the data to a few values, or to infinity.

        Args:
            dtype: what the model computes in.
            label: gives the name of the data at an index of the last axis.
            finest: the steps that must be resolved, relative to the standard deviation.
        """
        for i, (largest, deviation) in enumerate(zip(self.largest, self.deviation, strict=True)):
            if largest > np.finfo(dtype).max:
                raise ValueError(
                    f"{label(i)} holds {largest:g}, which is more than {dtype} can hold. Put it in "
                    "other units."
                )
            step = np.spacing(np.dtype(dtype).type(largest))
            # A deviation of 0, or next to it, is that of equal values: no question of the dtype.
            if step > finest * deviation and deviation > 1e-12 * largest:
                raise ValueError(
                    f"Models compute in {dtype}, which near {largest:g} resolves steps of "
                    f"{step:.2g}, but {label(i)} varies by {deviation:.2g} only. Subtract its mean "
                    "first, and keep that for the samples."
                )


def as_array(x: Any, name: str, dtype: Any = None) -> np.ndarray:
    """What `np.asarray` gives; raises a ValueError where that would lose something.

    NumPy drops the mask of a masked array, and with it what says that a value is missing.
    """
    parts = x if isinstance(x, (list, tuple)) else [x]
    if any(np.ma.is_masked(part) for part in parts):
        raise ValueError(
            f"{name} is a masked array, but a model would learn the values under its mask, which "
            f"are none. Fill them in, {name}.filled(…), or leave such examples out; sequences that "
            'end early are given as {"x": …, "length": …}, and inpaint(x, known) draws the rest.'
        )
    try:
        return np.asarray(x, dtype)
    except NotImplementedError as error:  # of a symbolic tensor
        raise TypeError(
            f"{name} is a symbolic tensor, which has no values: this method runs graphs of its own "
            "and cannot be called within a tf.function. Call it outside. The functions of an "
            "export are graphs that others can call."
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{name} must be an array, but its parts differ in shape: {error}"
        ) from error


def check_kind(x: Any, name: str) -> np.ndarray:
    """Converts data to a real or Boolean array; raises a TypeError for anything else."""
    array = as_array(x, name)
    # NumPy counts durations as integers.
    is_number = np.issubdtype(array.dtype, np.number) and array.dtype.kind != "m"
    if not (is_number or array.dtype == np.bool_):
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
    if array.dtype == np.uint8 or (is_mapped(array) and np.issubdtype(array.dtype, np.integer)):
        return array
    return array.astype(np.int32, copy=False)


def check_whole(array: np.ndarray, name: str, where: str = "") -> None:
    """Raises a ValueError unless all values are integers."""
    if not np.issubdtype(array.dtype, np.floating):
        return
    place = _first(array, lambda block: block != np.round(block))
    if place is not None:
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
    """Whether a shape matches; an open size, of either, matches any."""
    return len(actual) == len(shape) and all(
        want is None or have is None or want == have
        for want, have in zip(shape, actual, strict=True)
    )


def check_given(
    x: Any, known: Any, shape: Shape, levels: int | None, name: str, missing: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Checks data of which some values are known; the others become zeros.

    Args:
        x: as for `check_data`; unknown values may be anything, NaN included.
        known: Boolean, shape of `x`, True where the value is given.
        shape, levels, name, missing: as for `check_data`.

    Returns:
        The data as `check_data` gives it, and the mask.

    Raises:
        TypeError: if `known` is not Boolean, or `x` holds something other than numbers.
        ValueError: if the shapes differ, or `x` does not fit.
    """
    array, known = check_kind(x, name), as_array(known, "known")
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
    return check_data(np.where(known, array, 0), shape, levels, name, missing=missing), known


def check_count(
    value: Any, name: str, least: int = 1, most: int | None = LARGEST, advice: str = ""
) -> int:
    """An integer from `least` to `most`, as an `int`.

    Args:
        value: what the user passed.
        name: the argument's name, and what it belongs to if the user might not know, such as
            "factor of layer 'squeeze'".
        least: the smallest integer that is allowed.
        most: the largest one; None for no limit, where nothing is made of that size.
        advice: a sentence on what to do, for the end of the message.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is out of range.
    """
    hint = f" {advice}" if advice else ""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, but got {shorten(value)}.{hint}")
    if value < least or (most is not None and value > most):
        limit = f"at most {most:,}" if most == LARGEST and value > most else f"at least {least}"
        bounds = limit if most in (None, LARGEST) else f"from {least} to {most:,}"
        raise ValueError(f"{name} must be {bounds}, but got {value}.{hint}")
    return int(value)


def check_sizes(**sizes: Any) -> None:
    """Raises an error unless all sizes, by the names of their arguments, are integers above 0.

    Args:
        **sizes: an integer, or a sequence of integers, which must not be empty; None passes.

    Raises:
        TypeError: if one is not an integer.
        ValueError: if one is below 1, or larger than any axis can be.
    """
    for name, size in sizes.items():
        if isinstance(size, (list, tuple, range, np.ndarray)):
            if len(size) == 0:
                raise ValueError(f"{name} must hold at least one integer, but got {size!r}.")
            for part in size:
                check_count(part, f"each of {name}")
        elif size is not None:
            check_count(size, name)


def check_choice(value: Any, name: str, choices: Sequence[Any]) -> Any:
    """One of a few values.

    Raises:
        ValueError: for any other.
    """
    if isinstance(value, (str, int, np.bool_, type(None))) and value in choices:
        return value
    words = [repr(choice) for choice in choices]
    listed = " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
    raise ValueError(f"{name} must be {listed}, but got {shorten(value)}.")


#: Bytes for which nobody asks the system whether it has them.
_ALWAYS_THERE = 2**24


def check_memory(name: str, value: Any, shape: Sequence[int]) -> None:
    """Raises a ValueError if an array of 4 bytes a value would not fit into the memory.

    Args:
        name: the argument that makes it large.
        value: what the user passed for it.
        shape: of the array.
    """
    needed = 4 * math.prod(int(size) for size in shape)
    if needed < _ALWAYS_THERE:
        return
    available = available_memory()
    if needed > available:
        raise ValueError(
            f"{name}={value} asks for an array of shape {tuple(shape)}, {in_gib(needed)}, and "
            f"{in_gib(available)} of memory are available. Take less at a time."
        )


def check_seed(seed: Any) -> int:
    """A seed: an integer from 0 to 2³¹ - 1, as the noise generator and the signatures take it."""
    check_count(seed, "seed", least=0, most=None)
    if seed >= 2**31:
        raise ValueError(f"seed must be below 2**31, but got {seed}.")
    return int(seed)


def check_export_options(options: dict[str, Any], streams: bool = False) -> dict[str, Any]:
    """The options of `export` but for the format, of which there is one.

    Args:
        options: by name.
        streams: whether `streaming` is one.

    Raises:
        ValueError: for another format.
        TypeError: for options that there are not, or a `streaming` or `jit_compile` that is no
            Boolean.
    """
    if options.get("format") not in (None, "tf_saved_model"):
        raise ValueError(
            f"export() writes a SavedModel, whose format is 'tf_saved_model', but got format="
            f"{options['format']!r}. Leave format out; save('model.keras') writes Keras' own."
        )
    names = ["verbose", "max_samples", "max_positions", "jit_compile", *["streaming"] * streams]
    for name in options:
        if name not in ("format", *names):
            shown = ", ".join(f"'{one}'" for one in names[:-1])
            raise TypeError(
                f"export() has no option '{name}', only {shown} and '{names[-1]}': the signatures "
                "are those of the model. Leave it out."
            )
    for name in ("streaming", "jit_compile"):
        if name in options:
            check_kind_of(options[name], name, bool)
    return {name: value for name, value in options.items() if name != "format"}


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
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(
            f"{name} begins with the home folder of a user who is not known here: "
            f"{os.fspath(path)!r}. Write ./ before it if that is its name."
        ) from error


def existing_file(path: Any, name: str = "path", advice: str = "Check the path.") -> Path:
    """A path as the user means it, of a file that can be read more than once.

    Raises:
        TypeError, ValueError: as `user_path` does.
        FileNotFoundError: if there is none.
        IsADirectoryError: if it is a folder.
        OSError: if it is a pipe or a device.
    """
    path = user_path(path, name)
    if path.is_file():
        return path
    if path.is_dir():
        raise IsADirectoryError(f"'{path}' must be a file, but it is a folder. {advice}")
    if path.exists():
        raise OSError(
            f"'{path}' must be a file, but it is a pipe or a device, which cannot be read twice. "
            "Write what it gives to a file first."
        )
    where = "" if path.is_absolute() else f" (looked for '{path.absolute()}')"
    raise FileNotFoundError(f"There is no file '{path}'{where}. {advice}")


def new_file(path: Any, name: str = "path") -> Path:
    """A path as the user means it, where a file can be written.

    Raises:
        TypeError, ValueError: as `user_path` does.
        FileNotFoundError: if its folder does not exist.
        IsADirectoryError: if it is a folder itself.
    """
    path = user_path(path, name)
    if path.is_dir():
        raise IsADirectoryError(f"{name} must be that of a file, but '{path}' is a folder.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder '{path.parent}' for '{path}'. Make it first.")
    return path


def new_keras_file(filepath: Any) -> Path:
    """A path where a `.keras` file can be written.

    Raises:
        ValueError: for another ending.
        TypeError, FileNotFoundError, IsADirectoryError: as `new_file` does.
    """
    path = user_path(filepath, "filepath")
    if path.suffix != ".keras":
        raise ValueError(
            f"filepath must be the name of a .keras file, but got '{path}'. Call it "
            f"'{path.with_suffix('.keras').name}'; save_weights('name.weights.h5') writes the "
            "weights alone."
        )
    return new_file(path, "filepath")
