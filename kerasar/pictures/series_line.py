"""The line of a series: values between missing ones, which no line joins, are points."""

from typing import Any

import numpy as np


def plot_series(axes: Any, steps: Any, values: Any, **style: Any) -> None:
    """Draws values `(steps,)` as a line on axes of matplotlib; NaN is missing.

    Args:
        axes: of matplotlib.
        steps: where each value is.
        values: the series.
        **style: as for `axes.plot`.
    """
    seen = np.pad(np.isfinite(values), 1)
    alone = np.flatnonzero(seen[1:-1] & ~seen[:-2] & ~seen[2:])
    axes.plot(steps, values, marker=".", markevery=alone.tolist(), **style)
