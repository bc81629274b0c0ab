"""A flow of images, and the surface that it has learned.

Real NVP on several scales maps images to latents and back, without loss. Between the latents of
four digits there are images as well: they lie on a surface through the four, in the corners.
"""

import numpy as np

import kerasar
from kerasar.cli.gallery.studio import Studio
from kerasar.pictures import image_grid, manifold_figure


def draw(studio: Studio) -> None:
    data = studio.images

    def multiscale() -> kerasar.FlowModel:
        shape = data.train.shape[1:]
        return kerasar.models.MultiscaleRealNVP(shape, data.levels, filters=24, blocks=1)

    flow = studio.trained(multiscale, data.train, epochs=15, batch_size=32)
    bits = -flow.log_prob(data.test).mean() / np.log(2) / np.prod(data.test.shape[1:])
    caption = f"Drawn from the flow; at most {bits:.2f} bits a pixel on test images."
    studio.show(image_grid(flow.sample(32, seed=0), data.levels, columns=8), caption)
    corners = data.test[:4]
    studio.show(
        manifold_figure(flow, corners),
        "Four test images in the corners, and what the flow has between them.",
    )
