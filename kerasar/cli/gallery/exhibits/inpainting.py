"""Half of a digit, completed.

Pixels that are hidden are drawn one after the other, each given all that is above and to the left,
known or drawn. Three completions of one image differ where the visible half leaves a choice.
"""

import numpy as np

from kerasar.cli.gallery.studio import Studio
from kerasar.pictures import image_grid, inpainting_figure


def draw(studio: Studio) -> None:
    data = studio.images
    model = studio.pixelcnn(data.train)
    bits = -model.log_prob(data.test).mean() / np.log(2) / np.prod(data.test.shape[1:])
    caption = f"Digits drawn from PixelCNN, {bits:.2f} bits a pixel on test images."
    studio.show(image_grid(model.sample(32, seed=0), data.levels, columns=8), caption)

    images = data.test[:6]
    known = np.ones(images.shape, bool)
    known[:, images.shape[1] // 2 :] = False
    completed = model.inpaint(images, known, num_completions=3, seed=0)
    figure = inpainting_figure(known, images, completed, data.levels, original=images)
    studio.show(figure, "Mask, what is given, three completions, and the original.")
