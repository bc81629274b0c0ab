"""Draws the figure of docs/engine.md: rings at step t, and the rows of an image.

python docs/engine_figure.py
"""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

RING, ROW, PIXEL, DONE, OPEN = "#4c78a8", "#f2b701", "#e45756", "#d9e2ee", "#ffffff"


def box(axes: Any, x: float, y: float, color: str, text: str = "", width: float = 1.0) -> None:
    axes.add_patch(Rectangle((x, y), width, 1, facecolor=color, edgecolor="#404040", linewidth=0.8))
    axes.text(x + width / 2, y + 0.5, text, ha="center", va="center", fontsize=8)


def arrow(axes: Any, start: tuple[float, float], stop: tuple[float, float], color: str) -> None:
    style = dict(arrowstyle="-|>", mutation_scale=9, color=color, shrinkA=0, shrinkB=2)
    axes.add_patch(FancyArrowPatch(start, stop, connectionstyle="arc3,rad=0.12", **style))


def draw_rings(axes: Any) -> None:
    """A network of two convolutions at step t: what is read from rings, what is computed now."""
    axes.set_title("a sequence, step t", fontsize=10)
    for row, (name, color) in enumerate([("x", RING), ("conv 1", RING), ("conv 2", RING)]):
        y = 3.0 * row
        axes.text(-0.4, y + 0.5, name, ha="right", va="center", fontsize=9)
        for column, label in enumerate(["t-4", "t-3", "t-2", "t-1", "t"]):
            present = column == (3 if row == 0 else 4)
            held = row < 2 and column == (1 if row == 0 else 0) or (row, column) == (1, 2)
            box(axes, column, y, PIXEL if present else color if held else OPEN, label)
    arrow(axes, (1.5, 1.0), (4.4, 3.0), RING)
    arrow(axes, (3.5, 1.0), (4.5, 3.0), PIXEL)
    arrow(axes, (0.5, 4.0), (4.3, 6.0), RING)
    arrow(axes, (2.5, 4.0), (4.4, 6.0), RING)
    arrow(axes, (4.5, 4.0), (4.6, 6.0), PIXEL)
    note = "blue: read from a ring, red: at hand.\nLead of x: -1 (drawn one step ago)."
    axes.text(0, -1.6, note, fontsize=8, va="center")
    axes.set_xlim(-2.2, 5.4)
    axes.set_ylim(-2.6, 7.4)


def draw_rows(axes: Any) -> None:
    """An image: finished rows, the row being drawn, the pixel."""
    axes.set_title("an image, row y, column x", fontsize=10)
    for row in range(5):
        for column in range(7):
            done = row < 3 or (row == 3 and column < 3)
            here = (row, column) == (3, 3)
            color = PIXEL if here else ROW if row == 3 and column < 3 else DONE if done else OPEN
            box(axes, column, 4 - row, color)
    axes.text(7.3, 3.5, "finished rows:\ncomputed once a row", fontsize=8, va="center")
    note = "the row being drawn:\npixel by pixel, with\nrings along the columns"
    axes.text(7.3, 1.5, note, fontsize=8, va="center")
    for column in (2, 3, 4):
        arrow(axes, (column + 0.5, 2.3), (3.5, 1.9), RING)
    arrow(axes, (2.3, 1.5), (3.1, 1.5), "#8a6d00")
    axes.set_xlim(-0.3, 13.5)
    axes.set_ylim(-1.0, 6.0)


def main() -> None:
    figure = Figure(figsize=(9.5, 3.6), layout="constrained")
    for axes, draw in zip(figure.subplots(1, 2), (draw_rings, draw_rows), strict=True):
        draw(axes)
        axes.set_aspect("equal")
        axes.axis("off")
    figure.savefig(Path(__file__).parent / "images" / "engine.png", dpi=130)


if __name__ == "__main__":
    main()
