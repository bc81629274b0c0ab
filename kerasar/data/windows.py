"""Cuts one long series into windows to train on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.arguments import checks_arguments
from kerasar.checks import as_array, check_count


@checks_arguments
def windows(series: Any, length: int, stride: int = 1) -> NDArray[Any]:
    """Windows of `length` steps that begin every `stride` steps, in their order.

    Args:
        series: `(time,)` or `(time, variables)`.
        length: int. The number of steps of a window.
        stride: int. The number of steps from the beginning of a window to that of the next;
            `length` cuts without overlap. Steps that do not fill a last window are left out.

    Returns:
        `(windows, length)` or `(windows, length, variables)`, a read-only view of the series.

    Raises:
        ValueError: if the series is shorter than a window, or `length` or `stride` is below 1.
        TypeError: if `length` or `stride` is not an integer.

    Example:
        >>> import numpy as np
        >>> windows(np.arange(7), length=3, stride=2)
        array([[0, 1, 2],
               [2, 3, 4],
               [4, 5, 6]])
    """
    array = as_array(series, "series")
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
    # The steps of a window are the last axis; they belong after the axis of the windows.
    return np.moveaxis(view, -1, 1)[::stride]
