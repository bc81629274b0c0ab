"""Reads a CSV file row by row, and finds what separates its columns and its decimals.

All rows are looked at, none is kept: a table is as large as its numbers, not as its text.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

#: What a row of a table may hold.
_LONGEST_ROW, _MOST_COLUMNS = 1_000_000, 10_000
#: A number whose sign may set thousands apart.
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")

#: How files write that a value is missing.
MISSING_MARKS = {
    "", "na", "n/a", "#n/a", "n.a.", "nan", "null", "none", "-", "--", ".", "?",
}  # fmt: skip


def read_rows(path: Path, delimiter: str) -> Iterator[tuple[list[str], int]]:
    """Each row, and the line at which it ends; lines of comments before the first are no rows."""
    characters = comments = 0

    def lines(file: TextIO) -> Iterator[str]:
        nonlocal characters, comments
        begun = False
        while line := file.readline(_LONGEST_ROW + 1):
            characters += len(line)
            if characters > _LONGEST_ROW:
                raise _too_large(path, reader.line_num + comments + 1)
            if not begun and line.startswith("#"):
                comments, characters = comments + 1, 0
                continue
            begun = True
            yield line

    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(lines(file), delimiter=delimiter)
            for cells in reader:
                if len(cells) > _MOST_COLUMNS:
                    raise _too_large(path, reader.line_num + comments)
                characters = 0
                yield cells, reader.line_num + comments
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"'{path}' cannot be read as a table of text: {error}. Save it as CSV in UTF-8."
        ) from error


def _too_large(path: Path, line: int) -> ValueError:
    return ValueError(
        f"A row of a table has at most {_MOST_COLUMNS:,} columns and {_LONGEST_ROW:,} characters, "
        f"but that at line {line} of '{path}' has more. Give each step or vector a row of its own, "
        "or save the numbers with np.save."
    )


def find_survey(
    path: Path, delimiter: str | None, marks: set[str], decimal: str | None = None
) -> "Survey":
    """The survey by the sign that gives each row as many columns, and the most of numbers."""
    first, _ = next(read_rows(path, "\x1f"), ([], 0))
    line = first[0] if first else ""
    signs = (
        [delimiter] if delimiter else [sign for sign in ",;\t" if sign in line and sign != decimal]
    )
    signs = signs or [";" if decimal == "," else ","]
    if max(map(line.count, signs)) >= _MOST_COLUMNS:
        raise _too_large(path, 1)
    surveys = [Survey(path, sign, marks) for sign in signs]
    if all(survey.rows == 0 for survey in surveys):
        raise ValueError(f"'{path}' is empty: give it rows of numbers.")
    whole = [survey for survey in surveys if survey.uneven is None]
    if not whole:
        likeliest = max(surveys, key=lambda survey: line.count(survey.delimiter))
        raise ValueError(f"{likeliest.uneven}")
    shares = [survey.share() for survey in whole]
    best = [survey for survey, share in zip(whole, shares, strict=True) if share == max(shares)]
    if len(best) > 1:
        raise ValueError(
            f"The columns of '{path}' may be separated by "
            f"{' or '.join(repr(survey.delimiter) for survey in best)}, from line 1 on. Pass "
            f"delimiter={best[0].delimiter!r} or the like."
        )
    return best[0]


class Survey:
    """What all rows of a table say of its columns, if they are separated by a sign.

    Attributes:
        rows: how many there are, without blank ones at the end.
        first, second: those rows.
        uneven: what is wrong with the first row of another number of columns; None: nothing.
    """

    def __init__(self, path: Path, delimiter: str, marks: set[str]) -> None:
        self.path, self.delimiter = path, delimiter
        self.rows = 0
        self.first: list[str] = []
        self.second: list[str] = []
        self.uneven: str | None = None
        self._first_line: int | None = None
        self._marks, self._counts = marks, list[_Counts]()
        #: The first cell with each decimal sign: itself, line, column; and signs that are certain.
        self._signs: dict[str, tuple[str, int, int]] = {}
        self._certain: set[str] = set()
        blanks, uneven_blank = 0, None
        for cells, line in read_rows(path, delimiter):
            if self._first_line is None:
                self.first, self._first_line = cells, line
                self._counts = [_Counts() for _ in cells]
            uneven = (line, len(cells)) if len(cells) != len(self.first) else None
            if not any(map(str.strip, cells)):
                blanks, uneven_blank = blanks + 1, uneven_blank or uneven
                continue
            uneven = uneven_blank or uneven
            if uneven:
                self.uneven = (
                    f"All rows must have as many columns as the first, {len(self.first)}, but line "
                    f"{uneven[0]} of '{path}' has {uneven[1]}. Fix that line; a blank line is a "
                    "missing value."
                )
                self.rows += 1
                break
            self._take(cells, line)
            self.rows, blanks = self.rows + blanks + 1, 0

    def _take(self, cells: list[str], line: int) -> None:
        is_first = line == self._first_line
        if not is_first and not self.second:
            self.second = cells
        for i, cell in enumerate(cells):
            plain = parsed(cell) is not None
            pointed = plain or ("," in cell and parsed(with_point(cell)) is not None)
            sign = "." if "." in cell else "," if "," in cell else None
            if pointed and sign is not None and sign not in self._certain:
                self._signs.setdefault(sign, (cell.strip(), line, i))
                if not _THOUSANDS.fullmatch(cell.strip()):
                    self._certain.add(sign)
            if not is_first and (pointed or cell.strip().lower() not in self._marks):
                counts = self._counts[i]
                counts.present += 1
                counts.pointed += pointed
                counts.plain += plain
                counts.fractions |= pointed and sign is not None

    def find_decimal(self) -> str:
        """The decimal sign, if columns are not separated by commas."""
        if len(self._signs) > 1 or (self._signs and not self._certain):
            where = " and ".join(
                f"{cell!r} in line {line}, column {i}" for cell, line, i in self._signs.values()
            )
            raise ValueError(
                f"'{self.path}' holds {where} (columns counted from 0), where the decimal sign may "
                "be '.' or ','. Pass decimal='.' or decimal=',', or write it before another number "
                "of digits than three."
            )
        return next(iter(self._signs), ".")

    def number_columns(self, decimal: str) -> list[int]:
        """The columns of which half of the cells below the first that are not missing are numbers.

        In a table of one row, those of it. A column with nothing in it, not even a name, is none.
        """
        if self.rows == 1:
            return [i for i, cell in enumerate(self.first) if not self._is_word(cell, decimal)]
        return [
            i
            for i, counts in enumerate(self._counts)
            if 2 * (counts.pointed if decimal == "," else counts.plain) >= counts.present
            and (counts.present or self.first[i].strip())
        ]

    def share(self) -> float:
        """The share of columns of numbers; 0 for a single column, which nothing separates."""
        if len(self.first) < 2:
            return 0.0
        return len(self.number_columns("." if self.delimiter == "," else ",")) / len(self.first)

    def has_header(self, typed: list[int]) -> bool:
        """Whether the first row names columns, given those that hold numbers."""
        if self.rows == 1:
            return all(self._is_word(cell, ",") for cell in self.first)
        if any(self._is_word(self.first[i], ",") and _has_letter(self.first[i]) for i in typed):
            return True
        # As pandas writes columns without names, with or without an index before them.
        names = self.first[1:] if len(self.first) > 1 and not self.first[0].strip() else self.first
        counted = names == [str(i) for i in range(len(names))]
        if names is not self.first:
            return counted
        return len(names) > 1 and counted and any(self._counts[i].fractions for i in typed)

    def _is_word(self, cell: str, decimal: str) -> bool:
        cell = with_point(cell) if decimal == "," else cell
        return cell.strip().lower() not in self._marks and parsed(cell) is None


@dataclass
class _Counts:
    """Of the cells of a column below the first: which are there, and numbers by decimal sign."""

    present: int = 0
    plain: int = 0
    pointed: int = 0
    fractions: bool = False


def _has_letter(cell: str) -> bool:
    return any(map(str.isalpha, cell))


def with_point(cell: str) -> str:
    """A number with a decimal comma as one with a point."""
    return cell.replace(",", ".") if "." not in cell and cell.count(",") == 1 else cell


def parsed(cell: str) -> float | None:
    """A number as tables write it; None for other text."""
    try:
        # Python also reads 1_000 and the digits of other scripts; no table means that.
        return float(cell) if "_" not in cell and cell.isascii() else None
    except ValueError:
        return None
