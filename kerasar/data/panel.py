"""Loads panels: tables that hold many series, one below the other or one in each row."""

import dataclasses
import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.arguments import checks_arguments
from kerasar.checks import existing_file
from kerasar.data.csv_table import Column, Table, choose_columns, open_table, read_numbers
from kerasar.data.frequency import Frequency, find_frequency
from kerasar.data.long_table import NAMES, find_series_column, split_series
from kerasar.data.panel_data import PanelData
from kerasar.data.series import check_held_out, num_held_out
from kerasar.data.series_data import SeriesData
from kerasar.data.series_table import SeriesTable, counting, find_times, read_series_table
from kerasar.data.times import parse_times

#: Different texts that a static column has at most.
_MOST_CATEGORIES = 100


@checks_arguments
def load_panel(
    path: str | os.PathLike[str],
    column: Column | None = None,
    held_out: float = 0.1,
    delimiter: str | None = None,
    decimal: str | None = None,
    missing: Sequence[str] = (),
    time_column: Column | None = None,
    covariates: Sequence[Column] = (),
    calendar: bool = False,
    statics: Sequence[Column] = (),
    wide: bool = False,
    categories: Mapping[str, Sequence[str]] | None = None,
    frequency: Frequency | None = None,
) -> PanelData:
    """Loads many series of one variable from a table; the end of each is its test part.

    Args:
        path: a `.csv`, `.tsv` or `.txt` file. A column `unique_id`, or one of texts, names the
            series of each row; what is missing is NaN, values and steps.
        column: which variable, by name or index; None: the only one that holds numbers.
        held_out: float. The share of the steps of each series, from its end, for testing; 0 as for
            `load_series`.
        delimiter, decimal, missing, time_column, covariates, calendar: as for `load_series`.
        statics: columns, by name or index, that hold for a whole series: numbers or texts. They
            become covariates that never change; texts one for each of their values.
        wide: bool. Whether each row is a series, and its columns are the steps; those of the header
            may be times.
        categories: the values of static columns of texts, by name, as those of another file.
        frequency: as for `load_series`.

    Returns:
        A `PanelData`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: as `load_series` does, with the name of the series; for a single series, a
            static value that changes, steps of different lengths.
        TypeError: for arguments of other kinds.

    Example:
        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "sales.csv")
        ...     rows = [f"{shop},{i},{i * i % 7}" for shop in "ab" for i in range(20)]
        ...     with open(path, "w") as file:
        ...         _ = file.write("\\n".join(["unique_id,step,y", *rows]))
        ...     panel = load_panel(path, column="y")
        >>> panel.names, panel.series[0].train.shape
        (['a', 'b'], (18,))
    """
    check_held_out(held_out)
    path = existing_file(path)
    if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        raise ValueError(f"A panel is read from a .csv, .tsv or .txt file, but got '{path.name}'.")
    table = open_table(path, delimiter, decimal, missing)
    if wide:
        if column is not None or covariates or time_column is not None:
            raise ValueError(
                "wide=True takes every column of numbers as a step, so column, covariates and "
                "time_column cannot be chosen. Leave them out."
            )
        table = _with_years_as_header(table)
        name, tables, static_cells = _read_wide(table, statics)
    else:
        name, tables, static_cells = _read_long(
            table, column, time_column, covariates, statics, frequency
        )
    _check_frequencies(path, tables)
    static = _static_values(
        path, static_cells, [table.names[i] for i in _found(table, statics)], categories
    )
    series = []
    for i, (label, read) in enumerate(tables.items()):
        values = read.values[:, 0].astype("float32")
        if len(values) < 2 and held_out:
            raise ValueError(
                f"Series '{label}' of '{path}' has {len(values)} step, but needs at least 2, one "
                "to train on and one to test on. Leave it out."
            )
        if calendar and read.times is None:
            raise ValueError(
                f"calendar=True needs times, but '{path}' has none for series '{label}'. Leave it "
                "out, or name the column with time_column=…."
            )
        cut = len(values) - num_held_out(held_out, len(values))
        times = None if read.times is None else read.times[: len(values)]
        series.append(
            SeriesData(
                label,
                values[:cut],
                values[cut:],
                (name,),
                None,
                times,
                read.frequency,
                read.counts,
                read.covariates.astype("float32"),
                read.covariate_names,
                calendar,
                static.rows[i],
            )
        )
    return PanelData(path.stem, tuple(series), name, static.columns, static.categories)


def holds_several(path: Path) -> bool:
    """Whether a file has several series, one below the other."""
    table = open_table(path)
    column = find_series_column(table, find_times(table, set(), None)[0])
    return column is not None and len({text.strip() for text in table.texts(column)}) > 1


def _found(table: Table, columns: Sequence[Column]) -> list[int]:
    return choose_columns(table, columns) if columns else []


def _read_long(
    table: Table,
    column: Column | None,
    time_column: Column | None,
    covariates: Sequence[Column],
    statics: Sequence[Column],
    frequency: Frequency | None,
) -> tuple[str, dict[str, SeriesTable], list[list[tuple[list[str], int]]]]:
    """The variable's name, each series, and what each row says of statics, with its line."""
    beside, static = _found(table, covariates), _found(table, statics)
    wanted = {*beside, *static} | (set() if column is None else {table.find(column)})
    place, times = find_times(table, wanted, time_column)
    named = find_series_column(table, place)
    if named is None:
        raise ValueError(
            f"A panel has a column that names its series, but '{table.path}' has none. Call it "
            "'unique_id', pass wide=True (--wide) if each row is a series, or read a single one "
            "with load_series."
        )
    if named in static:
        raise ValueError(f"Column '{table.names[named]}' names the series: it is no static one.")
    if column is None:
        others = {*beside, *static, named, *(() if place is None else (place,))}
        numbers = [i for i in table.typed if i not in others]
        counts = counting(table, others)
        chosen = [i for i in numbers if i not in counts] or numbers
        if len(chosen) != 1:
            shown = ", ".join(repr(table.names[i]) for i in chosen) or "none"
            raise ValueError(
                f"A panel has one variable, but '{table.path}' has {len(chosen)} columns of "
                f"numbers: {shown}. Choose one with column=… (--column)."
            )
        column = chosen[0]
    parts = split_series(table, named)
    if len(parts) < 2:
        raise ValueError(
            f"A panel holds several series, but '{table.path}' only {next(iter(parts))!r}. Read it "
            "with load_series."
        )
    read = partial(
        read_series_table,
        columns=[column],
        gaps=True,
        time_column=time_column,
        covariates=covariates,
    )
    tables = _read_each(parts, read, frequency)
    found = {each.frequency for each in tables.values()}
    if times is not None and len(found) > 1 and all(each and each.is_of_days for each in found):
        # A short series does not show that some weekdays have no steps, all of them do.
        tables = _read_each(parts, read, find_frequency(np.unique(times)))
    static_cells = [
        [([cells[i].strip() for i in static], line) for cells, line in part.rows()]
        for part in parts.values()
    ]
    return table.names[table.find(column)], tables, static_cells


def _read_each(
    parts: Mapping[str, Table], read: Callable[..., SeriesTable], frequency: Frequency | None
) -> dict[str, SeriesTable]:
    """Each series; errors name it."""
    tables = {}
    for label, part in parts.items():
        try:
            tables[label] = read(part, frequency=frequency)
        except ValueError as error:
            raise ValueError(f"Series '{label}': {error}") from error
    return tables


def _read_wide(
    table: Table, statics: Sequence[Column]
) -> tuple[str, dict[str, SeriesTable], list[list[tuple[list[str], int]]]]:
    """The same of a table with a series in each row."""
    static = _found(table, statics)
    words = [name.strip().lower() for name in table.names]
    texts = [i for i in range(len(words)) if i not in table.typed and i not in static]
    named = next((words.index(name) for name in NAMES if name in words), None)
    named = next(iter(texts), None) if named is None else named
    steps = [i for i in table.typed if i != named and i not in static]
    if table.has_header:
        steps, named = _dated(table, steps, named)
    if len(steps) < 2:
        raise ValueError(
            f"wide=True takes each row as a series, but '{table.path}' has {len(steps)} columns of "
            "numbers, which would be its steps. Leave wide out if each row is a step."
        )
    header = [table.names[i] for i in steps] if table.has_header else []
    times = parse_times(header, bare_years=True) if header else None
    frequency = None if times is None else find_frequency(times)
    if times is not None and frequency is not None:
        index = frequency.steps_between(times)
        if not np.array_equal(index, np.arange(len(times))):
            raise ValueError(
                f"The columns of '{table.path}' are times of a {frequency} each, but not evenly "
                "apart. Put them in their order and add empty columns for those left out."
            )
    values = read_numbers(table, steps, True)
    labels = [str(i + 1) for i in range(len(values))]
    rows = list(table.rows())
    if named is not None:
        labels = [cells[named].strip() for cells, _ in rows]
    if len(set(labels)) < len(labels):
        again = next(label for i, label in enumerate(labels) if label in labels[:i])
        raise ValueError(
            f"Each row of '{table.path}' is a series (wide), but '{again}' names several. Give "
            "each a name of its own."
        )
    if len(labels) < 2:
        raise ValueError(f"A panel holds several series, but '{table.path}' has a single row.")
    tables = {}
    for label, row in zip(labels, values, strict=True):
        seen = np.flatnonzero(np.isfinite(row))
        if not len(seen):
            raise ValueError(
                f"Series '{label}' of '{table.path}': all its values are missing. Leave it out."
            )
        part = slice(seen[0], seen[-1] + 1)  # a series begins and ends with a value
        own = None if times is None or frequency is None else times[part]
        nothing = np.empty((len(row[part]), 0))
        tables[label] = SeriesTable(("value",), row[part, None], own, frequency, (), nothing, ())
    static_cells = [[([cells[i].strip() for i in static], line)] for cells, line in rows]
    return "value", tables, static_cells


def _dated(table: Table, steps: list[int], named: int | None) -> tuple[list[int], int | None]:
    """The columns that are steps, if the header says when; and one of numbers names the series."""
    dated = [i for i in steps if parse_times([table.names[i]], bare_years=True) is not None]
    others = [i for i in steps if i not in dated]
    if len(dated) < 2 or not others:
        return steps, named
    if named is None:
        named = others.pop(0)
    if others:
        raise ValueError(
            f"The header of '{table.path}' has times, and '{table.names[others[0]]}', which is "
            "none. Name such a column with statics=… (--static) if it holds for the whole series, "
            "or leave it out."
        )
    return dated, named


def _with_years_as_header(table: Table) -> Table:
    """The table, whose first row is a header also if it holds nothing but numbers: years."""
    if table.has_header:
        return table
    first, _ = next(table.rows())
    years = parse_times([first[i] for i in table.typed[1:]], bare_years=True)
    if years is None or len(years) < 2 or len(set(np.diff(years.astype("datetime64[Y]")))) != 1:
        return table
    return dataclasses.replace(table, has_header=True, names=[cell.strip() for cell in first])


def _check_frequencies(path: Path, tables: Mapping[str, SeriesTable]) -> None:
    """All series have steps of one length."""
    known = {label: str(read.frequency) for label, read in tables.items() if read.frequency}
    usual = max(set(known.values()), key=list(known.values()).count, default="")
    for label, frequency in known.items():
        if frequency != usual:
            raise ValueError(
                f"Series of a panel have steps of one length, but in '{path}' those of '{label}' "
                f"are a {frequency} apart, and those of most others a {usual}. Sum up the finer "
                "ones, or leave it out."
            )


@dataclasses.dataclass(frozen=True)
class _Statics:
    columns: tuple[str, ...]
    rows: list[NDArray[np.float32]]
    categories: dict[str, Sequence[str]]


def _static_values(
    path: Path,
    static_cells: Sequence[Sequence[tuple[list[str], int]]],
    names: Sequence[str],
    known: Mapping[str, Sequence[str]] | None,
) -> _Statics:
    """What holds for each series, as numbers."""
    firsts = []
    for rows in static_cells:
        first = rows[0][0]
        for cells, line in rows:
            if cells != first:
                i = next(i for i in range(len(first)) if cells[i] != first[i])
                raise ValueError(
                    f"A static column holds for a whole series, but in '{path}' '{names[i]}' "
                    f"changes from {first[i]!r} to {cells[i]!r} in line {line}. Make it a "
                    "covariate, or fix that line."
                )
        firsts.append(first)
    columns: list[str] = []
    parts: list[Any] = []
    categories: dict[str, Sequence[str]] = {}
    for i, name in enumerate(names):
        texts = [first[i] for first in firsts]
        numbers = _as_numbers(texts)
        if numbers is not None and name not in (known or {}):
            columns.append(name)
            parts.append(numbers[:, None])
            continue
        found = sorted(set(texts)) if known is None else list(known.get(name, ()))
        strange = next((text for text in texts if text not in found), None)
        if strange is not None:
            near = difflib.get_close_matches(strange, found, 2)
            hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise ValueError(
                f"'{path}' has {strange!r} in column '{name}', which the model does not know: it "
                f"was trained on {', '.join(map(repr, found[:8]))}.{hint}"
            )
        if len(found) > _MOST_CATEGORIES:
            raise ValueError(
                f"Column '{name}' of '{path}' has {len(found)} different texts, and a static "
                f"column at most {_MOST_CATEGORIES}. Leave it out, or join some of them."
            )
        categories[name] = found
        columns += [f"{name} {value}" for value in found]
        parts.append(np.array([[text == value for value in found] for text in texts], float))
    values = np.concatenate(parts, axis=1) if parts else np.empty((len(firsts), 0))
    return _Statics(tuple(columns), list(values.astype("float32")), categories)


def _as_numbers(texts: Sequence[str]) -> NDArray[np.float64] | None:
    try:
        found = np.array([float(text.replace(",", ".")) for text in texts])
    except ValueError:
        return None
    return found if np.isfinite(found).all() else None
