"""Loads series: columns of a CSV file, or an array in an .npy file."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.arguments import checks_arguments
from kerasar.checks import Spread, existing_file
from kerasar.data.array_files import load_arrays
from kerasar.data.csv_table import Column, check_column, check_distinct, open_table
from kerasar.data.frequency import Frequency
from kerasar.data.mean_and_scale import mean_and_scale
from kerasar.data.quantizer import Quantizer
from kerasar.data.series_data import SeriesData
from kerasar.data.series_table import SeriesTable, read_series_table


@checks_arguments
def load_series(
    path: str | os.PathLike[str],
    column: Column | Sequence[Column] | None = None,
    levels: int | None = None,
    held_out: float = 0.1,
    quantizer: Quantizer | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    missing: Sequence[str] = (),
    gaps: bool = False,
    time_column: Column | None = None,
    covariates: Sequence[Column] = (),
    calendar: bool = False,
    series: str | None = None,
    frequency: Frequency | None = None,
) -> SeriesData:
    """Loads a series of one or several variables, in its order; its end is the test part.

    Files are read as data and never run. Nothing is filled in, dropped or clipped. A column of
    times in a CSV file is recognized by its values, and numbers that may be dates by its name. It
    is kept as `times`, is no variable, and goes by equal steps from row to row.

    Args:
        path: a `.csv`, `.tsv` or `.txt` file with a row for each step, with or without a header,
            or an `.npy` file with an array `(steps,)` or `(steps, variables)`.
        column: which variable, by its name in the header or its index counted from 0; a list for
            several, which gives steps that are vectors. None takes every column that holds numbers
            (dates and other text are left out): a single one gives steps that are scalars.
        levels: int. Quantizes each variable to this many levels between its smallest and largest
            value in the file. None keeps real values.
        held_out: float. The share of the steps, from the end, for testing; at least one step. 0
            is for a series that a trained model goes on with: it has no test part, and may have a
            single step, or one value throughout.
        quantizer: that of another series, in place of `levels`: a model takes new data in the
            levels that it was trained on.
        delimiter: what separates columns: ",", ";" or a tab. None finds the one that gives every
            row as many columns.
        decimal: the decimal sign, "." or ",". None finds it; a table where it is not certain is
            refused.
        missing: marks of missing values, besides such as "NA" and "-".
        gaps: bool. Whether what is missing is NaN: values, and steps whose time is left out. Models
            with a `kerasar.distributions.Relative` likelihood take such. Else it is refused.
        time_column: the column of times, by name or index, where it is not found.
        covariates: columns of a CSV file that are known of each step before it comes, by name or
            index: no variables. Rows at the end that have nothing else are steps ahead. With
            `gaps=True` only.
        series: which one, by its name, of a file with several, one below the other: a column
            `unique_id`, or one of texts, names them.
        calendar: bool. Whether the calendar gives covariates: the place in the day, the week and
            the year, as far as the times tell.
        frequency: the `frequency` of the series that a model was trained on, which this one must
            have, too. None finds it.

    Returns:
        A `SeriesData`. `kerasar.data.windows(series.train, length)` cuts it into pieces.

    Raises:
        FileNotFoundError: if there is no such file.
        TypeError: if a column is neither a name nor an index.
        ValueError: if the file is not a table of numbers, a column is unknown, a value is missing
            or not finite (the row is named), a variable never changes, or float32 cannot resolve
            its values.

    Example:
        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "tide.csv")
        ...     with open(path, "w") as file:
        ...         _ = file.write("hour,metres\\n0,1.5\\n1,2.5\\n2,2.0\\n3,1.0\\n")
        ...     series = load_series(path, column="metres", held_out=0.25)
        >>> series.train, series.test
        (array([1.5, 2.5, 2. ], dtype=float32), array([1.], dtype=float32))
    """
    if gaps and (levels is not None or quantizer is not None):
        raise ValueError(
            "gaps=True is for real values: a value that is missing has no level. Leave out levels."
        )
    check_held_out(held_out)
    if covariates and not gaps:
        raise ValueError("covariates are for real values that may be missing: pass gaps=True.")
    path = existing_file(path)
    several = isinstance(column, Sequence) and not isinstance(column, str)
    columns: Any = column if several or column is None else [column]
    read: SeriesTable | None = None
    if path.suffix.lower() == ".npy":
        names, values = _read_npy(path, columns, gaps)
    elif path.suffix.lower() in (".csv", ".tsv", ".txt"):
        table = open_table(path, delimiter, decimal, missing)
        read = read_series_table(table, columns, gaps, time_column, covariates, series, frequency)
        names, values = read.names, read.values
    else:
        raise ValueError(
            f"A series is read from a .csv, .tsv, .txt or .npy file, but got '{path.name}'. Save "
            "it as one of these."
        )
    if len(values) < 2 and held_out:
        raise ValueError(
            f"A series needs at least 2 steps, one to train on and one to test on, but '{path}' "
            f"has {len(values)}."
        )
    if len(names) == 1 and not several:
        values = values[:, 0]
    cut = len(values) - num_held_out(held_out, len(values))
    if quantizer is None and levels is not None:
        quantizer = _quantizer(path, names, values, levels)
    if quantizer is None:
        _check_units(path, names, values, cut, held_out > 0)
        found: NDArray[Any] = values.astype("float32")
    else:
        found = quantizer.encode(values)
    if (covariates or calendar) and (read is None or (calendar and read.times is None)):
        what = "calendar=True needs a column of times" if calendar else "covariates are columns"
        raise ValueError(
            f"{what} of a CSV file, but '{path}' has none such. Leave it out, or name the column "
            "with time_column=…."
        )
    parts = series or path.stem, found[:cut], found[cut:], names, quantizer
    if read is None:
        return SeriesData(*parts)
    times = None if read.times is None else read.times[: len(values)]
    known = read.covariates.astype("float32")
    data = SeriesData(
        *parts,
        times,
        read.frequency,
        read.counts,
        known,
        read.covariate_names,
        calendar,
        undated=read.undated,
    )
    data.covariates_of(len(values))  # errors come now
    return data


def check_held_out(held_out: float) -> None:
    """Raises a ValueError unless it is a share of steps."""
    if not 0 <= held_out < 1:
        raise ValueError(f"held_out is a share of the steps, from 0 to 1, but got {held_out}.")


def num_held_out(held_out: float, steps: int) -> int:
    """How many of so many steps are for testing."""
    return min(max(1, round(held_out * steps)), steps - 1) if held_out else 0


def _check_units(
    path: Path, names: Sequence[str], values: NDArray[Any], cut: int, is_learned: bool
) -> None:
    """Every variable varies in the training part, by steps that float32 resolves."""
    columns = values.reshape(len(values), -1)
    for name, column in zip(names, columns.T, strict=True):
        seen = column[:cut][~np.isnan(column[:cut])]
        if not len(seen):
            part = f" in the first {cut} steps, which are for training" if is_learned else ""
            raise ValueError(
                f"Column '{name}' of '{path}' cannot be used: all its values are missing{part}. "
                "Choose other columns."
            )
        if not is_learned:
            continue
        try:
            mean_and_scale(seen)
        except ValueError as error:
            raise ValueError(f"Column '{name}' of '{path}' cannot be used: {error}") from error
        spread = Spread(1)
        spread.add(column)
        label = f"column '{name}' of '{path}'"
        spread.check("float32", [label].__getitem__)


def _quantizer(path: Path, names: Sequence[str], values: NDArray[Any], levels: int) -> Quantizer:
    try:
        return Quantizer(values.min(axis=0), values.max(axis=0), levels)
    except ValueError as error:
        columns = ", ".join(map(repr, names))
        raise ValueError(f"Column {columns} of '{path}' cannot be quantized: {error}") from error


def _read_npy(
    path: Path, columns: Sequence[Column] | None, gaps: bool
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    how = "an array of numbers with np.save(path, series)"
    array = load_arrays(path, how)
    if not isinstance(array, np.ndarray) or array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(
            "A series is an array of shape (steps,) or (steps, variables), but "
            f"'{path}' holds shape {getattr(array, 'shape', None)}. Save it again as such."
        )
    if array.dtype.kind not in "fiu":
        raise ValueError(
            f"A series holds real values, but '{path}' has dtype {array.dtype}. Convert it with "
            "array.astype('float32') and save it again."
        )
    values = array.reshape(len(array), -1).astype("float64")
    count = values.shape[1]
    chosen = list(range(count)) if columns is None else [_number(path, c, count) for c in columns]
    if columns is not None:
        check_distinct(columns, chosen)
    values = values[:, chosen]
    bad = np.isinf(values) if gaps else ~np.isfinite(values)
    if bad.any():
        row, variable = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"A series has no gaps, but in '{path}' column {chosen[variable]} is "
            f"{values[row, variable]} in row {row} (counted from 0). Fill it in, by interpolation "
            "say, or cut the series there."
        )
    return tuple(str(i) for i in chosen), values


def _number(path: Path, column: Column, count: int) -> int:
    check_column(column)
    if isinstance(column, (int, np.integer)) and 0 <= column < count:
        return int(column)
    raise ValueError(
        f"column must be an index in [0, {count}), for '{path}' has {count} unnamed columns, but "
        f"got {column!r}."
    )
