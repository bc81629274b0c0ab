"""The next pixel, given those so far.

The first network of the lecture sees a mask and the pixels so far, and gives a distribution over
the values of the next pixel. It needs one pass for each: 64 for an image of 8×8. The distribution
is narrow where the stroke leaves no doubt.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

import kerasar
from kerasar.cli.gallery.studio import Studio


def posterior_rows(images: Any, known: Any, position: int, logits: Any, levels: int) -> Figure:
    """For each image its mask, the pixels so far, the distribution of the next, and the image."""
    height, width = images.shape[1:3]
    figure = Figure(figsize=(8, 1.7 * len(images)), layout="constrained")
    rows = figure.subplots(len(images), 4, width_ratios=(1, 1, 2.2, 1))
    for (mask, given, bars, whole), image, seen, row in zip(
        rows, images[..., 0], known[..., 0], logits, strict=True
    ):
        probability = np.exp(row - row.max())
        for axes, shown in (
            (mask, seen * (levels - 1)),
            (given, np.where(seen, image, 0)),
            (whole, image),
        ):
            axes.imshow(shown, cmap="gray", vmin=0, vmax=levels - 1)
            # Orange with a white edge can be seen on black, white and all grays.
            look: dict[str, Any] = dict(color="#d9720b", markeredgecolor="white", markersize=6)
            axes.plot(position % width, position // width, "o", **look)
            axes.set(xticks=[], yticks=[])
        bars.bar(np.arange(levels), probability / probability.sum(), color="#4c78a8", width=1.0)
        bars.axvline(
            image[position // width, position % width], color="#d9720b", linewidth=2, linestyle=":"
        )
        bars.spines[["top", "right"]].set_visible(False)
        bars.set_ylabel("probability")
    for axes, title in zip(
        rows[0], ("mask", "pixels so far", "the next pixel's value", "image"), strict=True
    ):
        axes.set_title(title, fontsize=10)
    rows[-1][2].set_xlabel("value, its true one dotted")
    return figure


def draw(studio: Studio) -> None:
    data = studio.images

    def masked_input() -> kerasar.MaskedInputModel:
        shape = data.train.shape[1:]
        small = shape[0] == 8
        return kerasar.models.MaskedInputLeNet(
            shape, data.levels, kernel_sizes=(3, 3) if small else (3, 5), hidden_units=200
        )

    model = studio.trained(masked_input, data.train, epochs=40, batch_size=25)
    images, pixels = data.test[:4], int(np.prod(data.test.shape[1:]))
    position = int(0.55 * pixels)
    known = np.broadcast_to(np.arange(pixels) < position, (4, pixels)).reshape(images.shape)
    logits = model.conditional(images, known, position)
    figure = posterior_rows(images, known, position, logits, data.levels)
    caption = (
        "Four test digits. White in the mask is what the network sees; the dot is the next pixel."
    )
    studio.show(figure, caption)
