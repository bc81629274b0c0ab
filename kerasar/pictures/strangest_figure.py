"""The strangest images, and where they surprise a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasar.arguments import checks_arguments
from kerasar.checks import check_kind, check_values
from kerasar.pictures.image_grid import check_labels
from kerasar.pictures.sheet import draw_sheet
from kerasar.pictures.surprise import surprise_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@checks_arguments
def strangest_figure(
    images: Any,
    excess_map: Any,
    levels: int,
    titles: Sequence[str] | None = None,
    heading: str | None = None,
) -> Figure:
    """Draws images next to the bits that each pixel costs beyond what the model expected.

    Args:
        images: integers in `[0, levels)`, `(n, height, width, channels)`; gray or RGB.
        excess_map: of `AnomalyDetector.explain`, nats, `(n, height, width)`. What is less than
            expected is black.
        levels: int. Number of values of a channel.
        titles: a short text above each pair, such as the statistic that speaks against it.
        heading: text above all.

    Returns:
        A figure, for `save` or a notebook.

    Raises:
        ValueError: if the maps do not fit the images, or there are none.
    """
    images = check_kind(images, "images")
    excess = check_values(excess_map, "excess_map", 3)
    if images.shape[:3] != excess.shape:
        raise ValueError(
            f"excess_map must have one value for each pixel of the images, {images.shape[:3]}, but "
            f"its shape is {excess.shape}. AnomalyDetector.explain gives it."
        )
    # One scale for all, so that they can be compared; a rare outlier may not darken the rest.
    most = max(float(np.quantile(excess, 0.999)) / math.log(2), 1e-3)
    pairs = [
        surprise_image(image, -np.maximum(nats, 0.0), levels, most)
        for image, nats in zip(images, excess, strict=True)
    ]
    check_labels("titles", titles, len(pairs), "images")
    columns = min(3, len(pairs))
    note = f"black: no more bits than expected; yellow: {most:.1f} bits more, or above"
    return draw_sheet(np.stack(pairs), columns, heading, titles, note=note)
