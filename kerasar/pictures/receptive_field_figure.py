"""The figure of the PixelCNN papers: which pixels a prediction sees, and which it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from kerasar.arguments import checks_arguments
from kerasar.pictures.palette import BLUE, ORANGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SELF, _LATER = "#111111", "#eeeeee"
_HATCH = "////"


class DrawnField(Protocol):
    """A `kerasar.causality.ReceptiveField`."""

    @property
    def offsets(self) -> Any: ...
    @property
    def blind_spot(self) -> Any: ...


@checks_arguments
def receptive_field_figure(field: DrawnField, heading: str | None = None) -> Figure:
    """Draws a receptive field, with the predicted position in black and blind spots hatched.

    Args:
        field: a `kerasar.causality.ReceptiveField`.
        heading: text above the picture.

    Returns:
        A figure, for `save` or a notebook.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch, Rectangle
    from matplotlib.ticker import MaxNLocator

    marks = {**dict.fromkeys(field.offsets, BLUE), **dict.fromkeys(field.blind_spot, ORANGE)}
    if marks and len(next(iter(marks))) == 1:
        marks = {(0, lag): color for (lag,), color in marks.items()}
    marks[0, 0] = _SELF
    rows = [row for row, _ in marks]
    columns = [column for _, column in marks]
    top, bottom, left, right = min(rows), max(rows), min(columns), max(columns)
    wide, tall = right - left + 1, bottom - top + 1
    cell = min(0.35, 9.0 / wide)
    figure = Figure(figsize=(max(4.5, wide * cell + 0.8), tall * cell + 1.5), layout="constrained")
    axes = figure.add_subplot()
    line = 1.0 if wide <= 64 else 0.0
    for row in range(top, bottom + 1):
        for column in range(left, right + 1):
            color = marks.get((row, column), _LATER)
            box = Rectangle(
                (column - 0.5, row - 0.5), 1, 1, facecolor=color, edgecolor="white", linewidth=line
            )
            if color == ORANGE:
                box.set_hatch(_HATCH)
            axes.add_patch(box)
    axes.set_xlim(left - 0.5, right + 0.5)
    axes.set_ylim(bottom + 0.5, top - 0.5)
    axes.set_aspect("equal" if tall > 1 else "auto")
    axes.set_xlabel("columns from the pixel" if tall > 1 else "steps from the present")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_yticks(range(top, bottom + 1) if tall > 1 else [])
    if tall > 1:
        axes.set_ylabel("rows from the pixel")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    seen, blind = len(field.offsets), len(field.blind_spot)
    entries = [Patch(color=_SELF, label="predicted"), Patch(color=BLUE, label=f"seen ({seen})")]
    if blind:
        look: dict[str, Any] = dict(facecolor=ORANGE, edgecolor="white", hatch=_HATCH)
        entries.append(Patch(**look, label=f"blind spot ({blind})"))
    figure.legend(handles=entries, loc="outside lower center", ncols=3, frameon=False)
    if heading:
        axes.set_title(heading, fontsize=11)
    return figure
