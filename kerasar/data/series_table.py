"""Reads the columns of a table as a series: its times, its variables, and the steps between."""

from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kerasar.data.csv_survey import parsed
from kerasar.data.csv_table import Column, Table, choose_columns, read_numbers
from kerasar.data.frequency import Frequency, Times, find_frequency, time_text
from kerasar.data.long_table import find_series_column, take_series
from kerasar.data.times import TIME_NAMES, parse_times

#: So many equal steps are no chance, where rounding changes them by less than this share.
_MANY, _ROUNDED = 10, 0.02
#: How many steps a gap may have: longer ones are rather a mistake.
_LONGEST_GAP = 10_000
#: So many jumps in a row over so many steps are no gaps: the frequency has changed.
_IN_A_ROW, _WIDE = 5, 5


class SeriesTable(NamedTuple):
    """What a table of a series holds.

    Attributes:
        names: of the variables.
        values: `(steps, variables)`.
        times: of all rows, also of those ahead; None if there are none.
        frequency: of the times.
        counts: columns that only count.
        covariates: `(rows, covariates)`: of the steps, and of those ahead of them.
        covariate_names: their names.
        undated: a column that is called so as if it held times, with a text in it that is none.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    times: Times | None
    frequency: Frequency | None
    counts: tuple[str, ...]
    covariates: NDArray[np.float64]
    covariate_names: tuple[str, ...]
    undated: tuple[str, str] | None = None


def read_series_table(
    table: Table,
    columns: Sequence[Column] | None,
    gaps: bool,
    time_column: Column | None,
    covariates: Sequence[Column] = (),
    series: str | None = None,
    frequency: Frequency | None = None,
) -> SeriesTable:
    """Reads the columns of a series.

    Args:
        table: the file.
        columns: which are variables; None: those that hold numbers, without times and counts.
        gaps: whether what is missing is NaN.
        time_column: that of the times; None finds it.
        series: the name of one, where the table has several, one below the other.
        covariates: columns that are known of each step before it comes. With such, last rows
            without a value of any variable are steps ahead.
        frequency: that which the times must have; None finds it.

    Raises:
        ValueError: for times that go backwards, are there twice or are not evenly apart; the line
            is named. And as `read_numbers` does.
    """
    beside = choose_columns(table, covariates) if covariates else []
    wanted = set() if columns is None else set(choose_columns(table, columns))
    if both := wanted & set(beside):
        raise ValueError(
            f"A column of '{table.path}' is a variable or a covariate, but "
            f"'{table.names[min(both)]}' is named as both. Name it once."
        )
    wanted |= set(beside)
    place, times = find_times(table, wanted, time_column)
    named = find_series_column(table, place)
    table = take_series(table, named, series)
    if named is not None:
        place, times = find_times(table, wanted | {named}, time_column)
    counts = counting(table, wanted | ({place} if place is not None else set()))
    if columns is None and set(table.typed) <= {place, *counts}:
        counts = []  # a series that goes up by one is better than none
    left_out = {*counts, *beside, *(i for i in (place, named) if i is not None)}
    chosen = choose_columns(table, columns, left_out)
    values = read_numbers(table, [*chosen, *beside], gaps)
    counted = () if columns is not None else tuple(table.names[i] for i in counts)
    if times is None or place is None or (len(times) < 2 and frequency is None):
        times = frequency = None
    else:
        frequency = _frequency(table, place, times, frequency)
        values, times = _on_a_grid(table, place, values, times, gaps, frequency)
    values, known = values[:, : len(chosen)], values[:, len(chosen) :]
    if beside:
        seen = np.isfinite(values).any(axis=1)
        values = values[: int(np.flatnonzero(seen)[-1]) + 1] if seen.any() else values
    found = SeriesTable(
        tuple(table.names[i] for i in chosen),
        values,
        times,
        frequency,
        counted,
        known,
        tuple(table.names[i] for i in beside),
        None if place is not None else _undated(table),
    )
    _check_covariates(table, found)
    return found


def _check_covariates(table: Table, found: SeriesTable) -> None:
    missing = np.argwhere(~np.isfinite(found.covariates))
    if len(missing):
        row, column = (int(i) for i in missing[0])
        where = f"row {row + 1}" if found.times is None else time_text(found.times[row])
        raise ValueError(
            f"A covariate is known of each step, but in '{table.path}' column "
            f"'{found.covariate_names[column]}' has no value at {where}. Fill it in, or leave the "
            "column out."
        )


def find_times(
    table: Table, wanted: set[int], time_column: Column | None
) -> tuple[int | None, Times | None]:
    """The column of times and what it holds."""
    if time_column is not None:
        place = table.find(time_column)
        times = parse_times(table.texts(place), bare_years=True)
        if times is None:
            raise ValueError(
                f"time_column={time_column!r} of '{table.path}' holds something else than times, "
                f"such as {_no_time(table.texts(place))!r}. Write them like 2000-06-05 or "
                "2000-06-05 12:30."
            )
        return place, times
    others = [i for i in range(len(table.names)) if i not in wanted]
    named = [i for i in others if table.names[i].strip().lower() in TIME_NAMES]
    for place in [*named, *(i for i in others if i not in named)]:
        texts = table.texts(place)
        is_typed = place in table.typed
        if is_typed and place not in named and not _are_dates(texts):
            continue
        times = parse_times(texts, bare_years=is_typed)
        if times is not None:
            return place, times
    return None, None


def _undated(table: Table) -> tuple[str, str] | None:
    """The first column of texts with a name of times, and a text in it that is no time."""
    for place, name in enumerate(table.names):
        if name.strip().lower() in TIME_NAMES and place not in table.typed:
            return name, _no_time(table.texts(place))
    return None


def _are_dates(texts: Sequence[str]) -> bool:
    """Whether numbers are days like 20000605, each later than the one before."""
    if not all(len(text.strip()) == 8 and text.strip().isdecimal() for text in texts):
        return False
    return all(a < b for a, b in zip(texts, texts[1:], strict=False))


def _no_time(texts: Sequence[str]) -> str:
    """The first text that is no time; the first of all if they are none only together."""
    alone = (text for text in texts if parse_times([text], bare_years=True) is None)
    return next(alone, texts[0])


def counting(table: Table, others: set[int]) -> list[int]:
    """The columns that count the rows: by ones, or of long tables by equal steps."""
    return [i for i in table.typed if i not in others and _counts(table, i)]


def _counts(table: Table, column: int) -> bool:
    """Whether the numbers of a column go up by the same from each to the next."""
    found = array("d")
    for cells, _ in table.rows():
        value = parsed(cells[column])
        if value is None or (found and value <= found[-1]):
            return False
        found.append(value)
    steps = np.diff(found)
    if len(found) < _MANY:
        return bool(found[0] in (0, 1) and (steps == 1).all())
    step = (found[-1] - found[0]) / len(steps)
    even = found[0] + step * np.arange(len(found))
    return bool((np.abs(np.asarray(found) - even) <= _ROUNDED * step).all())


def _frequency(table: Table, place: int, times: Times, wanted: Frequency | None) -> Frequency:
    """The step between times, which is that which is wanted, if any is."""
    found = find_frequency(times)
    if len(times) == 1 and wanted is not None:
        return wanted
    if found is None:
        raise ValueError(_where(table, place, 1, "is the same time in all lines", "Check it"))
    if wanted is None:
        return found
    if (found.months, found.seconds) != (wanted.months, wanted.seconds):
        raise ValueError(
            f"The steps of '{table.path}' are a {found} apart, but those that the model was "
            f"trained on a {wanted}. Give it a file with such steps."
        )
    # A file of few days does not show that some weekdays have none.
    return wanted if found.is_of_days else found


def _on_a_grid(
    table: Table,
    place: int,
    values: NDArray[np.float64],
    times: Times,
    gaps: bool,
    frequency: Frequency,
) -> tuple[NDArray[np.float64], Times]:
    """The series with a step for each time; those that are left out are NaN."""
    apart = np.diff(times.astype("int64"))
    if (apart <= 0).any():
        row = int(np.argmax(apart <= 0)) + 1
        before = f"{time_text(times[row])} after {time_text(times[row - 1])}"
        problem = f"goes from {before}" if apart[row - 1] else f"has {before} again"
        advice = (
            "Times of a series go forwards, each once. Sort the file; join columns that say them "
            "together, such as date and hour; or if it holds several series, one below the other, "
            "name them in a column 'unique_id'"
        )
        raise ValueError(_where(table, place, row, problem, advice))
    steps = frequency.steps_between(times)
    off = np.abs(steps - np.round(steps)) > 1e-6
    if off.any():
        row = int(np.argmax(off))
        problem = (
            f"is {time_text(times[row])}, which is no whole number of steps of a {frequency} after "
            f"{time_text(times[0])}"
        )
        advice = "Steps must be evenly apart: fix that time, or choose another with time_column"
        raise ValueError(_where(table, place, row, problem, advice))
    index = np.round(steps).astype(int)
    jumps = np.diff(index)
    if (jumps == 1).all():
        return values, times
    if (change := _change_of_frequency(jumps)) is not None:
        problem = f"goes by a {frequency}, and from {time_text(times[change])} on by more"
        advice = "A series has steps of one length: sum up the finer part, or cut the series there"
        raise ValueError(_where(table, place, change, problem, advice))
    row = int(np.argmax(jumps > 1)) + 1
    jump = f"goes from {time_text(times[row - 1])} to {time_text(times[row])}"
    if not gaps or jumps.max() > _LONGEST_GAP:
        advice = f"Steps are a {frequency} apart: fill in what is missing"
        advice += "" if gaps else ", or read it as gaps with gaps=True"
        raise ValueError(_where(table, place, row, jump, advice))
    whole = np.full((index[-1] + 1, values.shape[1]), np.nan)
    whole[index] = values
    all_times: Any = np.concatenate([times[:1], frequency.after(times[0], int(index[-1]))])
    return whole, all_times


def _change_of_frequency(jumps: NDArray[np.int64]) -> int | None:
    """The row from which on steps are longer, each of several; None if there is no such."""
    wide = np.concatenate([jumps >= _WIDE, np.zeros(1, bool)])
    length = 0
    for i, is_wide in enumerate(wide):
        if not is_wide and length >= _IN_A_ROW:
            return i - length
        length = length + 1 if is_wide else 0
    return None


def _where(table: Table, place: int, row: int, problem: str, advice: str) -> str:
    """A message about the time in one row, counted from 0."""
    line = next(line for i, (_, line) in enumerate(table.rows()) if i == row)
    return (
        f"In '{table.path}' column '{table.names[place]}', which holds the times, {problem} in "
        f"line {line}. {advice}."
    )
