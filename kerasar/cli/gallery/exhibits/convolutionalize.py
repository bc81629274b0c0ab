"""A window model in theory, and the same network in practice.

A network that predicts the next value from the last eight is easy to draw, and slow to train:
neighboring windows share most of what they compute. `kerasar.convolutionalize` finds out which
columns are the same stream of values at another time, and gives a network with the same weights
that predicts at every step in one pass.
"""

import keras

import kerasar
from kerasar.cli.gallery.studio import Studio
from kerasar.pictures import convolution_figure


def draw(studio: Studio) -> None:
    L = keras.layers
    window = keras.Input((8, 1))
    h = L.Conv1D(4, 2, strides=2, activation="relu")(window)
    h = L.Conv1D(4, 2, strides=2, activation="relu")(h)
    halves = keras.Model(window, L.Dense(1)(L.Flatten()(h)))
    report = kerasar.convolution_report(halves)
    caption = "Strides of 2 become dilations. Boxes of one number are one stream, computed once."
    studio.show(convolution_figure(report), caption)

    h = L.Conv1D(4, 3, padding="same", activation="relu")(window)
    h = L.Conv1D(4, 3, padding="same", activation="relu")(h)
    bordered = keras.Model(window, L.Dense(1)(L.Flatten()(h)))
    report = kerasar.convolution_report(bordered)
    caption = (
        'With padding="same" the columns near a border see its zeros: they are streams of their '
        "own, and in each layer all others are one."
    )
    studio.show(convolution_figure(report), caption)
