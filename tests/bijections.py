"""One small case of each bijection, for the checks that all of them must pass."""

import keras
import numpy as np

from kerasar.layers import (
    ActNorm,
    AdditiveCoupling,
    AffineCoupling,
    BatchNormBijection,
    Chain,
    FactorOut,
    Inverse,
    Invertible1x1Conv,
    Logit,
    MaskedAutoregressive,
    Permute,
    PiecewiseLinear,
    RationalQuadraticSplineCoupling,
    Squeeze2D,
    StandardizeBijection,
)

_RNG = np.random.default_rng(0)
VECTORS = _RNG.normal(size=(3, 5)).astype("float32")
NUMBERS = _RNG.normal(size=(4, 1)).astype("float32")
IMAGES = _RNG.normal(size=(2, 2, 4, 2)).astype("float32")
SHARES = _RNG.uniform(size=(3, 4)).astype("float32")
#: Conditions: a vector, and a map for images.
VECTOR = _RNG.normal(size=(4, 2)).astype("float32")
MAP = _RNG.normal(size=(2, 2, 4, 1)).astype("float32")

SMALL = {"hidden_units": (6,)}
SPLINE = {"bins": 4, "bound": 3.0, **SMALL}
LECTURE = {"activation": "tanh", "separate_networks": True, "scale_bound": None, **SMALL}
OWN_MASK = [1, 0, 0, 1, 0]


def network(inputs, outputs):
    """A functional model, as users bring them."""
    x = keras.Input((inputs,))
    return keras.Model(x, keras.layers.Dense(outputs)(keras.layers.Dense(6, activation="tanh")(x)))


def multiscale():
    return FactorOut(
        [
            AffineCoupling("checkerboard", **SMALL),
            Squeeze2D(),
            ActNorm(),
            Invertible1x1Conv(seed=0),
            FactorOut([AffineCoupling("channelwise", **SMALL), FactorOut()]),
        ]
    )


#: Name → (a function that makes the bijection, data, arguments for check_bijection).
BIJECTIONS = {
    "additive, half": (lambda: AdditiveCoupling(**SMALL), VECTORS, {}),
    "affine, half": (lambda: AffineCoupling(**SMALL), VECTORS, {}),
    "affine, other half": (lambda: AffineCoupling(invert=True, **SMALL), VECTORS, {}),
    "affine, own mask": (lambda: AffineCoupling(OWN_MASK, **SMALL), VECTORS, {}),
    "affine, alternating": (lambda: AffineCoupling("alternating", **SMALL), VECTORS, {}),
    "affine, random": (lambda: AffineCoupling("random", seed=1, **SMALL), VECTORS, {}),
    "affine, the lecture's": (lambda: AffineCoupling("random", seed=2, **LECTURE), VECTORS, {}),
    "affine, own network": (lambda: AffineCoupling(network=network(2, 6)), VECTORS, {}),
    "affine, own pair": (
        lambda: AffineCoupling(network=[network(2, 3), network(2, 3)]),
        VECTORS,
        {},
    ),
    "affine, given a vector": (
        lambda: AffineCoupling(**SMALL),
        VECTORS,
        {"condition": VECTOR[:3]},
    ),
    "affine, checkerboard": (lambda: AffineCoupling("checkerboard", **SMALL), IMAGES, {}),
    "affine, channelwise": (lambda: AffineCoupling("channelwise", **SMALL), IMAGES, {}),
    "affine on images, given a vector": (
        lambda: AffineCoupling("checkerboard", invert=True, **SMALL),
        IMAGES,
        {"condition": VECTOR[:2]},
    ),
    "affine on images, given a map": (
        lambda: AffineCoupling("channelwise", **SMALL),
        IMAGES,
        {"condition": MAP},
    ),
    "spline, half": (
        lambda: RationalQuadraticSplineCoupling(**SPLINE),
        VECTORS,
        {"extremes": (-1e4, -3.0, 3.0, 1e4), "latent_extremes": (-1e4, -3.0, 3.0, 1e4)},
    ),
    "spline, alternating, given a vector": (
        lambda: RationalQuadraticSplineCoupling("alternating", **SPLINE),
        VECTORS,
        {"condition": VECTOR[:3]},
    ),
    "autoregressive": (lambda: MaskedAutoregressive((8, 8)), VECTORS, {}),
    "autoregressive, given a vector": (
        lambda: MaskedAutoregressive((8,)),
        VECTORS,
        {"condition": VECTOR[:3]},
    ),
    "autoregressive, one number": (lambda: MaskedAutoregressive((4,)), NUMBERS, {}),
    "autoregressive, one number, given a vector": (
        lambda: MaskedAutoregressive((4,)),
        NUMBERS,
        {"condition": VECTOR},
    ),
    "inverse autoregressive": (lambda: Inverse(MaskedAutoregressive((8,))), VECTORS, {}),
    "piecewise linear": (lambda: PiecewiseLinear(6, -2.0, 2.0), VECTORS, {}),
    "piecewise linear, one number": (lambda: PiecewiseLinear(6, -2.0, 2.0), NUMBERS, {}),
    "activation norm": (ActNorm, IMAGES, {}),
    "activation norm, one number": (ActNorm, NUMBERS, {}),
    "batch norm": (BatchNormBijection, IMAGES, {}),
    "batch norm, one number": (BatchNormBijection, NUMBERS, {}),
    "1×1 convolution": (lambda: Invertible1x1Conv(seed=0), IMAGES, {}),
    "1×1 convolution of vectors": (lambda: Invertible1x1Conv(seed=0), VECTORS, {}),
    "logit": (Logit, SHARES, {"extremes": (0.0, 1.0)}),
    "logit of bytes": (
        lambda: Logit(high=256.0, alpha=1e-6),
        SHARES * 256,
        {"extremes": (0.0, 256.0)},
    ),
    "sigmoid": (lambda: Inverse(Logit()), VECTORS, {"latent_extremes": (0.0, 1.0)}),
    "standardise": (StandardizeBijection, VECTORS, {}),
    "squeeze": (Squeeze2D, IMAGES, {}),
    "unsqueeze": (lambda: Inverse(Squeeze2D()), IMAGES.reshape(2, 1, 2, 8), {}),
    "reverse": (Permute, VECTORS, {}),
    "shuffle": (lambda: Permute("random", seed=0), VECTORS, {}),
    "chain": (
        lambda: Chain(
            [
                ActNorm(),
                AffineCoupling(**SMALL),
                Permute(),
                Inverse(AffineCoupling(**SMALL)),
                RationalQuadraticSplineCoupling(**SPLINE),
            ]
        ),
        VECTORS,
        {},
    ),
    "multi-scale": (multiscale, IMAGES, {}),
    "multi-scale, given a map": (multiscale, IMAGES, {"condition": MAP}),
}
