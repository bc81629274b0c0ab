"""Images between four images: a part of the manifold that a flow has learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.pictures.drawn_flow import DrawnFlow
from kerasar.pictures.pixels import to_rgb
from kerasar.pictures.sheet import draw_sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@checks_arguments
def manifold_figure(
    model: DrawnFlow, corners: Any, steps: int = 8, heading: str | None = None
) -> Figure:
    """Draws a square of images, with four given ones in the corners and interpolations between.

    The latents are cos φ (cos φ' z1 + sin φ' z2) + sin φ (cos φ' z3 + sin φ' z4), with both angles
    from 0 to π/2, which preserves the typical length of latents of a normal base.

    Args:
        model: a `FlowModel` of images of integers, without condition.
        corners: four images, `(4, height, width, channels)`: upper left and right, lower left and
            right.
        steps: int, at least 2. Number of images on each side.
        heading: text above the images.

    Returns:
        A figure, for `save` or a notebook.

    Raises:
        ValueError: for other data, or another number of images.

    References:
        Dinh, Sohl-Dickstein & Bengio. Density estimation using Real NVP. ICLR 2017, section 4.2.
        https://arxiv.org/abs/1605.08803
    """
    if model.data_levels is None or len(model.data_shape) != 3:
        raise ValueError(
            "manifold_figure shows images of integers, but model "
            f"'{model.name}' has event_shape={model.data_shape}, dequantize={model.data_levels}. "
            "density_figure shows the plane."
        )
    if len(corners) != 4:
        raise ValueError(f"manifold_figure takes four images, but got {len(corners)}.")
    check_count(steps, "steps", least=2)
    z = model.latent(corners)
    angles = np.linspace(0, np.pi / 2, steps)
    share = np.stack([np.cos(angles), np.sin(angles)], axis=-1)  # (steps, 2)
    between = np.einsum("ia,jb,abd->ijd", share, share, z.reshape(2, 2, -1))
    images = model.from_latent(between.reshape(steps * steps, -1))
    return draw_sheet(to_rgb(images, model.data_levels), steps, heading, cell_size=48, gap=2)
