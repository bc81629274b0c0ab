"""The lecture's posterior figure: known values of a sequence, and the distribution of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kerasar.arguments import checks_arguments
from kerasar.pictures.palette import BLUE, FAINT, ORANGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@checks_arguments
def posterior_figure(
    x: Any, known: Any, positions: Any, logits: Any, heading: str | None = None
) -> Figure:
    """Draws a row for each sequence: its values, and next to them the distribution of one of them.

    Known values are blue dots, hidden ones gray circles; the predicted value is
    ringed. The bars on the right share the axis of values and show the probability of each.

    Args:
        x: integers, `(n, time)`; flatten images in raster order.
        known: Boolean, `(n, time)`, True where the value was given.
        positions: `n` integers, or one for all: the index of the predicted value.
        logits: the result of `model.conditional`, `(n, levels)`.
        heading: text above the rows.

    Returns:
        A figure, for `save` or a notebook.

    Raises:
        ValueError: if the shapes do not agree, or a position is outside of the sequence.
    """
    from matplotlib.figure import Figure

    x, known, logits = np.asarray(x), np.asarray(known), np.asarray(logits, "float64")
    if x.ndim != 2 or known.shape != x.shape or logits.ndim != 2 or len(logits) != len(x):
        raise ValueError(
            "x and known must have the shape (n, time) and logits (n, levels), but theirs are "
            f"{x.shape}, {known.shape} and {logits.shape}. Pass the arguments and the result of "
            "model.conditional, images flattened."
        )
    positions = np.broadcast_to(positions, len(x))
    if positions.min() < 0 or positions.max() >= x.shape[1]:
        raise ValueError(
            f"positions must be in [0, {x.shape[1]}), but they are {positions.tolist()}."
        )
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)

    levels = logits.shape[1]
    figure = Figure(figsize=(8, 1.9 * len(x) + 0.6), layout="constrained")
    rows = figure.subplots(len(x), 2, sharey=True, squeeze=False, width_ratios=(3, 1))
    for (left, right), row, given, position, share in zip(
        rows, x, known, positions, shares, strict=True
    ):
        time = np.arange(len(row))
        left.plot(time[~given], row[~given], "o", color=FAINT, fillstyle="none", markersize=4)
        left.plot(time[given], row[given], "o", color=BLUE, markersize=4)
        left.plot(position, row[position], "o", color=ORANGE, fillstyle="none", markersize=9)
        left.axvline(position, color=ORANGE, linewidth=0.6)
        left.set_xlim(-1, len(row))
        left.set_ylim(-1, levels)
        right.barh(np.arange(levels), share, height=1.0, color=ORANGE)
        right.set_xlim(0, 1.05 * share.max())
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
    rows[-1][0].set_xlabel("position")
    rows[-1][1].set_xlabel("probability")
    figure.supylabel("value", fontsize=10)
    if heading:
        figure.suptitle(heading, fontsize=11)
    return figure
