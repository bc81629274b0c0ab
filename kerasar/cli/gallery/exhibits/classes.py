"""One row for each class.

Gated PixelCNN takes the class of the image in every gate. Asked for a three, it draws threes.
"""

import numpy as np

import kerasar
from kerasar.cli.gallery.studio import Studio
from kerasar.pictures import image_grid


def draw(studio: Studio) -> None:
    data = studio.images

    def gated() -> kerasar.AutoregressiveModel:
        shape = data.train.shape[1:]
        return kerasar.models.GatedPixelCNN(
            shape, data.levels, filters=24, blocks=3, first_kernel_size=5, num_classes=10
        )

    examples = {"x": data.train, "condition": data.train_labels}
    model = studio.trained(gated, examples, epochs=12, batch_size=8, learning_rate=4e-3)
    classes = np.repeat(np.arange(10), 8)
    drawn = model.sample(len(classes), condition=classes, seed=0)
    caption = "Eight digits drawn for each class, the class to the left."
    labels = [str(digit) for digit in range(10)]
    studio.show(image_grid(drawn, data.levels, columns=8, row_labels=labels), caption)
