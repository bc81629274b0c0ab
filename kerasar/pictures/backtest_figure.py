"""The picture of a backtest: how often bands held, and some forecasts beside what came."""

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

#: How many forecasts are shown, and the bands of the curve.
_SHOWN, _BANDS = 3, tuple(round(0.05 * i, 2) for i in range(1, 20))


@checks_arguments
def backtest_figure(
    series: Any,
    origins: Sequence[int],
    paths: Any,
    actual: Any,
    heading: str | None = None,
    names: Sequence[str] | None = None,
) -> Figure:
    """Draws the calibration of forecasts, and some of them.

    Args:
        series: the first variable of a series, `(steps,)`; or a list of such, of each forecast.
        origins: how many steps of it were known to each forecast.
        paths: `(origins, num_paths, steps)`.
        actual: `(origins, steps)`; NaN where nothing is known.
        heading: text above the picture.
        names: of the series of each forecast, where there are several.

    Returns:
        A figure, for `save` or a notebook. The curve shows how many values lay in bands of each
        probability: on the diagonal bands hold, below it they are too narrow.

    Raises:
        ValueError: if the shapes do not fit together.
    """
    from matplotlib.figure import Figure

    actual, paths = check_kind(actual, "actual"), check_values(paths, "paths", 3)
    each = series if isinstance(series, list) else [series] * len(paths)
    if actual.shape != (len(paths), paths.shape[2]) or len(origins) != len(paths):
        raise ValueError(
            "A backtest has paths (origins, num_paths, steps), what came (origins, steps) and an "
            f"origin for each, but got {paths.shape}, {actual.shape} and {len(origins)} origins."
        )
    figure = Figure(figsize=(11.0, 3.4), layout="constrained")
    left, *others = figure.subplots(
        1, 1 + min(_SHOWN, len(paths)), width_ratios=[1.2] + [1.0] * min(_SHOWN, len(paths))
    )
    low = quantiles(np.moveaxis(paths, 1, 0), [0.5 - band / 2 for band in _BANDS])
    high = quantiles(np.moveaxis(paths, 1, 0), [0.5 + band / 2 for band in _BANDS])
    seen = np.isfinite(actual)
    held = [((a <= actual) & (actual <= b))[seen].mean() for a, b in zip(low, high, strict=True)]
    left.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
    left.plot(_BANDS, held, color=BLUE, linewidth=1.8, marker=".")
    left.set(xlabel="probability of the band", ylabel="values inside", xlim=(0, 1), ylim=(0, 1))
    chosen = np.unique(np.linspace(0, len(paths) - 1, _SHOWN).astype(int))
    for axes, i in zip(others, chosen, strict=False):
        origin, steps = origins[i], paths.shape[2]
        past = check_kind(each[i], "series")[max(origin - 2 * steps, 0) : origin]
        ahead = np.arange(origin, origin + steps)
        for order, band in enumerate((0.9, 0.5)):
            edges = quantiles(paths[i], [0.5 - band / 2, 0.5 + band / 2])
            shade = 0.2 + 0.15 * order
            axes.fill_between(ahead, *edges, color=BLUE, alpha=shade, linewidth=0)
        plot_series(axes, np.arange(origin - len(past), origin), past, color=INK, linewidth=1.0)
        axes.plot(ahead, actual[i], ".-", color=ORANGE, linewidth=1.2, markersize=4)
        axes.set_xlabel(f"step (origin {origin})")
        if names is not None:
            axes.set_title(names[i], fontsize=9)
    for axes in (left, *others):
        axes.spines[["top", "right"]].set_visible(False)
    if heading:
        figure.suptitle(heading, fontsize=11)
    return figure
