"""Small flows that the tests share: real mathematics on data of one or two dimensions."""

import numpy as np

import kerasar
from kerasar.layers import AffineCoupling, FactorOut, Logit, Squeeze2D, StandardizeBijection
from kerasar.testing import randomize

RNG = np.random.default_rng(0)
POINTS = (RNG.normal(size=(40, 2)) * [1.0, 3.0] + [0.0, 5.0]).astype("float32")
LABELS = RNG.normal(size=(40, 3)).astype("float32")
IMAGES = RNG.integers(0, 4, (12, 4, 4, 1)).astype("uint8")
#: Couplings with a tiny network.
TINY = {"hidden_units": (6,), "activation": "tanh"}


def couplings(count=2, **kwargs):
    return [AffineCoupling(invert=i % 2 == 1, **TINY, **kwargs) for i in range(count)]


def plane(condition_shape=None, standardize=False, **kwargs):
    """A random flow of points in the plane."""
    first = [StandardizeBijection()] if standardize else []
    model = kerasar.FlowModel(
        [*first, *couplings()], (2,), condition_shape=condition_shape, **kwargs
    )
    if not standardize:
        randomize(model.bijection)
    return model


def pictures(levels=4):
    """A random flow of 4×4 images with two scales."""
    rest = [AffineCoupling("channelwise", invert=True, **TINY), FactorOut()]
    flow = [Logit(), AffineCoupling("checkerboard", **TINY), Squeeze2D(), FactorOut(rest)]
    model = kerasar.FlowModel(flow, (4, 4, 1), dequantize=levels)
    randomize(model.bijection)
    return model


def integers(levels=3):
    """A random flow of pairs of integers: 9 possible inputs."""
    model = kerasar.FlowModel([Logit(), *couplings()], (2,), dequantize=levels)
    randomize(model.bijection)
    return model
