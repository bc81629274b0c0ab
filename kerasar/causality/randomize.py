"""Random weights, for checks that a zero or an identity at initialisation would blind."""

import keras
import numpy as np


def randomize(layer: keras.layers.Layer, seed: int = 0) -> None:
    """Gives every weight of a layer or model a random value that keeps signals at their size.

    Kernels are normal with deviation 1.4 / sqrt(fan-in), vectors normal with deviation 0.3
    (around 1 where they scale), variances uniform in [0.5, 2]; integer states stay.
    """
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        shape = tuple(weight.shape)
        if not keras.backend.is_float_dtype(weight.dtype):
            continue
        if "variance" in weight.name:
            value = rng.uniform(0.5, 2.0, shape)
        elif len(shape) >= 2:
            value = rng.normal(size=shape) * 1.4 / np.sqrt(np.prod(shape[:-1]))
        else:
            centre = 1.0 if weight.name in ("gamma", "scale") else 0.0
            value = centre + 0.3 * rng.normal(size=shape)
        weight.assign(value)
