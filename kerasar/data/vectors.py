"""Reads the rows of a CSV file as vectors of real values."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kerasar.checks import Spread, existing_file
from kerasar.data.csv_table import Column, read_csv_columns
from kerasar.data.split import hold_out


@dataclass(frozen=True, eq=False)  # eq=False: comparing arrays gives no single truth
class VectorData:
    """Vectors of real values, in the units of the file, divided into training and test vectors.

    Attributes:
        name: the name of the data.
        train: training vectors, float32 `(n, columns)`.
        test: test vectors.
        columns: the name of each column; "0", "1", … where the file has no header.
    """

    name: str
    train: NDArray[np.float32]
    test: NDArray[np.float32]
    columns: tuple[str, ...]


def load_vectors(
    path: str | os.PathLike[str],
    columns: Sequence[Column] | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    missing: Sequence[str] = (),
) -> VectorData:
    """Loads a CSV file, each row a vector.

    One tenth of the rows, at least 1, is held out as the test set: drawn at random, but the same
    each time. Fields are separated by commas, semicolons or tabs; a first line with words
    above numbers names the columns.

    Args:
        path: the file.
        columns: which to take, in this order: names, or indices counted from 0; None takes all
            that hold numbers.
        delimiter: what separates columns: ",", ";" or a tab. None finds the one that gives every
            row as many columns.
        decimal: the decimal sign, "." or ",". None finds it; a table where it is not certain is
            refused.
        missing: marks of missing values, besides such as "NA" and "-". What is missing is refused.

    Returns:
        A `VectorData`. Nothing is scaled: `FlowModel(..., standardize=True)` keeps the scaling in
        the model, so that `log_prob` and samples are in the data's own units.

    Raises:
        FileNotFoundError: if there is no such file.
        TypeError: if `columns` is not a list of names and indices.
        ValueError: for rows of unequal length, anything that is not a finite number (its line and
            column are named), unknown columns, constant columns, or fewer than 2 rows.
    """
    path = existing_file(path)
    if isinstance(columns, str):
        raise TypeError(
            f"columns must be a list of names, but got {columns!r}. Pass [{columns!r}]."
        )
    used, values = read_csv_columns(path, columns, delimiter, decimal, missing)
    if len(set(used)) < len(used):
        raise ValueError(
            f"The columns of '{path}' must have different names, but are {list(used)}. Rename one."
        )
    kept, tested = hold_out(len(values), "rows", f"'{path}'")
    constant = np.flatnonzero(values.min(axis=0) == values.max(axis=0))
    if len(constant):
        i = int(constant[0])
        raise ValueError(
            f"Column '{used[i]}' of '{path}' is {values[0, i]:g} in every row; a density of such "
            f"data is infinite. Pass columns={[n for n in used if n != used[i]]} to leave it out."
        )
    spread = Spread(values.shape[1])
    spread.add(values)
    spread.check("float32", lambda i: f"column '{used[i]}' of '{path}'")
    vectors = values.astype(np.float32)
    return VectorData(path.stem, vectors[kept], vectors[tested], used)
