"""A grid of sequences: curves over time, or rolls if a step has several variables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasar.arguments import checks_arguments
from kerasar.checks import check_values
from kerasar.pictures.palette import BLUE, FAINT

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@checks_arguments
def sequence_grid(sequences: Any, real: Any = None, heading: str | None = None) -> Figure:
    """Draws each sequence in its own axes, all on one scale.

    Args:
        sequences: `(n, time)`, drawn as curves, or `(n, time, variables)`, drawn as rolls: time
            to the right, variables upwards.
        real: sequences to compare with, of the same kind; they follow in gray.
        heading: text above the picture.

    Returns:
        A figure, for `save` or a notebook.

    Raises:
        ValueError: if `sequences` or `real` have another rank, or there are none.
    """
    from matplotlib.figure import Figure

    drawn = _checked(sequences, "sequences")
    compared = [] if real is None else list(_checked(real, "real", drawn.ndim))
    cells = [(x, BLUE, "Blues") for x in drawn] + [(x, FAINT, "Greys") for x in compared]
    columns = min(8, max(1, math.ceil(math.sqrt(2 * len(cells)))))
    rows = math.ceil(len(cells) / columns)
    lowest = min(float(x.min()) for x, _, _ in cells)
    highest = max(float(x.max()) for x, _, _ in cells)
    room = 0.05 * (highest - lowest) or 0.5

    figure = Figure(
        figsize=(max(1.6 * columns, 0.08 * len(heading or "")), 1.2 * rows + 0.5),
        layout="constrained",
    )
    for i, (x, color, shades) in enumerate(cells):
        axes = figure.add_subplot(rows, columns, i + 1)
        if x.ndim == 1:
            axes.plot(x, color=color, linewidth=1.0)
            axes.set_ylim(lowest - room, highest + room)
        else:
            axes.imshow(x.T, aspect="auto", origin="lower", cmap=shades, vmin=lowest, vmax=highest)
        axes.tick_params(labelsize=6, length=2)
        if i % columns:
            axes.set_yticklabels([])
        if i < len(cells) - columns:
            axes.set_xticklabels([])
    figure.supxlabel("step", fontsize=9)
    figure.supylabel("value" if drawn.ndim == 2 else "variable", fontsize=9)
    if heading:
        figure.suptitle(heading, fontsize=10)
    return figure


def _checked(sequences: Any, name: str, rank: int | None = None) -> np.ndarray[Any, Any]:
    array = check_values(sequences, name)
    if array.ndim not in (2, 3) or (rank is not None and array.ndim != rank):
        wanted = "(n, time) or (n, time, variables)" if rank is None else f"of rank {rank}"
        raise ValueError(f"{name} must be sequences, {wanted}, but the shape is {array.shape}.")
    return array
