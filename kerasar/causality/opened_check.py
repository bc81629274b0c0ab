"""Holds the pieces of an opened layer to the layer itself: with random weights they are equal.

A value that a trace has frozen, a weight that it has missed, a cast or a mask that Keras adds
around `call`: all of them show as other outputs. Layers of the same class, attributes and shapes
are checked once.
"""

import functools
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.causality.layer_key import layer_key
from kerasar.causality.layer_view import CannotOpen
from kerasar.causality.node import Edge, Node
from kerasar.causality.randomize import DrawnWeights
from kerasar.causality.scan_operations import SCANS
from kerasar.keras_internals import mask_of, nested_layers
from kerasar.typing import Shape, Tensor

#: Numbers of examples, and what an open size is taken to be.
_BATCHES, _OPEN = (1, 3), (5, 24, 96, 1_000)
#: How often weights are drawn; by how much outputs may differ, relative to the largest.
_DRAWS, _TOLERANCE = 2, 1e-6
#: Up to which size a loop over an axis costs less than making a graph of it.
_SHORT = 48
#: What integers lie below, where no embedding limits them.
_INTEGERS = 1_000
_CHECKED: weakref.WeakKeyDictionary[type, set[str]] = weakref.WeakKeyDictionary()


def check_opened(
    whole: Node,
    pieces: Sequence[Node],
    outputs: Sequence[Edge],
    constants: Mapping[Edge, Any],
) -> None:
    """Raises CannotOpen unless the pieces compute what the layer does.

    Args:
        whole: the layer as one node.
        pieces: what it was opened into.
        outputs: their outputs; what is the same for all examples may be there once.
        constants: of the pieces: arrays and weights by edge.
    """
    key = layer_key(whole.operation, _use(whole))
    checked = _CHECKED.setdefault(type(whole.operation), set())
    if key in checked:
        return
    rng = np.random.default_rng(0)
    is_compared = False
    for seed in range(_DRAWS):
        weights = DrawnWeights([whole.operation], seed, buffers=True)
        for values in _inputs(whole, rng, _OPEN[1:3] if _holds_scan(pieces) else _OPEN):
            is_compared |= _compare(whole, pieces, outputs, constants, weights, values)
    if not is_compared:
        raise CannotOpen("it could not be called alone to compare it with its pieces")
    if key is not None:
        checked.add(key)


def _use(whole: Node) -> list[Any]:
    """How the layer is called."""

    def text(part: Any) -> Any:
        return np.asarray(part) if isinstance(part, (np.ndarray, tf.Tensor)) else repr(part)

    names = {key: f"tensor {number}" for number, (key, _) in enumerate(whole.slots)}
    arguments = whole.arguments.convert(lambda part: names.get(id(part)) or text(part))
    return [repr([(edge.shape, edge.dtype) for edge in whole.inputs]), arguments]


def _inputs(
    whole: Node, rng: np.random.Generator, sizes: Sequence[int]
) -> Iterator[dict[Edge, Tensor]]:
    """Random inputs, of several sizes where these are open."""
    limits = sorted({_INTEGERS, 2, *_table_sizes(whole.operation)}, reverse=True)
    is_open = any(None in edge.shape[1:] for edge in whole.inputs)
    for batch in _BATCHES:
        for size in sizes if is_open else (0,):
            for limit in limits if any(_is_integer(edge) for edge in whole.inputs) else [2]:
                yield {
                    edge: tf.convert_to_tensor(_random(edge, batch, size, limit, rng))
                    for edge in dict.fromkeys(whole.inputs)
                }


def _table_sizes(layer: Any) -> list[int]:
    """How many rows the tables of embeddings have."""
    sizes = (getattr(part, "input_dim", None) for part in nested_layers(layer))
    return [size for size in sizes if isinstance(size, int) and size > 0]


def _is_integer(edge: Edge) -> bool:
    return edge.dtype != "bool" and not keras.backend.is_float_dtype(edge.dtype)


def _random(edge: Edge, batch: int, size: int, limit: int, rng: np.random.Generator) -> np.ndarray:
    shape = _filled(edge.shape, batch, size)
    if keras.backend.is_float_dtype(edge.dtype):
        return np.asarray(tf.cast(rng.normal(size=shape), edge.dtype))
    return rng.integers(2 if edge.dtype == "bool" else limit, size=shape).astype(edge.dtype)


def _filled(shape: Shape, batch: int, size: int) -> tuple[int, ...]:
    head = tuple(batch if part is None else part for part in shape[:1])
    return head + tuple(size if part is None else part for part in shape[1:])


def _compare(
    whole: Node,
    pieces: Sequence[Node],
    outputs: Sequence[Edge],
    constants: Mapping[Edge, Any],
    weights: DrawnWeights,
    values: dict[Edge, Tensor],
) -> bool:
    """Whether the layer takes these inputs; CannotOpen if its pieces then differ."""
    is_long = max(max(value.shape, default=0) for value in values.values()) > _SHORT
    run = _run_in_graph if is_long and _holds_scan(pieces) else _run

    def run_pieces(training: bool) -> list[Tensor]:
        found = dict(values)
        for edge, value in constants.items():
            found[edge] = keras.ops.convert_to_tensor(value)
        for piece in pieces:
            found.update(zip(piece.outputs, piece.run(found, training), strict=True))
        return [found[edge] for edge in outputs]

    for training in (False, True):
        try:
            with weights.scope():
                expected = run(functools.partial(whole.run, values, training))
        except Exception:
            return False  # such as integers beyond the rows of a table
        try:
            with weights.scope():
                others = run(functools.partial(run_pieces, training))
        except Exception as error:
            text = " ".join(str(error).split())[:160]
            raise CannotOpen(
                f"its pieces cannot be run ({type(error).__name__}: {text})"
            ) from error
        for one, other, edge, own in zip(expected, others, outputs, whole.outputs, strict=True):
            if own.shape[:1] == (None,) and edge.shape[:1] == (1,):
                other = tf.repeat(other, tf.shape(one)[0], axis=0)
            if not _equal(one, other):
                raise CannotOpen(
                    f"its pieces compute something else{' in training' if training else ''}: it "
                    "keeps a value or a state, or depends on more than its inputs and weights"
                )
            masks = mask_of(one), mask_of(other)
            if (masks[0] is None) != (masks[1] is None):
                raise CannotOpen("it passes a mask along with its output")
    return True


def _holds_scan(pieces: Sequence[Node]) -> bool:
    return any(type(piece.operation) in SCANS for piece in pieces)


def _run(function: Callable[[], Any]) -> Any:
    return function()


def _run_in_graph(function: Callable[[], Any]) -> Any:
    """For long loops, which take a millisecond a step where they are not part of a graph."""
    return tf.function(function, autograph=False).get_concrete_function()()


def _equal(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    a, b = (np.asarray(tf.cast(part, tf.float64)) for part in (one, other))
    with np.errstate(invalid="ignore"):
        gap = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    finite = np.abs(a[np.isfinite(a)])
    return bool((gap <= _TOLERANCE * finite.max(initial=0.0)).all())
