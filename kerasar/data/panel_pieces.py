"""Cuts the series of a panel into pieces of one length, as `fit` and `evaluate` take them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count


@checks_arguments
def panel_pieces(
    series: Sequence[Any],
    size: int,
    first: Sequence[int],
    covariates: Sequence[Any] | None = None,
    known: bool = False,
    unknown: float = 0.1,
) -> dict[str, Any]:
    """Pieces in which each step of each series from a first one on is judged once.

    A step is judged behind at least half of a piece, where the series has as much before it; a
    series that has not is missing (NaN) before its beginning.

    Args:
        series: each `(steps,)`.
        size: int. Steps of a piece.
        first: the first step of each series that is judged; behind the end: the series has none.
        covariates: of each series, `(steps or more, covariates)`.
        known: bool. Whether the model takes the condition `series`, from 1 on.
        unknown: float. The share of pieces whose series is called unknown (0), so that the model
            learns of such, too.

    Returns:
        A dict of `x` `(pieces, size)`, `start` and `length`; and `condition`, if there is any.
    """
    check_count(size, "size")
    values, starts, lengths, rows, which = [], [], [], [], []
    for i, (one, begin) in enumerate(zip(series, first, strict=True)):
        stride = -(-size // 2)
        for place in range(begin, len(one), stride):
            end = min(place + stride, len(one))
            low = max(end - size, 0)
            lack = size - (end - low)
            values.append(_padded(one[low:end], lack, np.nan))
            starts.append(place - low + lack)
            lengths.append(size)
            which.append(i + 1)
            if covariates is not None:
                rows.append(_padded(covariates[i][low:end], lack, 0.0))
    found: dict[str, Any] = {
        "x": np.array(values, "float32").reshape(-1, size),
        "start": np.array(starts, "int32"),
        "length": np.array(lengths, "int32"),
    }
    condition: dict[str, Any] = {}
    if rows:
        condition["covariates"] = np.array(rows, "float32")
    if known:
        hidden = np.random.default_rng(0).random(len(which)) < unknown
        condition["series"] = np.where(hidden, 0, which).astype("int32")
    if condition:
        found["condition"] = condition if len(condition) > 1 else next(iter(condition.values()))
    return found


def _padded(rows: NDArray[Any], lack: int, value: float) -> NDArray[Any]:
    """Rows with others in front."""
    return np.pad(rows, [(lack, 0), *[(0, 0)] * (rows.ndim - 1)], constant_values=value)
