"""Random weights, for checks that a zero or an identity at initialization would blind."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.keras_internals import trainable_by_design


@checks_arguments
def randomize(layer: keras.layers.Layer, seed: int = 0) -> None:
    """Gives every weight of a layer or model a random value that keeps signals at their size.

    Kernels are normal with deviation 1.4 / sqrt(fan-in), vectors normal with deviation 0.3
    (around 1 where they scale), variances uniform in [0.5, 2]; integer states stay.

    Args:
        layer: a layer or model whose weights are made.
        seed: int. The same seed gives the same values.
    """
    rng = np.random.default_rng(check_count(seed, "seed", least=0, most=None))
    for weight in layer.weights:
        if keras.backend.is_float_dtype(weight.dtype):
            weight.assign(_drawn(weight, rng))


class DrawnWeights:
    """Random values for the weights of layers, which hold within a scope; outside nothing changes.

    Only what is made to be trained is drawn, frozen or not. A buffer, such as a triangle that masks
    the future, stays as it is, unless everything is asked for.

    Args:
        operations: layers; anything else is passed over.
        draw: which of the draws. Each odd one mirrors the one before it, for a gate such as
            `relu(weight)` is closed in one of the two.
        buffers: bool. Draws all weights, those too that are not made to be trained.
    """

    def __init__(self, operations: Iterable[Any], draw: int = 0, *, buffers: bool = False) -> None:
        rng, sign = np.random.default_rng(draw // 2), -1.0 if draw % 2 else 1.0
        layers = [part for part in operations if isinstance(part, keras.layers.Layer)]
        all_weights = {id(w): w for layer in layers for w in layer.weights}.values()
        self._mapping = [
            (weight, keras.ops.convert_to_tensor(_drawn(weight, rng, sign), weight.dtype))
            for weight in (all_weights if buffers else trainable_by_design(layers))
            if keras.backend.is_float_dtype(weight.dtype)
        ]

    def scope(self) -> keras.StatelessScope:
        """A new scope, in which also seeds and states begin anew; updates are lost with it."""
        return keras.StatelessScope(state_mapping=self._mapping)


def _drawn(weight: Any, rng: np.random.Generator, sign: float = 1.0) -> np.ndarray:
    shape = tuple(weight.shape)
    if "variance" in weight.name:
        return rng.uniform(0.5, 2.0, shape)
    if len(shape) >= 2:
        return sign * rng.normal(size=shape) * 1.4 / np.sqrt(np.prod(shape[:-1]))
    center = 1.0 if weight.name in ("gamma", "scale") else 0.0
    return center + sign * 0.3 * rng.normal(size=shape)
