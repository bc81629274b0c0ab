"""The units of real data: a mean and a scale, for all variables or for each."""

import math
from typing import Any

import numpy as np


def check_units(value: Any, name: str, owner: str) -> Any:
    """A mean or a scale as a float, or as a tuple of one float for each variable.

    Args:
        value: a scalar, or a sequence or array of scalars.
        name: "mean" or "scale"; a scale must be above 0.
        owner: the class whose argument it is, for messages.

    Raises:
        TypeError: if it is something else.
        ValueError: if it is not finite, or a scale is not above 0.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "fiu" or array.ndim > 1 or array.size == 0:
        raise TypeError(
            f"{name} of {owner} must be a scalar, or one for each variable, but got {value!r}."
        )
    found = tuple(array.astype("float64").reshape(-1).tolist())
    for scalar in found:
        if not math.isfinite(scalar):
            raise ValueError(
                f"{name} of {owner} must be finite, but got {scalar}. Are there gaps (NaN) in the "
                "data it was computed from? Fill them or leave them out."
            )
        if name == "scale" and scalar <= 0:
            raise ValueError(
                f"scale of {owner} must be above 0, but got {scalar}. Data that never change have "
                "no scale, and nothing to be learned: leave such a variable out."
            )
    return found if array.ndim else found[0]
