"""The units of real data, for `GaussianMixture` and `Standardize`."""

from typing import Any

import numpy as np

from kerasar.arguments import checks_arguments
from kerasar.checks import check_kind


@checks_arguments
def mean_and_scale(x: Any, per_variable: bool = False) -> tuple[Any, Any]:
    """Computes mean and standard deviation of real data, for the config of a model.

    Args:
        x: real values of any shape.
        per_variable: whether the last axis holds variables with units of their own.

    Returns:
        Two floats; or two tuples with a float for each variable.

    Raises:
        ValueError: if `x` is empty or not finite, or all its values (of one variable) are the same.
    """
    array = check_kind(x, "x").astype("float64")
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(
            "Mean and scale need finite values, and at least one, but x is "
            f"{'empty' if array.size == 0 else 'not finite (NaN or infinity)'}. Fix the data."
        )
    columns = array.reshape(-1, array.shape[-1] if per_variable else 1)
    mean, scale = columns.mean(axis=0), columns.std(axis=0)
    constant = columns.min(axis=0) == columns.max(axis=0)
    if constant.any():
        which = int(constant.argmax())
        name = f"variable {which} of x" if per_variable else "x"
        raise ValueError(
            f"Real data need some spread, but {name} is {columns[0, which]:g} throughout, so its "
            "scale is 0. There is nothing to learn from a series that never changes: leave it out."
        )
    if not per_variable:
        return float(mean[0]), float(scale[0])
    return tuple(mean.tolist()), tuple(scale.tolist())
