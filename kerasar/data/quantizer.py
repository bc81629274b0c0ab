"""Converts real values to levels and back, for models of integers on measured series."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count, check_values, check_whole


class Quantizer:
    """Divides the range of each variable into `levels` bins of one width.

    Args:
        low: smallest value, a scalar, or one for each variable.
        high: largest value, likewise; above `low`.
        levels: int, at least 2.

    Raises:
        ValueError: if `levels` is below 2, or a range is empty.

    Example:
        >>> import numpy as np
        >>> quantizer = Quantizer(0.0, 10.0, levels=5)
        >>> quantizer.encode(np.array([0.0, 1.9, 2.0, 10.0]))
        array([0, 0, 1, 4], dtype=int32)
        >>> quantizer.decode(np.array([0, 4]))
        array([1., 9.], dtype=float32)
    """

    @checks_arguments
    def __init__(self, low: Any, high: Any, levels: int) -> None:
        self.low = check_values(low, "low", 0, 1).astype("float64")
        self.high = check_values(high, "high", 0, 1).astype("float64")
        advice = "With fewer, values cannot be distinguished."
        self.levels = check_count(levels, "levels", least=2, advice=advice)
        if self.low.shape != self.high.shape or not (self.high > self.low).all():
            raise ValueError(
                f"A range to be quantized must not be empty, but is from low={low} to high={high}. "
                "There is nothing to learn from a series that never changes: leave it out."
            )

    @property
    def step(self) -> NDArray[np.float64]:
        """The width of a bin."""
        return (self.high - self.low) / self.levels

    def encode(self, values: Any) -> NDArray[np.int32]:
        """The level of each value, int32 of the shape of `values`.

        Raises:
            ValueError: for values that are not finite, are outside the range, or have another
                number of variables.
        """
        array = check_values(values, "values").astype("float64")
        if self.low.ndim and array.shape[-1:] != self.low.shape:
            raise ValueError(
                f"Values to be quantized must hold {len(self.low)} variables in their last axis, "
                f"as the series that was loaded, but their shape is {array.shape}."
            )
        inside = (array >= self.low) & (array <= self.high)
        if not inside.all():
            offender = array[~inside].reshape(-1)[0]
            raise ValueError(
                f"Values to be quantized must be between {self.low} and {self.high}, the range of "
                f"the series that was loaded, but got {offender}. np.clip(values, low, high) gives "
                "such values the outermost levels."
            )
        codes = np.floor((array - self.low) / self.step)
        return np.minimum(codes, self.levels - 1).astype("int32")

    def decode(self, codes: Any) -> NDArray[np.float32]:
        """The center of each level's bin, float32; `encode` is the inverse.

        Raises:
            TypeError, ValueError: for codes that are not integers in `[0, levels)`.
        """
        codes = check_values(codes, "codes")
        check_whole(codes, "codes")
        if codes.min() < 0 or codes.max() >= self.levels:
            raise ValueError(
                f"codes must be in [0, {self.levels}), but are {codes.min()} … {codes.max()}."
            )
        return np.asarray(self.low + (codes + 0.5) * self.step, "float32")
