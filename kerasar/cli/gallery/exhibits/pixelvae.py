"""A latent for what, pixels for how.

PixelVAE is a variational autoencoder whose decoder is a Gated PixelCNN: the latent says what is
shown, the decoder draws the pixels one after the other.
"""

import numpy as np

import kerasar
from kerasar.cli.gallery.studio import Studio
from kerasar.pictures import image_grid


def draw(studio: Studio) -> None:
    data = studio.images

    def pixel_vae() -> kerasar.VAEModel:
        return kerasar.models.PixelVAE(
            data.train.shape[1:],
            data.levels,
            latent_shape=(16,),
            filters=16,
            blocks=2,
            warm_up=300,
        )

    model = studio.trained(pixel_vae, data.train, epochs=40, batch_size=16)
    images = data.test[:8]
    rows = [images, model.reconstruct(images, seed=0), model.reconstruct(images, seed=1)]
    caption = "Test images, and below each two drawings from its latent: what they share, it says."
    labels = ["image", "drawn", "again"]
    grid = image_grid(np.concatenate(rows), data.levels, columns=8, row_labels=labels)
    studio.show(grid, caption)

    digits = data.test_labels
    first, last = model.encode(data.test[[0]]), model.encode(data.test[[3]])
    share = np.linspace(0, 1, 8)[:, None]
    between = model.decode((1 - share) * first + share * last, seed=0)
    caption = f"Drawn on the way from the latent of a {digits[0]} to that of a {digits[3]}."
    studio.show(image_grid(between, data.levels, columns=8), caption)
