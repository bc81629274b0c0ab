"""Causality by experiment: change the input at one position, look which tensors change where.

A probe is no proof, but it needs to know nothing of the layers. Weights are randomised while
probing (in a copy of the network), for a zero would hide a leak.
"""

from typing import Any

import keras
import numpy as np

from kerasar.causality.randomise import randomise
from kerasar.training.intermediates import Intermediate, intermediates

#: What an open size is taken to be.
_OPEN_SEQUENCE, _OPEN_IMAGE = 24, 8


def check_causal(network: keras.Model, probes: int = 24) -> None:
    """Raises a ValueError that names the leaking layer unless the network is strictly causal.

    Strictly causal means: the output at a position depends on the input at earlier positions
    only, in time or in raster-scan order.

    Args:
        network: functional Keras model; its input named `x` (else its first) is examined.
        probes: at how many positions the input is changed; all of them if there are no more.

    Raises:
        ValueError: if the network has no graph, or its output sees the present or the future.
    """
    copy = keras.models.clone_model(network)
    randomise(copy)
    nodes = intermediates(copy)
    names = [tensor.name for tensor in copy.inputs]
    index = names.index("x") if "x" in names else 0
    places = len(copy.inputs[index].shape) - 1
    if places == 3:
        places = 2  # the last axis of an image holds channels
    elif places == 2 and len(copy.outputs[0].shape) == 3:
        places = 1  # the last axis of a series holds its variables
    inputs, moved = _probing_inputs(copy, index, places, probes)
    values = keras.Model(copy.inputs, [node.tensor for node in nodes])(inputs, training=False)
    values = values if isinstance(values, (list, tuple)) else [values]
    sizes = inputs[index].shape[1 : 1 + places]
    lags = {id(copy.inputs[index]): 0}
    for node, value in zip(nodes, values, strict=True):
        lag = _smallest_lag(np.asarray(keras.ops.cast(value, "float32")), sizes, moved)
        if lag is not None:
            lags[id(node.tensor)] = lag
    output = copy.outputs[0]
    if lags.get(id(output), 1) < 1:
        raise ValueError(_explain(nodes, output, lags, network.name))


def _probing_inputs(
    network: keras.Model, index: int, places: int, probes: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """A batch whose first example is the base and each other one differs at one position."""
    rng = np.random.default_rng(0)
    levels = max(2, network.outputs[0].shape[-1] or 2)
    open_size = _OPEN_SEQUENCE if places == 1 else _OPEN_IMAGE
    inputs = []
    for i, tensor in enumerate(network.inputs):
        shape = tuple(size or open_size for size in tensor.shape[1:])
        base = (
            rng.normal(size=shape)
            if keras.backend.is_float_dtype(tensor.dtype)
            else rng.integers(levels if i == index else 1, size=shape)
        )
        inputs.append(base)
    x = inputs[index]
    count = int(np.prod(x.shape[:places]))
    moved = np.sort(rng.permutation(count)[: max(1, probes)])
    moved = np.union1d(moved[: max(1, probes - 2)], [0, count - 1])
    batch = np.repeat(x[None], len(moved) + 1, axis=0)
    flat = batch.reshape(len(batch), count, -1)
    for row, position in enumerate(moved, 1):
        changed = flat[row, position] + 1
        flat[row, position] = changed if x.dtype.kind == "f" else changed % levels
    inputs = [np.repeat(value[None], len(batch), axis=0) for value in inputs]
    inputs[index] = batch
    return [value.astype(t.dtype) for value, t in zip(inputs, network.inputs, strict=True)], moved


def _smallest_lag(value: np.ndarray, sizes: tuple[int, ...], moved: np.ndarray) -> int | None:
    """By how many positions, at least, a change precedes what it changes; None if unchanged.

    0 means that the present is seen, a negative number that the future is.
    """
    if value.shape[1 : 1 + len(sizes)] != tuple(sizes):
        return None
    flat = value.reshape(len(value), int(np.prod(sizes)), -1)
    tolerance = 1e-5 * max(1e-3, float(np.abs(flat).max()))
    differs = (np.abs(flat[1:] - flat[:1]) > tolerance).any(axis=-1)
    rows, changed = np.nonzero(differs)
    return int((changed - moved[rows]).min()) if len(rows) else None


def _explain(nodes: list[Intermediate], output: Any, lags: dict[int, int], network: str) -> str:
    """The error message: which layer lets the output see what it must not."""
    needed = {id(output)}
    for node in reversed(nodes):
        if id(node.tensor) in needed:
            needed |= {id(source) for source in node.sources}

    def first(fits: Any) -> Intermediate | None:
        for node in nodes:
            seen = [lags[id(s)] for s in node.sources if id(s) in lags]
            if id(node.tensor) in needed and id(node.tensor) in lags and seen:
                if fits(lags[id(node.tensor)], seen):
                    return node
        return None

    intro = f"Network '{network}' is not strictly causal: "
    culprit = first(lambda lag, seen: lag < 1 and min(seen) >= 1)
    culprit = culprit or first(lambda lag, seen: lag < 0 and min(seen) >= 0)
    if culprit is not None:
        lag = lags[id(culprit.tensor)]
        what = "the present" if lag == 0 else f"{-lag} position(s) ahead"
        return (
            f"{intro}layer '{culprit.name}' is the first to see {what}. Give it causal padding, or "
            "a causal counterpart from kerasar.layers."
        )
    joint = first(lambda lag, seen: lag < 1 and max(seen) >= 1)
    if joint is not None:
        return (
            f"{intro}layer '{joint.name}' joins a branch that still sees the present. Put "
            "kerasar.layers.CausalShift into that branch."
        )
    return (
        f"{intro}nothing hides the present from its output '{nodes[-1].name}'. Put "
        "kerasar.layers.CausalShift behind the input."
    )

