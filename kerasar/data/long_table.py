"""Tables that hold many series, one below the other, with a column that names them."""

import dataclasses
import difflib

import numpy as np

from kerasar.data.csv_table import Table
from kerasar.data.times import TIME_NAMES, parse_times

#: What columns that name the series are called.
NAMES = ("unique_id", "series", "series_id", "id")
#: How many names a message shows.
_SHOWN = 8


def find_series_column(table: Table, time_column: int | None) -> int | None:
    """The column that names the series; None if the table holds a single one.

    A column with such a name, or the first of texts whose rows of each value go forwards in time
    while those of the table do not. What has another value in most rows is no name of series.
    """
    words = [name.strip().lower() for name in table.names]
    for name in NAMES:
        if name in words:
            cells = table.texts(words.index(name))
            if name == NAMES[0] or 2 * len(set(cells)) <= len(cells):
                return words.index(name)
    if time_column is None:
        return None
    times = parse_times(table.texts(time_column), bare_years=True)
    if times is None or (np.diff(times.astype("int64")) > 0).all():
        return None
    for column in range(len(table.names)):
        if column in table.typed or column == time_column or words[column] in TIME_NAMES:
            continue
        texts = np.array([text.strip() for text in table.texts(column)])
        values = np.unique(texts)
        if 1 < len(values) < len(texts) and all(
            (np.diff(times[texts == value].astype("int64")) > 0).all() for value in values
        ):
            return column
    return None


def split_series(table: Table, column: int) -> dict[str, Table]:
    """The rows of each series by its name, in the order of the file, which is read once."""
    found: dict[str, list[tuple[list[str], int]]] = {}
    for cells, line in table.rows():
        found.setdefault(cells[column].strip(), []).append((cells, line))
    if "" in found:
        raise ValueError(
            f"In '{table.path}' column '{table.names[column]}', which names the series, is empty "
            f"in line {found[''][0][1]}. Fill it in."
        )
    return {name: dataclasses.replace(table, held=rows) for name, rows in found.items()}


def take_series(table: Table, column: int | None, series: str | None) -> Table:
    """The rows of one series.

    Raises:
        ValueError: if there are several and none is chosen, or none of that name; the message
            names them.
    """
    if column is None:
        if series is not None:
            raise ValueError(
                f"series={series!r} chooses one of several series, but '{table.path}' has no "
                "column that names such. Call it 'unique_id', or leave series out."
            )
        return table
    names = list(dict.fromkeys(text.strip() for text in table.texts(column)))
    if series is None and len(names) == 1:
        series = names[0]
    if series in names:
        return dataclasses.replace(table, kept=(column, series))
    shown = ", ".join(map(repr, names[:_SHOWN]))
    shown += f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    if series is None:
        raise ValueError(
            f"'{table.path}' holds {len(names):,} series, one below the other, which column "
            f"'{table.names[column]}' names: {shown}. Choose one with series=… (--series), or "
            "train a 'forecaster' on all of them (kerasar.data.load_panel)."
        )
    near = difflib.get_close_matches(series, names, 2)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise ValueError(f"'{table.path}' has no series {series!r}, but {shown}.{hint}")
