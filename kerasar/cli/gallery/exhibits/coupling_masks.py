"""Which pixels stay, which move.

A coupling changes one half of the pixels, given the other half, which stays. Real NVP takes the
squares of a checkerboard first, then folds each square of 2×2 pixels into four channels and takes
half of the channels. What moves is found by trying: a coupling with random weights is applied to a
random image.
"""

import keras
import numpy as np
from matplotlib.figure import Figure

import kerasar
from kerasar.cli.gallery.studio import Studio
from kerasar.testing import randomize


def draw(studio: Studio) -> None:
    L = kerasar.layers
    x = keras.Input((8, 8, 1))
    maps = {
        "checkerboard": L.AffineCoupling("checkerboard"),
        "the other squares": L.AffineCoupling("checkerboard", invert=True),
        "half of the channels": L.Chain(
            [L.Squeeze2D(), L.AffineCoupling("channelwise"), L.Inverse(L.Squeeze2D())]
        ),
        "the other half": L.Chain(
            [L.Squeeze2D(), L.AffineCoupling("channelwise", invert=True), L.Inverse(L.Squeeze2D())]
        ),
    }
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 1)).astype("float32")
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    for axes, (name, bijection) in zip(figure.subplots(1, 4), maps.items(), strict=True):
        bijection(x)  # makes its weights
        randomize(bijection)
        moved, _ = bijection(image)
        moves = np.asarray(moved)[0, ..., 0] != image[0, ..., 0]
        axes.imshow(moves, cmap="Blues", vmin=-0.4, vmax=1.4)
        axes.set_title(name, fontsize=10)
        axes.set(xticks=[0, 7], yticks=[0, 7], xlabel="column", ylabel="row")
    studio.show(
        figure, "Dark pixels move, light ones stay. Two of the four channels are every other row."
    )
