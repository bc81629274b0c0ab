"""A sheet: a mosaic of images with a heading, titles, and labels for rows and columns.

Every image pixel becomes a square of picture pixels, so nothing is blurred.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kerasar.pictures.palette import FAINT, INK
from kerasar.pictures.pixels import Colors, enlarge, factor_for, mosaic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 100
_MARGIN = 14  # all sizes in pixels of the picture
_LINE = 18
_LETTER = 7.5  # generous width of an average letter at the labels' size


def draw_sheet(
    cells: Colors,
    columns: int,
    heading: str | None = None,
    titles: Sequence[str] | None = None,
    column_labels: Sequence[str] = (),
    row_labels: Sequence[str] = (),
    cell_size: int = 96,
    gap: int = 6,
    note: str | None = None,
) -> Figure:
    """Draws colored cells in rows.

    Args:
        cells: uint8, `(n, height, width, 3)`.
        columns: cells in a row.
        heading: a line, or several, above the cells.
        titles: a line above each cell.
        column_labels: a line above each column.
        row_labels: text left of each row; may have several lines.
        cell_size: approximate size of a cell's longer side, in pixels of the picture.
        gap: white pixels between cells.
        note: a line below the cells.
    """
    from matplotlib.figure import Figure

    factor = factor_for(cells.shape[1], cells.shape[2], cell_size)
    cells = enlarge(cells, factor)
    height, width = cells.shape[1:3]
    count, rows = len(cells), -(-len(cells) // columns)

    title_height = _LINE if titles else 0
    head = (heading.count("\n") + 1) * (_LINE + 2) + 4 if heading else 0
    top = _MARGIN + head + (_LINE if column_labels else 0)
    letters = max((len(line) for label in row_labels for line in label.split("\n")), default=0)
    left = _MARGIN + (int(letters * _LETTER) + 6 if row_labels else 0)

    body_width = columns * (width + gap) - gap
    body_height = rows * (height + gap + title_height) - gap
    longest = max(len(line) for line in f"{heading or ''}\n{note or ''}".split("\n"))
    total_width = max(left + body_width, _MARGIN + int(longest * 8.2)) + _MARGIN
    total_height = top + body_height + (_LINE if note else 0) + _MARGIN

    figure = Figure(figsize=(total_width / _DPI, total_height / _DPI), dpi=_DPI)
    figure.patch.set_facecolor("white")

    def write(x: float, y: float, text: str, size: float, **options: Any) -> None:
        """Writes text at a distance in pixels from the top left."""
        look = {"color": INK, "ha": "center", "va": "center", **options}
        figure.text(x / total_width, 1 - y / total_height, text, fontsize=size, **look)

    def place(picture: Colors, x: int, y: int) -> None:
        axes = figure.add_axes(
            (
                x / total_width,
                1 - (y + picture.shape[0]) / total_height,
                picture.shape[1] / total_width,
                picture.shape[0] / total_height,
            )
        )
        axes.imshow(picture, interpolation="nearest", aspect="auto")
        axes.set_axis_off()

    if heading:
        write(_MARGIN, _MARGIN - 2, heading, 10.5, ha="left", va="top")
    if note:
        write(left, top + body_height + _LINE - 4, note, 9.5, ha="left", color=FAINT)
    for i, label in enumerate(column_labels):
        write(left + i * (width + gap) + width / 2, top - _LINE / 2 - 1, label, 9.5, color=FAINT)
    for row in range(rows):
        y = top + row * (height + gap + title_height) + title_height
        # One image for each row instead of each cell: axes cost most of the time.
        place(mosaic(cells[row * columns : (row + 1) * columns], columns, gap), left, y)
        if row < len(row_labels):
            write(left - 8, y + height / 2, row_labels[row], 9.5, ha="right", color=FAINT)
    for i in range(count if titles else 0):
        x = left + i % columns * (width + gap) + width / 2
        y = top + i // columns * (height + gap + title_height) + title_height / 2
        write(x, y, list(titles or ())[i], 8.5, color=FAINT)
    return figure
