"""The log-probability map of an image as colors: which pixels surprise a model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kerasar.arguments import checks_arguments
from kerasar.checks import check_values
from kerasar.pictures.pixels import Colors, enlarge, factor_for, to_rgb


@checks_arguments
def surprise_image(image: Any, log_prob_map: Any, levels: int, most: float) -> Colors:
    """Draws an image next to the bits that each of its pixels costs, from black to yellow.

    Args:
        image: integers in `[0, levels)`, `(height, width, channels)`.
        log_prob_map: its `model.log_prob_map`, in nats: `(height, width)` or
            `(height, width, channels)`.
        levels: int. Number of values of a channel.
        most: float. Bits of a pixel with the brightest color; take the same for images that are
            compared.

    Returns:
        uint8, `(height, width, 3)`: the two enlarged pictures next to each other.
    """
    from matplotlib import colormaps

    image = check_values(image, "image", 2, 3)
    if not most > 0:
        raise ValueError(f"most must be above 0, in bits, but got {most}.")

    nats = -check_values(log_prob_map, "log_prob_map", 2, 3).astype("float64")
    if nats.ndim == 3:
        nats = nats.sum(axis=-1)
    if nats.shape != image.shape[:2]:
        raise ValueError(
            f"log_prob_map must give the pixels of the image, {image.shape[:2]}, but its shape is "
            f"{np.shape(log_prob_map)}."
        )
    bits = np.clip(nats / math.log(2) / most, 0, 1)
    pair = np.stack([to_rgb(image[None], levels, "image")[0], _to_colors(colormaps, bits)])
    pair = enlarge(pair, factor_for(bits.shape[0], bits.shape[1], 192))
    gap = np.full((pair.shape[1], 8, 3), 255, np.uint8)
    return np.concatenate([pair[0], gap, pair[1]], axis=1)


def _to_colors(colormaps: Any, values: Any) -> Colors:
    rgb: Colors = colormaps["inferno"](values, bytes=True)[..., :3]
    return rgb
