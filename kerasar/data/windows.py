"""Cuts one long series into pieces to train on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.checks import check_count


def windows(series: Any, length: int, stride: int = 1) -> NDArray[Any]:
    """Pieces of `length` steps that begin every `stride` steps, in their order.

    Args:
        series: `(time,)` or `(time, variables)`.
        length: int. Steps of a piece.
        stride: int. Steps from the beginning of a piece to that of the next; `length` cuts without
            overlap. What does not fill a last piece is left out.

    Returns:
        `(pieces, length)` or `(pieces, length, variables)`, a read-only view of the series.

    Raises:
        ValueError: if the series is shorter than a piece, or `length` or `stride` is below 1.

    Example:
        >>> import numpy as np
        >>> windows(np.arange(7), length=3, stride=2)
        array([[0, 1, 2],
               [2, 3, 4],
               [4, 5, 6]])
    """
    array = np.asarray(series)
    if array.ndim not in (1, 2):
        raise ValueError(
            "A series has shape (time,) or (time, variables), but series has shape "
            f"{array.shape}. Cut several series one by one and join their windows."
        )
    check_count(length, "length of windows")
    check_count(stride, "stride of windows")
    if len(array) < length:
        raise ValueError(
            f"Windows of length={length} need a series of at least as many steps, but series has "
            f"{len(array)}. Take a smaller length, or a longer part for testing (held_out)."
        )
    view = np.lib.stride_tricks.sliding_window_view(array, length, axis=0)
    # The window's axis comes last; it belongs behind that of the pieces.
    return np.moveaxis(view, -1, 1)[::stride]
