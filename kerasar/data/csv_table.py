"""Reads numeric columns of a CSV file; every error names the row."""

import difflib
import math
from array import array
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.data.csv_survey import MISSING_MARKS, find_survey, parsed, read_rows, with_point

#: A name, or an index counted from 0.
Column = str | int


@dataclass(frozen=True)
class Table:
    """A CSV file whose form is known.

    Attributes:
        path, delimiter, decimal: of the file.
        marks: of missing values, in lower case.
        names: of its columns; their indices if it has no header.
        typed: the columns that hold numbers.
        has_header: whether the first row names the columns.
        num_rows: rows, the header among them.
    """

    path: Path
    delimiter: str
    decimal: str
    marks: set[str]
    names: list[str]
    typed: list[int]
    has_header: bool
    num_rows: int
    #: The first two rows, for messages.
    beginning: list[list[str]]
    #: A column and its value in the rows that are taken; None: all rows are.
    kept: tuple[int, str] | None = None
    #: Rows and their lines that were read already, and are all that is taken; None: the file is.
    held: Sequence[tuple[list[str], int]] | None = None

    def rows(self) -> Iterator[tuple[list[str], int]]:
        """The cells of each row below the header, and the line at which it ends."""
        if self.held is not None:
            return iter(self.held)
        rows = islice(read_rows(self.path, self.delimiter), int(self.has_header), self.num_rows)
        if self.kept is None:
            return rows
        column, value = self.kept
        return (row for row in rows if row[0][column].strip() == value)

    def texts(self, column: int) -> list[str]:
        """The cells of one column."""
        return [cells[column] for cells, _ in self.rows()]

    def find(self, column: Column) -> int:
        """The index of a column by its name or index."""
        return _find(self.path, column, self.names)


def open_table(
    path: Path,
    delimiter: str | None = None,
    decimal: str | None = None,
    missing: Sequence[str] = (),
) -> Table:
    """Finds what separates the columns of a CSV file, its decimal sign and its header.

    Arguments and errors are those of `read_csv_columns`.
    """
    for name, value, known in (("delimiter", delimiter, ",;\t"), ("decimal", decimal, ".,")):
        if value is not None and (not isinstance(value, str) or value not in list(known)):
            raise ValueError(f"{name} must be one of {list(known)} or None, but got {value!r}.")
    if delimiter is not None and delimiter == decimal:
        raise ValueError(
            f"delimiter and decimal must differ, but both are {decimal!r}. Leave out one to have "
            "it found."
        )
    if isinstance(missing, str) or not all(isinstance(mark, str) for mark in missing):
        raise TypeError(
            f"missing must be a list of texts, but got {missing!r}. Pass ['-999'], say."
        )
    marks = MISSING_MARKS | {mark.strip().lower() for mark in missing}
    survey = find_survey(path, delimiter, marks, decimal)
    if decimal is None:
        decimal = "." if survey.delimiter == "," else survey.find_decimal()
    typed = survey.number_columns(decimal)
    header = survey.has_header(typed)
    if survey.rows == 1 and header:
        raise ValueError(f"'{path}' holds a header and nothing else: give it rows of numbers.")
    names = [cell.strip() if header else str(i) for i, cell in enumerate(survey.first)]
    beginning = [row[:9] for row in (survey.first, survey.second) if row]
    return Table(
        path, survey.delimiter, decimal, marks, names, typed, header, survey.rows, beginning
    )


def read_csv_columns(
    path: Path,
    columns: Sequence[Column] | None,
    delimiter: str | None = None,
    decimal: str | None = None,
    missing: Sequence[str] = (),
    gaps: bool = False,
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The names of columns and their values, `(rows, columns)`.

    All rows decide: what separates columns gives each row as many of them, and the most of
    numbers; a column holds numbers if half of its rows do. The first row is a header if it has a
    word above numbers, or counts the columns from 0 above numbers with fractions. The file is read
    row by row: a row has at most 1,000,000 characters and 10,000 columns.

    Args:
        path: a text file in UTF-8.
        columns: which, by name or index; None for all that hold numbers.
        delimiter: "," or ";" or a tab; None finds it.
        decimal: "." or ","; None finds it.
        missing: further marks of missing values, besides such as "NA" and "-".
        gaps: whether a value that is missing is NaN, not an error.

    Raises:
        TypeError: if `missing` is not a list of texts.
        ValueError: if the file is not such a table, what separates columns or decimals is
            ambiguous, a column is unknown or holds no numbers, or a value is missing, not a number,
            or not finite.
    """
    table = open_table(path, delimiter, decimal, missing)
    chosen = choose_columns(table, columns)
    return tuple(table.names[i] for i in chosen), read_numbers(table, chosen, gaps)


def choose_columns(
    table: Table, columns: Sequence[Column] | None, left_out: Container[int] = ()
) -> list[int]:
    """The indices of columns; None: of all that hold numbers but those that are left out."""
    if columns is not None:
        chosen = [table.find(column) for column in columns]
        check_distinct(columns, chosen)
        return chosen
    chosen = [column for column in table.typed if column not in left_out]
    if not chosen:
        shown = [str(row) for row in table.beginning]
        raise ValueError(
            f"'{table.path}' holds no column of numbers: it begins with {' and '.join(shown)}. "
            "Numbers are written like -1.5 or 2e3; decimal=',' reads 1,5."
        )
    return chosen


def read_numbers(table: Table, chosen: Sequence[int], gaps: bool = False) -> NDArray[np.float64]:
    """The values of columns, `(rows, columns)`; with `gaps` those that are missing are NaN."""
    found = array("d")
    for cells, line in table.rows():
        for column in chosen:
            cell = with_point(cells[column]) if table.decimal == "," else cells[column]
            if gaps and cell.strip().lower() in table.marks:
                found.append(math.nan)
            else:
                found.append(_number(table.path, cell, line, table.names[column], table.marks))
    return np.frombuffer(found).reshape(-1, len(chosen)) if chosen else np.empty((0, 0))


def check_column(column: Any) -> None:
    """Raises a TypeError unless it is a name or an index."""
    if isinstance(column, bool) or not isinstance(column, (str, int, np.integer)):
        raise TypeError(
            f"column must be a name, or an index counted from 0, but got {column!r}. Pass a list "
            "for several."
        )


def check_distinct(columns: Sequence[Column], chosen: Sequence[int]) -> None:
    """Raises a ValueError unless columns are chosen, and each once.

    Args:
        columns: as the user names them.
        chosen: their indices.
    """
    if not chosen:
        raise ValueError("The list of columns must name at least one, but it is empty.")
    for place, column in enumerate(chosen):
        if column in chosen[:place]:
            raise ValueError(
                f"Each column can be taken once, but {columns[place]!r} is there twice. Its values "
                "would determine each other: there is no density of both."
            )


def _find(path: Path, column: Column, names: list[str]) -> int:
    check_column(column)
    if isinstance(column, str):
        if names.count(column) == 1:
            return names.index(column)
        near = difflib.get_close_matches(column, names, 2)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        shown = names if len(names) <= 20 else [*names[:20], "…"]
        raise ValueError(
            f"column must be one of {shown}, or an index counted from 0, but '{path}' has "
            f"{names.count(column)} columns named {column!r}.{hint}"
        )
    if not 0 <= column < len(names):
        raise ValueError(
            f"column must be in [0, {len(names)}), for '{path}' has the columns {names[:20]}, but "
            f"got {column}."
        )
    return int(column)


def _number(path: Path, cell: str, line: int, name: str, marks: set[str]) -> float:
    if cell.strip().lower() in marks:
        raise ValueError(
            f"In '{path}' the value of column '{name}' is missing in line {line} "
            f"({cell.strip()!r}), but models need all of them. Fill it in, by interpolation say; "
            "or leave out the row, of a series also those before or after it; or the column."
        )
    value = parsed(cell)
    if value is None or not math.isfinite(value):
        raise ValueError(
            f"Data are finite numbers, written like -1.5 or 2e3, but in '{path}' column '{name}' "
            f"is {cell.strip()!r} in line {line}. Fix that line, or choose another column."
        )
    return value
