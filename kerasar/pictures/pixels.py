"""From integers to RGB colors, and from single images to a mosaic."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.checks import check_count, check_kind

Colors = NDArray[np.uint8]


def to_rgb(images: Any, levels: int, name: str = "images") -> Colors:
    """Images as bytes of red, green and blue: level 0 is black, the highest is white.

    Args:
        images: integers in `[0, levels)`, `(n, height, width)` or `(n, height, width, channels)`
            with 1 or 3 channels.
        levels: int, at least 2. Number of values of a channel.
        name: of the argument that holds the images, for messages.

    Returns:
        uint8, `(n, height, width, 3)`.

    Raises:
        ValueError: if the images have another shape, or values outside `[0, levels)`.
    """
    array = check_kind(images, name)
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim != 4 or array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise ValueError(
            "A picture shows gray or RGB images, (n, height, width) or (n, height, width, 1 or 3), "
            f"but {name} has shape {np.shape(images)}. For one image, pass {name}[None]."
        )
    check_count(levels, "levels", least=2, advice="Pass that of the data.")
    low, high = array.min(), array.max()
    if not 0 <= low <= high <= levels - 1:  # NaN fails too
        raise ValueError(
            f"With levels={levels} {name} must be in [0, {levels}), but holds values from "
            f"{low} to {high}. Pass the levels of the data."
        )
    scaled = np.round(array.astype("float64") * (255 / (levels - 1))).astype(np.uint8)
    return np.broadcast_to(scaled, (*scaled.shape[:3], 3))


def enlarge(images: Colors, factor: int) -> Colors:
    """Turns each pixel into a square of `factor` × `factor` pixels."""
    return images.repeat(factor, axis=1).repeat(factor, axis=2)


def factor_for(height: int, width: int, wanted: int) -> int:
    """The factor that enlarges an image so that its longer side has about `wanted` pixels."""
    return max(1, round(wanted / max(height, width)))


def mosaic(cells: Colors, columns: int, gap: int) -> Colors:
    """Arranges images in rows, `gap` white pixels apart; the last row may be short."""
    count, height, width, _ = cells.shape
    rows = -(-count // columns)
    canvas = np.full(
        (rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, dtype=np.uint8
    )
    for i, cell in enumerate(cells):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        canvas[top : top + height, left : left + width] = cell
    return canvas
