"""Reads numeric columns of a CSV file; every error names the row."""

import csv
import difflib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: A name, or an index counted from 0.
Column = str | int

#: How files write that a value is missing.
_MISSING = {"", "na", "n/a", "nan", "null", "none", "-", "?"}


def read_csv_columns(
    path: Path, columns: Sequence[Column] | None
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The names of columns and their values, `(rows, columns)`.

    The first row is a header if it has text where the second has a number. Columns are separated
    by commas, semicolons or tabs, whichever the first row holds most of.

    Args:
        path: a text file in UTF-8.
        columns: which, by name or index; None for all that hold numbers.

    Raises:
        ValueError: if the file is not such a table, a column is unknown or holds no numbers, or a
            value is missing, not a number, or not finite.
    """
    rows, lines = _read_rows(path)
    header = _has_header(rows)
    names = rows.pop(0) if header else [str(i) for i in range(len(rows[0]))]
    lines = lines[1:] if header else lines
    if not rows:
        raise ValueError(f"'{path}' holds a header and nothing else: give it rows of numbers.")
    names = [name.strip() for name in names]
    if columns is None:
        chosen = [i for i, cell in enumerate(rows[0]) if not _is_text(cell)]
        if not chosen:
            raise ValueError(
                f"'{path}' holds no column of numbers: its first row of values is {rows[0]}. "
                "Numbers are written like -1.5 or 2e3, with a point."
            )
    else:
        chosen = [_find(path, column, names) for column in columns]
    values = np.empty((len(rows), len(chosen)))
    for row, (cells, line) in enumerate(zip(rows, lines, strict=True)):
        for i, column in enumerate(chosen):
            values[row, i] = _number(path, cells[column], line, names[column])
    return tuple(names[i] for i in chosen), values


def _read_rows(path: Path) -> tuple[list[list[str]], list[int]]:
    """Cells, and the line at which each row ends."""
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(",;\t", key=first.count))
            for cells in reader:
                rows.append(cells)
                lines.append(reader.line_num)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"'{path}' cannot be read as a table of text: {error}. Save it as CSV in UTF-8."
        ) from error
    while rows and not any(cell.strip() for cell in rows[-1]):
        rows.pop()
        lines.pop()
    if not rows:
        raise ValueError(f"'{path}' is empty: give it rows of numbers.")
    for cells, line in zip(rows, lines, strict=True):
        if len(cells) != len(rows[0]):
            raise ValueError(
                f"All rows must have as many columns as the first, {len(rows[0])}, but line {line} "
                f"of '{path}' has {len(cells)}. Fix that line; a blank line is a missing value."
            )
    return rows, lines


def _has_header(rows: list[list[str]]) -> bool:
    below = rows[1] if len(rows) > 1 else ["" for _ in rows[0]]
    return any(_is_text(a) and not _is_text(b) for a, b in zip(rows[0], below, strict=True))


def check_column(column: Any) -> None:
    """Raises a TypeError unless it is a name or an index."""
    if isinstance(column, bool) or not isinstance(column, (str, int, np.integer)):
        raise TypeError(
            f"column must be a name, or an index counted from 0, but got {column!r}. Pass a list "
            "for several."
        )


def _find(path: Path, column: Column, names: list[str]) -> int:
    check_column(column)
    if isinstance(column, str):
        if names.count(column) == 1:
            return names.index(column)
        near = difflib.get_close_matches(column, names, 2)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ValueError(
            f"column must be one of {names}, or an index counted from 0, but '{path}' has "
            f"{names.count(column)} columns named {column!r}.{hint}"
        )
    if not 0 <= column < len(names):
        raise ValueError(
            f"column must be in [0, {len(names)}), for '{path}' has the columns {names}, but got "
            f"{column}."
        )
    return int(column)


def _number(path: Path, cell: str, line: int, name: str) -> float:
    if cell.strip().lower() in _MISSING:
        raise ValueError(
            f"In '{path}' the value of column '{name}' is missing in line {line} "
            f"({cell.strip()!r}), but models need all of them. Fill it in, by interpolation say; "
            "or leave out the row, of a series also those before or after it; or the column."
        )
    value = _parsed(cell)
    if value is None or not math.isfinite(value):
        raise ValueError(
            f"Data are finite numbers, written like -1.5 or 2e3, but in '{path}' column '{name}' "
            f"is {cell.strip()!r} in line {line}. Fix that line, or choose another column."
        )
    return value


def _is_text(cell: str) -> bool:
    return cell.strip().lower() not in _MISSING and _parsed(cell) is None


def _parsed(cell: str) -> float | None:
    try:
        # Python reads 1_000 as a number; no table means that.
        return None if "_" in cell else float(cell)
    except ValueError:
        return None
