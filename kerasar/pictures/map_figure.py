"""The learned map of the line, with the densities on both axes: the lecture's figure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasar.arguments import checks_arguments
from kerasar.checks import check_values
from kerasar.pictures.drawn_flow import DrawnFlow
from kerasar.pictures.palette import DEEP, ORANGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@checks_arguments
def map_figure(
    model: DrawnFlow,
    low: float = -4.0,
    high: float = 4.0,
    target: Callable[[Any], Any] | None = None,
    heading: str | None = None,
    samples: Any = None,
) -> Figure:
    """Draws z = f(x): the data's density below, the latents' to the left, the map between them.

    Args:
        model: a `FlowModel` of event shape `(1,)`, of real numbers, without condition.
        low, high: floats. The interval of x to draw.
        target: the true log density, a function from `(n, 1)` to `(n,)`, such as
            `kerasar.data.mixture_log_prob`.
        heading: text above the panels.
        samples: samples of the model, `(n, 1)`, for a histogram over its density.

    Returns:
        A figure, for `save` or a notebook.

    Raises:
        ValueError: for a model of other data, or an empty interval.

    References:
        Fleuret. Deep Learning course, lecture on normalizing flows. https://fleuret.org/dlc/
    """
    from matplotlib.figure import Figure

    if model.data_shape != (1,) or not model.exact:
        raise ValueError(
            "map_figure shows maps of real numbers, event_shape=(1,), but model "
            f"'{model.name}' has event_shape={model.data_shape}, dequantize={model.data_levels}. "
            "density_figure shows the plane."
        )
    if not low < high:
        raise ValueError(f"low must be below high, but got low={low}, high={high}.")
    x = np.linspace(low, high, 1000, dtype="float32")[:, None]
    z, density = model.latent(x)[:, 0], np.exp(model.log_prob(x))
    shown = np.linspace(max(z.min(), -8), min(z.max(), 8), 1000, dtype="float32")
    base = np.exp(np.asarray(model.base.log_prob(shown[:, None])))

    figure = Figure(figsize=(5.6, 5.2), layout="constrained")
    left, main, corner, below = figure.subplots(
        2, 2, width_ratios=(1, 3), height_ratios=(3, 1), sharex="col", sharey="row"
    ).flat
    main.plot(x[:, 0], z, color=DEEP)
    main.set_title("z = f(x)", fontsize=10)
    left.fill_betweenx(shown, base, color=DEEP, alpha=0.35, linewidth=0)
    left.set_ylabel("z")
    below.fill_between(x[:, 0], density, color=DEEP, alpha=0.35, linewidth=0, label="model")
    if samples is not None:
        counts = dict(range=(low, high), density=True, label="samples")
        below.hist(np.ravel(samples), 40, histtype="step", color=DEEP, **counts)
    if target is not None:
        below.plot(
            x[:, 0],
            np.exp(check_values(target(x), "target(x)", 1)),
            "--",
            color=ORANGE,
            linewidth=1.2,
            label="true",
        )
    if samples is not None or target is not None:
        corner.legend(*below.get_legend_handles_labels(), loc="center", frameon=False, fontsize=9)
    corner.axis("off")
    # Both densities grow away from the map; the hidden corner would hide their tick labels.
    left.invert_xaxis()
    left.tick_params(labelbottom=True)
    left.set_xlabel("density of z")
    below.invert_yaxis()
    below.tick_params(labelleft=True)
    below.set(xlabel="x", ylabel="density of x")
    main.set(xlim=(low, high), ylim=(shown[0], shown[-1]))
    if heading:
        figure.suptitle(heading, fontsize=11)
    return figure
