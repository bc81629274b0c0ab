"""With and without positions.

A convolution does not know where it is. Without knowing it, a network of a short receptive field
begins digits anywhere and never ends them; with the row and the column as two more channels it
draws them in their place.
"""

import numpy as np

import kerasar
from kerasar.cli.gallery.studio import Studio
from kerasar.pictures import image_grid


def draw(studio: Studio) -> None:
    data = studio.images
    for positions in (False, True):

        def shifted(positions: bool = positions) -> kerasar.AutoregressiveModel:
            shape = data.train.shape[1:]
            return kerasar.models.ShiftedPixelCNN(shape, data.levels, positional_encoding=positions)

        model = studio.trained(shifted, data.train, epochs=12, batch_size=25)
        bits = -model.log_prob(data.test).mean() / np.log(2) / np.prod(data.test.shape[1:])
        word = "With" if positions else "Without"
        caption = f"{word} positions: {bits:.2f} bits a pixel on test images."
        studio.show(image_grid(model.sample(24, seed=0), data.levels, columns=8), caption)
