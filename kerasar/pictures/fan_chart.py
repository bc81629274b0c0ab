"""The fan chart of a forecast: the past as a line, the future as bands of probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasar.arguments import checks_arguments
from kerasar.checks import check_kind, check_values
from kerasar.pictures.palette import BLUE, INK, ORANGE
from kerasar.pictures.series_line import plot_series
from kerasar.statistics import quantiles

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@checks_arguments
def fan_chart(
    past: Any,
    paths: Any,
    actual: Any = None,
    bands: Sequence[float] = (0.5, 0.9),
    columns: Sequence[str] | None = None,
    heading: str | None = None,
) -> Figure:
    """Draws a series, bands that contain its future with given probabilities, and the median.

    Args:
        past: the known values to show, `(steps,)` or `(steps, variables)`.
        paths: possible futures, `(num_paths, steps)` or `(num_paths, steps, variables)`.
        actual: the real future, `(steps,)` or `(steps, variables)`, if it is known; NaN where
            a value is missing.
        bands: the probability of each band, between 0 and 1.
        columns: the name of each variable; each has its own axes.
        heading: text above the picture.

    Returns:
        A figure, for `save` or a notebook.

    Raises:
        ValueError: if the shapes do not fit together, there are no paths, or a band is not a
            probability.
    """
    from matplotlib.figure import Figure

    past = check_kind(past, "past").astype("float64")
    paths = check_values(paths, "paths").astype("float64")
    if paths.ndim not in (2, 3) or past.ndim == 0 or past.shape[1:] != paths.shape[2:]:
        raise ValueError(
            "A fan chart takes a past (steps, …) and paths (num_paths, steps, …) of the same "
            f"variables, but their shapes are {past.shape} and {paths.shape}."
        )
    if actual is not None:
        actual = check_kind(actual, "actual").astype("float64")
    if actual is not None and np.shape(actual) != paths.shape[1:]:
        raise ValueError(
            f"actual must be one path, of shape {paths.shape[1:]}, but its shape is "
            f"{np.shape(actual)}."
        )
    for band in bands:
        if not 0 < band < 1:
            raise ValueError(f"bands must be between 0 and 1, but one of them is {band}.")

    variables = paths.shape[2] if paths.ndim == 3 else 1
    names = list(columns or [""] * variables)
    if len(names) != variables:
        raise ValueError(f"columns must name each of {variables} variables, but is {names}.")
    past = past.reshape(len(past), variables)
    paths = paths.reshape(*paths.shape[:2], variables)
    truth = None if actual is None else np.asarray(actual, "float64").reshape(-1, variables)

    figure = Figure(figsize=(8.0, 0.9 + 2.4 * variables), layout="constrained")
    for i, name in enumerate(names):
        axes = figure.add_subplot(variables, 1, i + 1)
        _draw(axes, past[:, i], paths[..., i], None if truth is None else truth[:, i], bands)
        axes.set_ylabel(name or "value")
    axes.set_xlabel("steps from the last known one")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    if heading:
        figure.suptitle(heading, fontsize=11)
    return figure


def _draw(axes: Any, past: Any, paths: Any, truth: Any, bands: Sequence[float]) -> None:
    """Draws one variable: `past` and `truth` `(steps,)`, `paths` `(num_paths, steps)`."""
    ahead = np.arange(1, paths.shape[1] + 1)
    here = past[-1:]  # the fan starts at the last known step, if there is one
    steps = np.append(0, ahead) if len(here) else ahead
    for order, band in enumerate(sorted(bands, reverse=True)):
        low, high = quantiles(paths, [(1 - band) / 2, (1 + band) / 2])
        axes.fill_between(
            steps,
            np.append(here, low),
            np.append(here, high),
            color=BLUE,
            alpha=0.2 + 0.15 * order,  # different in the legend, too
            linewidth=0,
            label=f"{band:.0%}",
        )
    median = np.append(here, quantiles(paths, [0.5])[0])
    axes.plot(steps, median, color=BLUE, linewidth=1.5, label="median")
    plot_series(axes, np.arange(1 - len(past), 1), past, color=INK, linewidth=1.2, label="past")
    if truth is not None:
        actual = np.append(here, truth)
        axes.plot(steps, actual, ".-", color=ORANGE, linewidth=1.0, markersize=4, label="actual")
    axes.margins(x=0.01)
    axes.spines[["top", "right"]].set_visible(False)
