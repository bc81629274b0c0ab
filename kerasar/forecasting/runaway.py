"""Paths that leave the world: an error that says which, or a clip to what is still possible.

What a model draws feeds back into it. Where that happens outside of all that it was trained on, a
path may grow without bounds, and quantiles of such paths say nothing.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: How much wider than the range of the data that of paths may be.
_TIMES = 10
#: A series of a panel is often short: by how much its range is taken wider, and at least, as a part
#: of its values.
_WIDER, _LEAST_RANGE = 3.0, 0.1
#: How many scales on both sides of the mean data have at least.
_USUAL = 2


class Limits(NamedTuple):
    """The range of the data of each variable, `(variables,)`, and what paths may use of it."""

    low: NDArray[Any]
    high: NDArray[Any]

    @classmethod
    def of(cls, likelihood: Any, *data: NDArray[Any]) -> "Limits":
        """The limits from a model's units, and the data that are known, `(steps, variables)`."""
        variables = data[0].shape[1]
        known = np.concatenate([part.astype("float64") for part in data if len(part)])
        if getattr(likelihood, "own_scale", False):  # others say nothing of this one
            return cls.of_series(known)
        mean = np.broadcast_to(np.asarray(likelihood.mean, "float64"), variables)
        spread = np.broadcast_to(_USUAL * np.asarray(likelihood.scale, "float64"), variables)
        return cls(
            np.fmin(np.nanmin(known, axis=0, initial=np.inf), mean - spread),
            np.fmax(np.nanmax(known, axis=0, initial=-np.inf), mean + spread),
        )

    @classmethod
    def of_series(cls, known: NDArray[Any]) -> "Limits":
        """The limits of a series from itself alone, `(steps, variables)`."""
        low, high = np.nanmin(known, axis=0), np.nanmax(known, axis=0)
        # A series that has not moved yet may move by its own size.
        least = np.maximum(_LEAST_RANGE * np.maximum(np.abs(low), np.abs(high)), 1e-30)
        middle, half = (low + high) / 2, np.maximum(high - low, least) / 2
        return cls(middle - _WIDER * half, middle + _WIDER * half)

    @property
    def bounds(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The smallest and largest value of a path: a range ten times as wide, about its middle."""
        beyond = (_TIMES - 1) / 2 * (self.high - self.low)
        return self.low - beyond, self.high + beyond


def keep_within(
    paths: NDArray[Any], limits: Limits, columns: Sequence[str], on_runaway: str, name: str
) -> tuple[NDArray[Any], int]:
    """The paths, `(num_paths, steps, variables)`, and how many had to be clipped.

    A clipped path stays at the bound that it crosses for as long as it is beyond; a value that is
    no number is that before it.

    Raises:
        FloatingPointError: if a path leaves the bounds, unless `on_runaway` is "clip".
    """
    low, high = limits.bounds
    with np.errstate(invalid="ignore"):
        beyond = ~((paths >= low) & (paths <= high))  # true for NaN
    if not beyond.any():
        return paths, 0
    gone = int(beyond.any(axis=(1, 2)).sum())
    if on_runaway != "clip":
        raise FloatingPointError(_message(paths, beyond, limits, columns, gone, name))
    clipped = np.clip(paths, low.astype(paths.dtype), high.astype(paths.dtype))
    middle = ((low + high) / 2).astype(paths.dtype)
    before = np.broadcast_to(middle, clipped[:, 0].shape)
    for step in range(clipped.shape[1]):
        before = clipped[:, step] = np.where(np.isnan(clipped[:, step]), before, clipped[:, step])
    return clipped, gone


def _message(
    paths: NDArray[Any],
    beyond: NDArray[Any],
    limits: Limits,
    columns: Sequence[str],
    gone: int,
    name: str,
) -> str:
    step = int(np.argmax(beyond.any(axis=(0, 2))))
    path, variable = (int(i) for i in np.argwhere(beyond[:, step])[0])
    low, high = float(limits.low[variable]), float(limits.high[variable])
    return (
        f"{gone:,} of {len(paths):,} paths of model '{name}' leave {_TIMES} times the range of the "
        f"data, or are not finite: the first at step {step + 1}, where '{columns[variable]}' is "
        f"{paths[path, step, variable]:g} in path {path + 1}, and that range is taken as {low:g} "
        f"to {high:g}. The model has learned too little of what it is asked here: train it longer, "
        "on more data or relative to the series' own level, or ask for fewer steps. "
        'on_runaway="clip" holds such paths at the ends of that range.'
    )
