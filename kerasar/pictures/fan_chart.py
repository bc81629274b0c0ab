"""The fan chart of a forecast: the past as a line, the future as bands of probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasar.statistics import quantiles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INK, _FAN, _TRUTH = "#202020", "#4c78a8", "#e45756"


def fan_chart(
    past: Any,
    paths: Any,
    actual: Any = None,
    bands: Sequence[float] = (0.5, 0.9),
    columns: Sequence[str] | None = None,
    heading: str | None = None,
) -> Figure:
    """Draws a series, the bands in which its future lies with given probability, and the median.

    Args:
        past: what was known, `(steps,)` or `(steps, variables)`. Give as much as is to be seen.
        paths: possible futures, `(num, steps)` or `(num, steps, variables)`.
        actual: what came in fact, `(steps,)` or `(steps, variables)`, if that is known.
        bands: the probability of each band, between 0 and 1.
        columns: the name of each variable; each gets axes of its own.
        heading: text above the picture.

    Returns:
        A figure, for `save` or a notebook.

    Raises:
        ValueError: if the shapes do not fit together, there are no paths, or a band is no
            probability.
    """
    from matplotlib.figure import Figure

    past, paths = np.asarray(past, "float64"), np.asarray(paths, "float64")
    if paths.ndim not in (2, 3) or past.shape[1:] != paths.shape[2:] or 0 in paths.shape:
        raise ValueError(
            "A fan chart takes a past (steps, …) and paths (num, steps, …) of the same variables, "
            f"but their shapes are {past.shape} and {paths.shape}."
        )
    if actual is not None and np.shape(actual) != paths.shape[1:]:
        raise ValueError(
            f"actual must be one path, of shape {paths.shape[1:]}, but its shape is "
            f"{np.shape(actual)}."
        )
    for band in bands:
        if not 0 < band < 1:
            raise ValueError(f"bands must lie between 0 and 1, but one of them is {band}.")

    variables = paths.shape[2] if paths.ndim == 3 else 1
    names = list(columns or [""] * variables)
    if len(names) != variables:
        raise ValueError(f"columns must name each of {variables} variables, but is {names}.")
    past = past.reshape(len(past), variables)
    paths = paths.reshape(*paths.shape[:2], variables)
    truth = None if actual is None else np.asarray(actual, "float64").reshape(-1, variables)

    figure = Figure(figsize=(8.0, 0.9 + 2.4 * variables), layout="constrained")
    ahead = np.arange(1, paths.shape[1] + 1)
    for i, name in enumerate(names):
        axes = figure.add_subplot(variables, 1, i + 1)
        # The last known step joins the fan to the past.
        here, known = past[-1:, i], np.arange(1 - len(past), 1)
        joined = ahead if not len(here) else np.append(0, ahead)
        for place, band in enumerate(sorted(bands, reverse=True)):
            low, high = quantiles(paths[..., i], [(1 - band) / 2, (1 + band) / 2])
            axes.fill_between(
                joined,
                np.append(here, low),
                np.append(here, high),
                color=_FAN,
                alpha=0.2 + 0.15 * place,  # so that the legend, too, tells them apart
                linewidth=0,
                label=f"{band:.0%}",
            )
        middle = np.append(here, quantiles(paths[..., i], [0.5])[0])
        axes.plot(joined, middle, color=_FAN, linewidth=1.5, label="median")
        axes.plot(known, past[:, i], color=_INK, linewidth=1.2, label="past")
        if truth is not None:
            axes.plot(joined, np.append(here, truth[:, i]), color=_TRUTH, linewidth=1.0,
                      label="actual")  # fmt: skip
        axes.set_ylabel(name)
        axes.margins(x=0.01)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    axes.set_xlabel("steps from the last known one")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    if heading:
        figure.suptitle(heading, fontsize=11)
    return figure
