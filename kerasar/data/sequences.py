"""Reads sequences of unequal length from .npz files. Files are data: nothing in them is ever run.

NumPy has no arrays of ragged rows but those of Python objects, which need pickle and can run code.
So sequences come end to end with the offsets at which they begin, or padded with their lengths.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.arguments import checks_arguments
from kerasar.checks import existing_file
from kerasar.data.array_files import decode, load_arrays
from kerasar.data.split import hold_out

#: What `fit` takes: `x`, padded with zeros, and the `length` of each sequence.
Padded = dict[str, NDArray[Any]]

_PARTS = ("train", "valid", "test")
_LAYOUT = "train=joined, train_offsets=offsets"
_SAVED = f"np.savez_compressed(path, {_LAYOUT})"
_ARRAYS = f"arrays of numbers with {_SAVED}"
_HOW = f"Save it again with {_SAVED}."


@dataclass(frozen=True, eq=False)  # eq=False: comparing arrays gives no single truth
class SequenceData:
    """Sequences of unequal length, padded with zeros and divided into parts.

    Each part is a dict as `fit`, `evaluate` and `log_prob` take it: `x`, `(n, longest, …)`, and
    `length`, `(n,)`. All parts are padded to the longest sequence of all.

    Attributes:
        name: the name of the data.
        train: training sequences.
        valid: validation sequences, or None.
        test: test sequences.
        levels: int. The number of values of an element; None for real values.
    """

    name: str
    train: Padded
    valid: Padded | None
    test: Padded
    levels: int | None


@checks_arguments
def load_sequences(path: str | os.PathLike[str], levels: int | None = None) -> SequenceData:
    """Loads sequences of unequal length from an `.npz` file.

    The file holds the array `train`, and may hold `valid` and `test`; without `test` one tenth of
    the sequences, at least 1, is held out: drawn at random, but the same each time. Each part
    comes in one of three forms:

    - end to end: `train`, `(all steps, …)`, and `train_offsets`, `(n + 1,)`: sequence i is
      `train[train_offsets[i]:train_offsets[i + 1]]`;
    - padded: `train`, `(n, longest, …)`, and `train_length`, `(n,)`;
    - of one length: `train`, `(n, length, …)`, alone.

    `np.concatenate(list_of_arrays)` and `np.cumsum([0, *map(len, list_of_arrays)])` make the first
    from a list. A step may have further axes: `(all steps, 88)` for piano-rolls.

    Args:
        path: of the file.
        levels: int, at least 2. The number of values of an element. By default, for integers and
            bools, the largest value + 1 (at least 2); floats are real values.

    Returns:
        A `SequenceData`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, holds Python objects or other arrays than these, or
            offsets, lengths or values do not fit.

    Example:
        >>> import tempfile, numpy as np, kerasar
        >>> melodies = [np.array([3, 1, 2]), np.array([0, 4]), np.array([1])]
        >>> path = f"{tempfile.mkdtemp()}/melodies.npz"
        >>> offsets = np.cumsum([0, *map(len, melodies)])
        >>> np.savez_compressed(path, train=np.concatenate(melodies), train_offsets=offsets)
        >>> data = kerasar.data.load_sequences(path)
        >>> data.levels, data.train["x"].shape, data.test["length"]
        (5, (2, 3), array([1], dtype=int32))
    """
    how = f"load_sequences reads an .npz file; {_HOW[0].lower()}{_HOW[1:]}"
    path = existing_file(path, advice=how)
    loaded = load_arrays(path, _ARRAYS)
    if isinstance(loaded, np.ndarray):
        raise ValueError(
            f"Sequences come in an .npz file with the array 'train', but '{path}' is one array of "
            f"shape {loaded.shape}. {_HOW}"
        )
    with loaded as archive:
        parts = _read_parts(path, archive)
    if "test" not in parts:
        every, advice = parts["train"], ", or save a test set"
        kept, tested = hold_out(len(every), "sequences", f"'{path}'", advice)
        parts["train"], parts["test"] = [every[i] for i in kept], [every[i] for i in tested]
    levels = _checked(path, parts, levels)
    longest = max(len(sequence) for part in parts.values() for sequence in part)
    kind = "float32" if levels is None else "uint8" if levels <= 256 else "int32"
    padded = {name: _padded(part, longest, kind) for name, part in parts.items()}
    return SequenceData(path.stem, padded["train"], padded.get("valid"), padded["test"], levels)


def _read_parts(path: Path, archive: Any) -> dict[str, list[NDArray[Any]]]:
    names = list(archive.files)
    known = {part + ending for part in _PARTS for ending in ("", "_offsets", "_length")}
    strangers = sorted(set(names) - known)
    if "train" not in names or strangers:
        raise ValueError(
            "An .npz file of sequences must hold 'train', may hold 'valid' and 'test', and for "
            f"each its '_offsets' or its '_length', but '{path}' holds {sorted(names)}. {_HOW}"
        )

    def member(key: str) -> NDArray[Any]:
        array = decode(path, lambda: archive[key], _ARRAYS)
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
            kind = array.dtype if isinstance(array, np.ndarray) else "no array"
            raise ValueError(f"'{key}' in '{path}' must hold numbers, but is {kind}. {_HOW}")
        return array

    parts = {}
    for part in _PARTS:
        if part not in names:
            continue
        offsets, length = f"{part}_offsets", f"{part}_length"
        what = f"'{part}' in '{path}'"
        if offsets in names and length in names:
            raise ValueError(
                f"{what} must come end to end with '{offsets}', or padded with '{length}', but "
                "the file holds both. Leave one of them out."
            )
        if offsets in names:
            parts[part] = _cut(member(part), member(offsets), what)
        else:
            given = member(length) if length in names else None
            parts[part] = _unpadded(member(part), given, what)
    return parts


def _cut(joined: NDArray[Any], offsets: NDArray[Any], what: str) -> list[NDArray[Any]]:
    valid = offsets.ndim == 1 and len(offsets) > 1 and offsets.dtype.kind in "iu"
    steps = len(joined) if joined.ndim else 0
    if not valid or offsets[0] != 0 or offsets[-1] != steps or (np.diff(offsets) < 1).any():
        raise ValueError(
            "Offsets must be integers that begin with 0, rise, and end with the total number of "
            f"steps, but those of {what}, of {steps} steps, are {_brief(offsets)}. For a list of "
            "arrays they are np.cumsum([0, *map(len, arrays)])."
        )
    return [joined[a:b] for a, b in zip(offsets[:-1], offsets[1:], strict=True)]


def _unpadded(padded: NDArray[Any], length: NDArray[Any] | None, what: str) -> list[NDArray[Any]]:
    if padded.ndim < 2 or padded.size == 0:
        raise ValueError(
            "Sequences without offsets form an array (n, longest, …), not empty, but "
            f"{what} has shape {padded.shape}. Sequences that come end to end need their offsets: "
            f"{_SAVED}."
        )
    if length is None:
        return list(padded)
    valid = length.shape == (len(padded),) and length.dtype.kind in "iu"
    if not valid or length.min() < 1 or length.max() > padded.shape[1]:
        raise ValueError(
            f"Lengths must be integers from 1 to {padded.shape[1]}, one for each of the "
            f"{len(padded)} sequences of {what}, but they are {_brief(length)}. Save the number of "
            "real steps of each sequence."
        )
    return [row[:steps] for row, steps in zip(padded, length, strict=True)]


def _brief(array: NDArray[Any]) -> str:
    some = ", ".join(str(value) for value in array.ravel()[:6])
    return f"{array.dtype} {array.shape} [{some}{', …' if array.size > 6 else ''}]"


def _checked(path: Path, parts: dict[str, list[NDArray[Any]]], levels: int | None) -> int | None:
    """Checks every step, and returns the number of levels."""
    steps = {name: np.concatenate(part) for name, part in parts.items()}
    shape = steps["train"].shape[1:]
    for name, part in steps.items():
        if part.shape[1:] != shape:
            raise ValueError(
                f"The steps of all parts must have one shape, but in '{path}' those of 'train' "
                f"have {shape} and those of '{name}' {part.shape[1:]}. {_HOW}"
            )
        if part.dtype.kind == "f" and not np.isfinite(part).all():
            raise ValueError(
                f"The values must be finite, but '{name}' in '{path}' holds NaN or infinity. "
                "Fix the data: kerasar guesses no missing values."
            )
    real = any(part.dtype.kind == "f" for part in steps.values())
    if real and levels is None:
        return None
    for name, part in steps.items():
        low, high = part.min(), part.max()
        wrong = bool((part != np.floor(part)).any()) if part.dtype.kind == "f" else False
        if wrong or low < 0 or (levels is not None and high >= levels):
            wanted = "0, 1, 2, …" if levels is None else f"0 … {levels - 1}"
            raise ValueError(
                f"The values must be whole numbers, {wanted}, but '{name}' in '{path}' holds "
                f"{'fractions' if wrong else 'values'} from {low} to {high}. Shift or quantize "
                "them, or pass other levels."
            )
    largest = int(max(part.max() for part in steps.values()))
    return max(2, largest + 1) if levels is None else levels


def _padded(sequences: Sequence[NDArray[Any]], longest: int, kind: str) -> Padded:
    x = np.zeros((len(sequences), longest, *sequences[0].shape[1:]), kind)
    for row, sequence in zip(x, sequences, strict=True):
        row[: len(sequence)] = sequence
    length = np.array([len(sequence) for sequence in sequences], "int32")
    return {"x": x, "length": length}
