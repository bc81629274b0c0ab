"""Which pixels `kerasar inpaint --hide …` hides."""

from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Hide(Enum):
    """What is hidden: a half, the middle, or half of the pixels at random."""

    bottom = "bottom"
    top = "top"
    left = "left"
    right = "right"
    center = "center"
    random = "random"


def known_pixels(hide: Hide, shape: tuple[int, ...], seed: int = 0) -> NDArray[Any]:
    """Boolean of `shape`, `(n, height, width, channels)`: True where a pixel stays.

    With `Hide.random` each image has a mask of its own.
    """
    count, height, width, _ = shape
    row, column = np.ogrid[:height, :width]
    middle = (
        (row >= height // 4)
        & (row < height - height // 4)
        & (column >= width // 4)
        & (column < width - width // 4)
    )
    hidden = {
        Hide.bottom: row >= height // 2,
        Hide.top: row < (height + 1) // 2,
        Hide.left: column < (width + 1) // 2,
        Hide.right: column >= width // 2,
        Hide.center: middle,
    }.get(hide)
    if hidden is None:
        hidden = np.random.RandomState(seed).random_sample((count, height, width)) < 0.5
    pixels = np.broadcast_to(~hidden, (count, height, width))
    return np.broadcast_to(pixels[..., np.newaxis], shape).copy()
