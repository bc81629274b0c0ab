"""Where an image surprises a model: its log-probability map as colours."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kerasar.pictures.pixels import Colours, enlarge, factor_for, to_rgb


def surprise_image(image: Any, log_prob_map: Any, levels: int, most: float) -> Colours:
    """Draws an image beside the bits that each of its pixels costs, from black to yellow.

    Args:
        image: integers in `[0, levels)`, `(height, width, channels)`.
        log_prob_map: what `model.log_prob_map` gives for it, in nats: `(height, width)` or
            `(height, width, channels)`.
        levels: int. How many values a channel can take.
        most: bits of a pixel that get the brightest colour; the same for all images that are to
            be compared.

    Returns:
        uint8, `(height, width, 3)`: the two pictures enlarged, side by side.
    """
    from matplotlib import colormaps

    nats = -np.asarray(log_prob_map, "float64")
    if nats.ndim == 3:
        nats = nats.sum(axis=-1)
    bits = np.clip(nats / math.log(2) / most, 0, 1)
    pair = np.stack([to_rgb(np.asarray(image)[None], levels)[0], _colours(colormaps, bits)])
    pair = enlarge(pair, factor_for(bits.shape[0], bits.shape[1], 192))
    gap = np.full((pair.shape[1], 8, 3), 255, np.uint8)
    return np.concatenate([pair[0], gap, pair[1]], axis=1)


def _colours(colormaps: Any, values: Any) -> Colours:
    colours: Colours = colormaps["inferno"](values, bytes=True)[..., :3]
    return colours
