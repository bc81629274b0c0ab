"""With and without positions.

A convolution does not know where it is. The digits are in the middle of a larger black square
here, and the network has a short receptive field: without positions it begins them anywhere, and
does not know when they must end; with the row and the column as two more channels it draws them in
their place.
"""

import numpy as np

import kerasar
from kerasar.cli.gallery.studio import Studio
from kerasar.pictures import image_grid


def draw(studio: Studio) -> None:
    data = studio.images
    margin = max(0, (16 - data.train.shape[1]) // 2)  # MNIST has one of its own
    around = ((0, 0), (margin, margin), (margin, margin), (0, 0))
    x, test = np.pad(data.train, around), np.pad(data.test, around)
    for positions in (False, True):

        def shifted(positions: bool = positions) -> kerasar.AutoregressiveModel:
            return kerasar.models.ShiftedPixelCNN(
                x.shape[1:], data.levels, positional_encoding=positions
            )

        model = studio.trained(shifted, x, epochs=12, batch_size=25)
        bits = -model.log_prob(test).mean() / np.log(2) / np.prod(test.shape[1:])
        word = "With" if positions else "Without"
        caption = f"{word} positions: {bits:.2f} bits a pixel on test images."
        studio.show(image_grid(model.sample(24, seed=0), data.levels, columns=8), caption)
