"""Reads a CSV of numbers as vectors, one a row, for models of real-valued vectors."""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)  # eq=False: comparing arrays gives no single truth
class VectorData:
    """Vectors of real numbers, in the units of the file, divided for training and testing.

    Attributes:
        name: what the data is called.
        train: vectors to learn from, float32 `(n, columns)`.
        test: vectors to judge by.
        columns: the name of each column; "0", "1", … where the file has no header.
    """

    name: str
    train: NDArray[np.float32]
    test: NDArray[np.float32]
    columns: tuple[str, ...]


def load_vectors(path: str | os.PathLike[str], columns: Sequence[str] | None = None) -> VectorData:
    """Loads a CSV of numbers, each row a vector.

    One tenth of the rows, at least 1, is held out as the test set: drawn at random, but the same
    each time. Fields are separated by commas, semicolons or tabs; a first line that holds no number
    names the columns.

    Args:
        path: the file.
        columns: names of the columns to take, in this order; None takes all.

    Returns:
        A `VectorData`. Nothing is scaled: `FlowModel(..., standardize=True)` keeps the scaling in
        the model, so that `log_prob` and samples are in the data's own units.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for rows of unequal length, anything that is not a finite number (its line and
            column are named), unknown columns, constant columns, or fewer than 2 rows.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file '{path}'. Check the path.")
    names, rows, first_line = _read(path)
    chosen = _choose(path, names, columns)
    if len(rows) < 2:
        raise ValueError(
            "One tenth of the rows, and at least 1, is held out for testing, so there must be at "
            f"least 2, but '{path}' holds {len(rows)}. Add rows."
        )
    values = np.array(
        [_numbers(path, names, chosen, row, line) for line, row in enumerate(rows, first_line)]
    )
    used = tuple(names[i] for i in chosen)
    constant = np.flatnonzero(values.min(axis=0) == values.max(axis=0))
    if len(constant):
        i = int(constant[0])
        raise ValueError(
            f"Column '{used[i]}' of '{path}' is {values[0, i]:g} in every row; a density of such "
            f"data is infinite. Pass columns={[n for n in used if n != used[i]]} to leave it out."
        )
    # NumPy promises that this stream of numbers never changes; not so for default_rng.
    order = np.random.RandomState(0).permutation(len(values))
    tested, kept = np.split(order, [max(1, len(values) // 10)])
    vectors = values.astype(np.float32)
    return VectorData(path.stem, vectors[np.sort(kept)], vectors[np.sort(tested)], used)


def _read(path: Path) -> tuple[list[str], list[list[str]], int]:
    """The names of the columns, the rows as text, and the line that the first row stands on."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"'{path}' is no text in UTF-8: {error}. Save it as CSV again.") from error
    head = text.split("\n", 1)[0]
    separator = max(",;\t", key=head.count)
    table = csv.reader(text.splitlines(), delimiter=separator)
    rows = [[field.strip() for field in row] for row in table]
    while rows and not any(rows[-1]):  # blank lines at the end
        rows.pop()
    if not rows:
        raise ValueError(f"'{path}' is empty. Give a CSV with one vector in each row.")
    if any(_is_number(field) for field in rows[0]):
        return [str(i) for i in range(len(rows[0]))], rows, 1
    if len(set(rows[0])) < len(rows[0]):
        raise ValueError(f"The columns of '{path}' must have different names, but are {rows[0]}.")
    return rows[0], rows[1:], 2


def _choose(path: Path, names: list[str], columns: Sequence[str] | None) -> list[int]:
    if columns is None:
        return list(range(len(names)))
    if isinstance(columns, str):
        raise TypeError(
            f"columns must be a list of names, but got {columns!r}. Pass [{columns!r}]."
        )
    unknown = [name for name in columns if name not in names]
    if unknown or not columns:
        raise ValueError(f"columns must be some of {names}, those of '{path}', but got {columns}.")
    return [names.index(name) for name in columns]


def _numbers(
    path: Path, names: list[str], chosen: list[int], row: list[str], line: int
) -> list[float]:
    if len(row) != len(names):
        raise ValueError(
            f"Every row of '{path}' must have {len(names)} fields, but line {line} has {len(row)}."
        )
    for i in chosen:
        if not _is_number(row[i]) or not np.isfinite(float(row[i])):
            raise ValueError(
                f"'{path}' must hold finite numbers, but line {line}, column '{names[i]}' is "
                f"{row[i]!r}. Remove or mend that row, or choose other columns."
            )
    return [float(row[i]) for i in chosen]


def _is_number(field: Any) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
