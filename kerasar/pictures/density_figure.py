"""A density in the plane, next to samples from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count, check_numbers
from kerasar.pictures.drawn_flow import DrawnFlow
from kerasar.pictures.palette import DEEP

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Of a grid: more points than a screen has.
_FINEST = 10_000


@checks_arguments
def density_figure(
    model: DrawnFlow,
    data: Any = None,
    num_samples: int = 2000,
    seed: int = 0,
    resolution: int = 200,
    condition: Any = None,
    heading: str | None = None,
    samples: Any = None,
) -> Figure:
    """Draws the density of a model of points in the plane, its samples and, if given, data.

    Args:
        model: a `FlowModel` of event shape `(2,)`, of real numbers.
        data: points, `(n, 2)`, for a third panel.
        num_samples: int. Number of samples to draw, if none are given.
        seed: int. Seed of these samples.
        resolution: int. Points on each side of the grid on which the density is computed.
        condition: `(1, features)`, for a conditional model.
        heading: text above the panels.
        samples: points that the model has drawn already, `(n, 2)`.

    Returns:
        A figure, for `save` or a notebook.

    Raises:
        ValueError: for a model of other data.
    """
    from matplotlib.figure import Figure

    if model.data_shape != (2,) or not model.exact:
        raise ValueError(
            "density_figure shows densities of real numbers in the plane, event_shape=(2,), but "
            f"model '{model.name}' has event_shape={model.data_shape}, "
            f"dequantize={model.data_levels}. image_grid shows images, map_figure scalars."
        )

    def repeated(count: int) -> Any:
        return None if condition is None else np.repeat(np.asarray(condition), count, axis=0)

    check_count(resolution, "resolution", least=2, most=_FINEST)
    if samples is None:
        samples = model.sample(num_samples, seed=seed, condition=repeated(num_samples))
    panels = [("samples", check_numbers(samples, (2,), "samples"))]
    if data is not None:
        panels.append(("data", check_numbers(data, (2,), "data")))
    low, high = _extent(panels[-1][1])
    x, y = (np.linspace(low[i], high[i], resolution) for i in range(2))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    log_prob = model.log_prob(grid, condition=repeated(len(grid)))

    columns = 1 + len(panels)
    figure = Figure(figsize=(3.4 * columns, 3.6), layout="constrained")
    axes = figure.subplots(1, columns)
    shown = axes[0].imshow(
        np.exp(log_prob.reshape(resolution, resolution)),
        origin="lower",
        extent=(low[0], high[0], low[1], high[1]),
        aspect="auto",
        cmap="Blues",
    )
    axes[0].set_title("density", fontsize=10)
    for axis, (title, points) in zip(axes[1:], panels, strict=True):
        axis.plot(*points.T, ".", color=DEEP, markersize=2, alpha=0.5)
        axis.set_title(title, fontsize=10)
    for axis in axes:
        axis.set_xlim(low[0], high[0])
        axis.set_ylim(low[1], high[1])
        axis.set_xlabel("first value")
    axes[0].set_ylabel("second value")
    figure.colorbar(shown, ax=axes[0], location="left", label="probability per unit area")
    if heading:
        figure.suptitle(heading, fontsize=11)
    return figure


def _extent(points: Any) -> tuple[Any, Any]:
    """Corners of a box around all points but a few outliers, with a margin."""
    low, high = np.quantile(points, [0.002, 0.998], axis=0)
    room = 0.15 * (high - low) + 1e-6
    return low - room, high + room
