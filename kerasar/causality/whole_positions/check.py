"""Holds a translated network to the network itself: with random weights they are equal."""

import keras
import numpy as np
import tensorflow as tf

from kerasar.causality.graph import Edge, Graph
from kerasar.causality.randomize import DrawnWeights
from kerasar.typing import Tensor

_BATCH = 3
#: By how much outputs may differ, relative to the largest: rounding grows from layer to layer, and
#: more so where half the digits are kept.
_TOLERANCE, _ROUGH = 1e-3, 0.05


def computes_the_same(one: Graph, other: Graph) -> bool:
    """Whether two graphs with the same inputs have equal outputs, for random weights and data."""
    rng = np.random.default_rng(0)
    given = {edge: _random(edge, rng) for edge in (one.x, *one.conditions)}
    with DrawnWeights([one.network]).scope():
        expected, found = (_output(graph, given) for graph in (one, other))
    if expected.shape != found.shape:
        return False
    tolerance = _ROUGH if one.has_half_precision else _TOLERANCE
    largest = np.abs(expected).max(initial=0.0) * tolerance
    return bool(np.abs(expected - found).max(initial=0.0) <= largest)


def _output(graph: Graph, given: dict[Edge, Tensor]) -> np.ndarray:
    values = {**given, **graph.constant_values()}
    for _ in graph.run(values):
        pass
    return np.asarray(tf.cast(values[graph.output], tf.float64))


def _random(edge: Edge, rng: np.random.Generator) -> Tensor:
    shape = [_BATCH, *(size or 1 for size in edge.shape[1:])]
    if keras.backend.is_float_dtype(edge.dtype):
        return tf.cast(rng.normal(size=shape), edge.dtype)
    return tf.cast(rng.integers(2, size=shape), edge.dtype)
