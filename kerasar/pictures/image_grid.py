"""A labeled grid of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.pictures.pixels import to_rgb
from kerasar.pictures.sheet import draw_sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@checks_arguments
def image_grid(
    images: Any,
    levels: int,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    heading: str | None = None,
    row_labels: Sequence[str] | None = None,
) -> Figure:
    """Draws images in rows: level 0 black, the highest white.

    Args:
        images: integers in `[0, levels)`, `(n, height, width, channels)`; gray or RGB.
        levels: int. Number of values of a channel.
        titles: a short text above each image.
        columns: int. Images in a row; by default the grid is about square.
        heading: text above the grid.
        row_labels: text to the left of each row.

    Returns:
        A figure, for `save` or a notebook.

    Raises:
        ValueError: if the images do not fit `levels`, or titles, columns or row labels do not fit.

    Example:
        >>> import kerasar, kerasar.pictures
        >>> (images, labels), _ = kerasar.data.load_digits()
        >>> figure = kerasar.pictures.image_grid(images[:8], 17, titles=[str(n) for n in range(8)])
    """
    cells = to_rgb(images, levels)
    check_labels("titles", titles, len(cells), "images")
    if columns is None:
        columns = math.ceil(math.sqrt(len(cells)))
    check_count(columns, "columns")
    columns = min(columns, len(cells))
    rows = -(-len(cells) // columns)
    check_labels("row_labels", row_labels, rows, "rows")
    return draw_sheet(cells, columns, heading, titles, row_labels=row_labels or ())


def check_labels(name: str, labels: Sequence[str] | None, count: int, of: str) -> None:
    """Raises a ValueError if there are labels, but not one for each."""
    if labels is not None and len(labels) != count:
        raise ValueError(
            f"There must be one of {name} for each of the {count} {of}, but there are "
            f"{len(labels)}. Leave {name} out for none."
        )
