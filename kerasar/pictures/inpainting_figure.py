"""In-painting: mask, given and completed images next to each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasar.arguments import checks_arguments
from kerasar.checks import check_kind, check_numbers
from kerasar.pictures.pixels import to_rgb
from kerasar.pictures.sheet import draw_sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Color of hidden pixels, which differs from all gray levels.
HIDDEN = (86, 120, 176)
_SHOWN = (232, 232, 232)


@checks_arguments
def inpainting_figure(
    known: Any,
    given: Any,
    completed: Any,
    levels: int,
    original: Any = None,
    row_labels: Sequence[str] = (),
    heading: str | None = None,
) -> Figure:
    """Draws a row for each example: mask, given, completed (one or several), and the original.

    Args:
        known: Boolean, `(n, height, width, channels)`, True where the value was given.
        given: images of that shape; unknown values are not shown.
        completed: the result of `model.inpaint`, `(n, height, width, channels)` or
            `(n, num_completions, height, width, channels)`.
        levels: int. Number of values of a channel.
        original: the complete images, for a last column.
        row_labels: a text for each row.
        heading: text above the grid.

    Returns:
        A figure, for `save` or a notebook.

    Raises:
        TypeError: if `known` is not Boolean.
        ValueError: if the shapes do not agree, or values are outside of `[0, levels)`.
    """
    known, given, completed = (
        check_kind(part, name)
        for part, name in ((known, "known"), (given, "given"), (completed, "completed"))
    )
    if known.dtype != bool:
        raise TypeError(
            "known must be Boolean, True where the value was given, but its dtype is "
            f"{known.dtype}. Write known = mask > 0, for example."
        )
    if completed.ndim == given.ndim > 0:
        completed = completed[:, np.newaxis]
    shapes = [known.shape, given.shape, completed.shape[:1] + completed.shape[2:]]
    if given.ndim != 4 or len(set(shapes)) > 1:
        raise ValueError(
            "known, given and completed must be images of one shape, (n, height, width, channels), "
            f"but theirs are {', '.join(map(str, shapes))}. Pass the arguments and the result of "
            "model.inpaint."
        )
    seen = known.all(axis=-1, keepdims=True)
    columns = [
        np.where(seen, _SHOWN, HIDDEN).astype(np.uint8),
        np.where(seen, to_rgb(np.where(known, given, 0), levels, "given"), HIDDEN).astype(np.uint8),
    ]
    labels = ["mask", "given"]
    count = completed.shape[1]
    for i in range(count):
        columns.append(to_rgb(completed[:, i], levels, "completed"))
        labels.append("completed" if count == 1 else f"completed {i + 1}")
    if original is not None:
        columns.append(to_rgb(check_numbers(original, given.shape[1:], "original"), levels))
        labels.append("original")

    cells = np.stack(columns, axis=1)
    return draw_sheet(
        cells.reshape(-1, *cells.shape[2:]),
        columns=len(columns),
        heading=heading,
        column_labels=labels,
        row_labels=row_labels,
    )
