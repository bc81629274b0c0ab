"""The next pixel, given those so far.

The first network of the lecture sees a mask and the pixels so far, and gives a distribution over
the values of the next pixel. It needs one pass for each: 64 for an image of 8×8. The distribution
is narrow where the stroke leaves no doubt.
"""

import numpy as np

import kerasar
from kerasar.cli.gallery.studio import Studio
from kerasar.pictures import posterior_figure


def draw(studio: Studio) -> None:
    data = studio.images

    def masked_input() -> kerasar.MaskedInputModel:
        shape = data.train.shape[1:]
        small = shape[0] == 8
        return kerasar.models.MaskedInputLeNet(
            shape, data.levels, kernel_sizes=(3, 3) if small else (3, 5), hidden_units=200
        )

    model = studio.trained(masked_input, data.train, epochs=8, batch_size=25)
    images, pixels = data.test[:4], int(np.prod(data.test.shape[1:]))
    position = int(0.55 * pixels)
    known = np.broadcast_to(np.arange(pixels) < position, (4, pixels))
    logits = model.conditional(images, known.reshape(images.shape), position)
    figure = posterior_figure(images.reshape(4, -1), known, position, logits)
    caption = (
        "Four test digits in raster order: pixels so far in blue, the ones to come in gray, the "
        "one that is predicted in red with its distribution to the right."
    )
    studio.show(figure, caption)
