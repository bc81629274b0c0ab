"""Causality by experiment: change the input at one position, look which tensors change where.

A probe is not a proof, but it needs to know nothing of the layers. Weights are randomized while
probing (in a copy of the network), for a zero would hide a leak.
"""

import keras
import numpy as np
import tensorflow as tf

from kerasar.causality.condition_limits import ConditionLimits, condition_limits, open_length
from kerasar.causality.explain import BEFORE, FUTURE, PRESENT, explain_leak
from kerasar.causality.graph import Edge, Graph, read_graph
from kerasar.causality.randomize import randomize

#: What an open size is taken to be.
_OPEN_SEQUENCE, _OPEN_IMAGE = 24, 8


def probe_causal(network: keras.Model, event_rank: int | None = None, probes: int = 24) -> None:
    """Raises a ValueError that names the leaking layer if a change of the input shows one.

    Args:
        network: functional Keras model.
        event_rank: as for `check_causal`.
        probes: at how many positions the input is changed; at all if there are no more.
    """
    copy = keras.models.clone_model(network)
    randomize(copy)
    graph = read_graph(copy, event_rank)
    values, moved = _inputs(graph, probes, condition_limits(copy))
    sizes = values[graph.x].shape[1 : 1 + graph.position_rank]
    tensors = {edge: tf.convert_to_tensor(value) for edge, value in values.items()}
    latest = {graph.x: PRESENT}
    for node in graph.nodes:
        tensors.update(zip(node.outputs, node.run(tensors), strict=True))
        for edge in node.outputs:
            found = _latest(np.asarray(tf.cast(tensors[edge], tf.float32)), sizes, moved)
            if found is not None:
                latest[edge] = found
    if latest.get(graph.output, BEFORE) != BEFORE:
        raise ValueError(explain_leak(network.name, graph.nodes, latest))


def _inputs(
    graph: Graph, probes: int, limits: dict[str, ConditionLimits]
) -> tuple[dict[Edge, np.ndarray], np.ndarray]:
    """A batch whose first example is the base and each other one differs at one position."""
    rng = np.random.default_rng(0)
    levels = max(2, graph.output.shape[-1] or 2)
    open_size = open_length(limits, _OPEN_SEQUENCE) if graph.position_rank == 1 else _OPEN_IMAGE
    values: dict[Edge, np.ndarray] = {}
    for edge in (graph.x, *graph.conditions):
        hop = limits.get(edge.name, ConditionLimits()).hop or 1
        shape = tuple(size or open_size // hop for size in edge.shape[1:])
        whole = rng.integers(levels if edge is graph.x else 1, size=shape)
        is_float = keras.backend.is_float_dtype(edge.dtype)
        values[edge] = rng.normal(size=shape) if is_float else whole
    x = values[graph.x]
    count = int(np.prod(x.shape[: graph.position_rank]))
    moved = np.union1d(rng.permutation(count)[: max(1, probes - 2)], [0, count - 1])
    batch = np.repeat(x[None], len(moved) + 1, axis=0)
    flat = batch.reshape(len(batch), count, -1)
    for row, position in enumerate(moved, 1):
        changed = flat[row, position] + 1
        flat[row, position] = changed if x.dtype.kind == "f" else changed % levels
    values = {edge: np.repeat(value[None], len(batch), 0) for edge, value in values.items()}
    values[graph.x] = batch
    return {edge: value.astype(edge.dtype) for edge, value in values.items()}, moved


def _latest(value: np.ndarray, sizes: tuple[int, ...], moved: np.ndarray) -> int | None:
    """Whether changes show before, at or after their cause; None if nothing changes."""
    if value.shape[1 : 1 + len(sizes)] != tuple(sizes):
        return None
    flat = value.reshape(len(value), int(np.prod(sizes)), -1)
    tolerance = 1e-5 * max(1e-3, float(np.abs(flat).max()))
    rows, changed = np.nonzero((np.abs(flat[1:] - flat[:1]) > tolerance).any(axis=-1))
    if not len(rows):
        return None
    lag = (changed - moved[rows]).min()
    return BEFORE if lag > 0 else PRESENT if lag == 0 else FUTURE
