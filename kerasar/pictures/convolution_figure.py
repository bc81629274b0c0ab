"""Two pictures of one network: for one window "in theory", and for all time steps "in practice"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from kerasar.arguments import checks_arguments

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLORS = ("#7ba6d6", "#f58518", "#6cc062", "#ef7d7c", "#72b7b2", "#c793b8", "#b8927b", "#bab0ac")
_DATA, _ARROW = "#333333", "#777777"
#: (stream, shift), and where it is drawn, (x, row).
_Entry = tuple[int, int]
_Spot = tuple[int, int]
#: The largest number of steps that can be distinguished in the picture.
_STEPS = 64
#: Boxes of a longer window are too narrow for a number.
_NUMBERED = 24


class DrawnReport(Protocol):
    """A `kerasar.convolutionalize.ConvolutionReport`."""

    @property
    def window(self) -> int: ...
    @property
    def layers(self) -> Any: ...
    @property
    def reads(self) -> Any: ...
    @property
    def columns(self) -> Any: ...
    @property
    def streams(self) -> Any: ...


@checks_arguments
def convolution_figure(report: DrawnReport, heading: str | None = None) -> Figure:
    """Draws what `kerasar.convolutionalize` does: boxes for values, arrows from their inputs.

    On the left is the window model, with a row for each layer: all columns that one prediction
    takes, in one color and with one number for each stream. On the right is the network in
    practice, with a row for each stream: each value is computed once, for all time steps; those of
    the last prediction are filled.

    Args:
        report: of `kerasar.convolution_report`. Of a long window the last 64 steps are drawn.
        heading: text above the pictures.

    Returns:
        A figure, for `save` or a notebook.
    """
    from matplotlib.figure import Figure

    steps = min(report.window, _STEPS)
    rows_of_columns = [tuple((0, shift) for shift in reversed(range(report.window)))]
    rows_of_columns += [layer.reads for layer in report.layers]
    columns: dict[_Entry, _Spot] = {}
    values: dict[int, dict[_Entry, _Spot]] = {}
    for row, entries in enumerate(rows_of_columns):
        apart = max(1, report.window // max(len(entries), 1))
        for i, (stream, shift) in enumerate(entries):
            x = -(len(entries) - 1 - i) * apart
            if stream in report.reads:
                if x > -steps:
                    columns.setdefault((stream, shift), (x, row))
                if shift < steps:
                    values.setdefault(stream, {})[stream, shift] = (-shift, 0)
    order = [stream for stream in report.reads if stream in values]
    colors = {stream: _COLORS[i % len(_COLORS)] for i, stream in enumerate(order[1:])}
    colors[0] = _DATA
    numbers = {stream: str(i) for i, stream in enumerate(order) if i}
    names = ["data", *(layer.name for layer in report.layers)]

    wide = max(3.6, 0.17 * steps)
    tall = max(2.4, 0.42 * max(len(names), 0.6 * len(order)))
    figure = Figure(figsize=(2 * wide + 1.6, tall + 1.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw(left, columns, report.reads, colors)
    _number(left, columns, numbers, steps)
    _label(left, names, steps, f"in theory: {report.columns:,} columns for each prediction")

    boxes = {}
    for row, stream in enumerate(order):
        boxes.update({entry: (x, row) for entry, (x, _) in values[stream].items()})
        for shift in range(steps):
            if (stream, shift) not in boxes:
                _box(right, (-shift, row), "none", colors[stream])
    _draw(right, boxes, report.reads, colors)
    _number(right, boxes, numbers, steps)
    made_by: dict[int, str] = {}
    for (stream, _), (_, row) in columns.items():
        made_by.setdefault(stream, names[row])
    count = f"{report.streams:,} value" + ("s" if report.streams != 1 else "")
    labels = [
        f"{numbers[stream]}: {made_by.get(stream, '')}" if stream else "data" for stream in order
    ]
    _label(right, labels, steps, f"in practice: {count} at each step")
    if heading:
        figure.suptitle(heading, fontsize=11)
    return figure


def _draw(
    axes: Any, spots: dict[_Entry, _Spot], reads: dict[int, Any], colors: dict[int, str]
) -> None:
    """Filled boxes, and an arrow from each value that they read."""
    from matplotlib.collections import LineCollection

    lines = []
    for (stream, shift), spot in spots.items():
        _box(axes, spot, colors[stream], colors[stream])
        for source, lag in reads[stream]:
            below = spots.get((source, shift + lag))
            if below is not None:
                lines.append([(below[0], below[1] + 0.3), (spot[0], spot[1] - 0.3)])
    axes.add_collection(LineCollection(lines, colors=_ARROW, linewidths=0.6, zorder=1))
    if lines:
        tips = zip(*(tip for _, tip in lines), strict=True)
        axes.scatter(*tips, marker="^", s=6, color=_ARROW, zorder=2)


def _number(axes: Any, spots: dict[_Entry, _Spot], numbers: dict[int, str], steps: int) -> None:
    """Says by a number, too, which boxes are of one stream: colors are few, and gray in print."""
    if steps > _NUMBERED:
        return
    for (stream, _), spot in spots.items():
        look: dict[str, Any] = dict(fontsize=7, color="black", ha="center", va="center", zorder=4)
        if stream in numbers:
            axes.text(*spot, numbers[stream], **look)


def _box(axes: Any, spot: _Spot, face: str, edge: str) -> None:
    from matplotlib.patches import Rectangle

    corner = (spot[0] - 0.3, spot[1] - 0.3)
    axes.add_patch(Rectangle(corner, 0.6, 0.6, facecolor=face, edgecolor=edge, lw=0.7, zorder=3))


def _label(axes: Any, names: list[str], steps: int, title: str) -> None:
    axes.set_xlim(0.7 - steps, 0.7)
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_xlabel("steps before the prediction", fontsize=8)
    axes.tick_params(length=0, labelsize=7)
    axes.set_title(title, fontsize=9)
    axes.spines[:].set_visible(False)
