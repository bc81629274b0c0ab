"""`keras.ops.associative_scan` and `keras.ops.scan`: recurrences whose step is a given function.

The function is read as a network is: called on symbolic tensors, its operations judged by their
rules. That of an associative scan is applied to many positions at once, so it must treat each by
itself. That of a scan sees one step after the other whatever it does.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from kerasar.causality.associative_scan import ASSOCIATIVE_SCANS
from kerasar.causality.node import Node, flat_nodes
from kerasar.causality.rules.registry import Use, declaration, rule, tail_of
from kerasar.causality.scan_operations import SCANS, SequenceScan
from kerasar.keras_internals import (
    automatic_names_kept,
    forget_calls,
    functional_graph,
    nodes_of,
)
from kerasar.layers.protocol import Declaration, MixesPositions, Pointwise, Recurrence, Taps
from kerasar.typing import Shape, Tensor


@rule(*ASSOCIATIVE_SCANS)
def _associative_scan(use: Use) -> Declaration | None:
    node, operation = use.node, use.operation
    f, elems = _arguments(node, "f", "elems")
    parts = inputs_in(node, elems)
    if None in parts:
        return MixesPositions("an array among its elems is the same for all examples; repeat it")
    axis = operation.axis % use.rank
    over_positions = axis <= use.position_rank
    if over_positions and (use.position_rank != 1 or axis != use.axis):
        return MixesPositions(f"it runs over axis {axis}, which does not hold a sequence's steps")
    if over_positions and operation.reverse:
        return MixesPositions("reverse=True runs it from the future to the past")
    edges = [node.inputs[part] for part in parts]
    rank = max(use.position_rank, axis)  # all axes up to its own must be left alone
    shapes: list[Shape] = [(*[None] * (rank + 1), *edge.shape[rank + 1 :]) for edge in edges]
    mixing = _mixing(f, [_symbols(elems, shapes), _symbols(elems, shapes)], rank)
    if mixing is None:
        return None
    if mixing:
        return MixesPositions(f"its function treats positions unlike or together: {mixing}")
    if not over_positions:
        return Pointwise()

    def initial(batch: Tensor) -> list[Tensor]:
        return [tf.zeros(tf.stack([batch, *tail_of(edge, axis)]), edge.dtype) for edge in edges]

    def step(x: Any, carry: list[Tensor], position: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        values = x if isinstance(x, list) else [x]
        now = [tf.expand_dims(values[part], axis) for part in parts]
        before = [tf.expand_dims(part, axis) for part in carry]
        joined = f(tree.pack_sequence_as(elems, before), tree.pack_sequence_as(elems, now))
        # There is nothing before the first element: no value need be neutral to `f`.
        pairs = zip(tree.flatten(joined), now, strict=True)
        after = [tf.squeeze(tf.where(position > 0, new, own), axis) for new, own in pairs]
        return [part for index, part in enumerate(after) if index not in node.unread], after

    return Recurrence(initial, step)


@rule(*SCANS)
def _scan(use: Use) -> Declaration:
    node, operation = use.node, use.operation
    is_turned = isinstance(operation, SequenceScan)
    if use.position_rank != 1 or use.axis != int(is_turned):
        return MixesPositions(
            "it runs over axis 0, which holds the examples; bring the steps there by "
            "keras.ops.transpose, and back behind it"
        )
    refusal = scan_refusal(node)
    if refusal is not None:
        return MixesPositions(refusal)
    f, init, xs, captures = scan_arguments(node)
    states, parts, used = tree.flatten(init), inputs_in(node, xs), inputs_in(node, captures)
    edges, axis = [node.inputs[part] for part in parts], int(is_turned)
    sources = inputs_in(node, init)
    for index in [*sources, *used]:
        if index is not None and node.inputs[index] in use.data_dependent:
            if index in sources:
                return MixesPositions("its initial state depends on the data")
            name = node.inputs[index].name
            return MixesPositions(f"its function uses tensor '{name}', which depends on the data")
    batch_size = edges[0].shape[1 - axis]
    if not all(_is_by_example(state, batch_size) for state in states):
        return MixesPositions("its initial state does not hold the examples on its first axis")
    for index in used:
        if node.inputs[index].shape[:1] not in ((batch_size,), (1,)):
            return MixesPositions(
                f"its function uses tensor '{node.inputs[index].name}', which does not hold the "
                "examples on its first axis"
            )
    symbols = [
        _symbols(init, [(None, *state.shape[1:]) for state in states]),
        _symbols(xs, [(None, *tail_of(edge, axis)) for edge in edges]),
    ]
    if used:
        heads = [(None, *node.inputs[index].shape[1:]) for index in used]
        symbols.append(_symbols(captures, heads))
    mixing = _mixing(f, symbols, 0)
    if mixing:
        return MixesPositions(f"its function mixes the examples of a batch: {mixing}")
    known = {node.inputs[index] for index in [*sources, *used] if index is not None}
    given = tuple(index for index, edge in enumerate(node.inputs) if edge in known)
    running = [index for index in range(len(node.inputs)) if index not in given]

    def initial(batch: Tensor, *values: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        of = {node.inputs[index]: value for index, value in zip(given, values, strict=True)}
        pairs = zip(states, sources, strict=True)
        first = [state[:1] if n is None else of[node.inputs[n]] for state, n in pairs]
        rest = [of[node.inputs[index]] for index in used]
        return _of_all(first, batch), _of_all(rest, batch)

    def step(x: Any, carry: Any, position: Tensor) -> tuple[list[Tensor], Any]:
        values, (before, rest) = x if isinstance(x, list) else [x], carry
        now = [values[running.index(part)] for part in parts]
        packed = tree.pack_sequence_as(init, before), tree.pack_sequence_as(xs, now)
        state, y = f(*packed, rest) if rest else f(*packed)
        made = tree.flatten(y)
        return [made[index - len(states)] for index in _reads(node)], (tree.flatten(state), rest)

    return Recurrence(initial, step, given=given)


def scan_refusal(node: Node) -> str | None:
    """Why a scan is no recurrence over the steps, whatever its axes hold; None if it may be one."""
    _, init, xs, _ = scan_arguments(node)
    parts = inputs_in(node, xs)
    if node.operation.reverse:
        return "reverse=True runs it from the future to the past"
    if not parts or None in parts or node.operation.length not in (None, _length(xs)):
        return "it does not run over tensors, each step its own; leave length out"
    if any(index < len(tree.flatten(init)) for index in _reads(node)):
        return "its last state is read, and has seen everything"
    if isinstance(node.operation, SequenceScan) and not all(
        has_batch_first for _, has_batch_first in node.operation.reads
    ):
        return (
            "its result is read with the steps on axis 0; let keras.ops.transpose bring them back, "
            "with nothing in between but operations on channels"
        )
    return None


def _of_all(values: list[Tensor], batch: Tensor) -> list[Tensor]:
    """Values for each example of what may hold one for all of them."""
    return [tf.broadcast_to(part, tf.stack([batch, *part.shape[1:]])) for part in values]


def _reads(node: Node) -> Sequence[int]:
    """Which of the flattened outputs of a scan are read."""
    if isinstance(node.operation, SequenceScan):
        return [index for index, _ in node.operation.reads]
    count = len(node.outputs) + len(node.unread)
    return [index for index in range(count) if index not in node.unread]


def _length(xs: Any) -> int | None:
    parts = [] if xs is None else tree.flatten(xs)
    return parts[0].shape[0] if parts else None


def scan_arguments(node: Node) -> list[Any]:
    """The function of a scan, its initial state, what it runs over, and what else it uses."""
    return _arguments(node, "f", "init", "xs", "captures")


def _arguments(node: Node, *names: str) -> list[Any]:
    """The arguments of the call, by name, as they were written down."""
    args, kwargs = node.constants
    given = dict(zip(names, args, strict=False)) | kwargs
    return [given.get(name) for name in names]


def inputs_in(node: Node, structure: Any) -> list[Any]:
    """For each part of a structure which input of the node it is; None for constants."""
    edges = dict(node.slots)
    parts = [] if structure is None else tree.flatten(structure)
    return [node.inputs.index(edges[id(p)]) if id(p) in edges else None for p in parts]


def _symbols(structure: Any, shapes: Sequence[Shape]) -> Any:
    """The structure with symbolic tensors of these shapes."""
    dtypes = [keras.backend.standardize_dtype(part.dtype) for part in tree.flatten(structure)]
    pairs = zip(shapes, dtypes, strict=True)
    inputs = [keras.Input(batch_shape=shape, dtype=dtype) for shape, dtype in pairs]
    return tree.pack_sequence_as(structure, inputs)


def _mixing(f: Callable[..., Any], arguments: list[Any], position_rank: int) -> str | None:
    """Which operation of a function mixes positions, or examples; "": none; None: unknown.

    Args:
        f: the function.
        arguments: structures of symbolic tensors.
        position_rank: number of position axes behind the batch.
    """
    try:
        with automatic_names_kept():
            results = tree.flatten(f(*arguments))
            made = [part for part in results if isinstance(part, keras.KerasTensor)]
            function = functional_graph(keras.Model(tree.flatten(arguments), made, name="function"))
    except Exception:  # whatever a function that is not made of keras.ops may raise
        return None
    nodes = flat_nodes(function)
    forget_calls(list(nodes_of(function)))
    edges = {edge for node in nodes for edge in (*node.inputs, *node.outputs)}
    unknown = False
    for node in nodes:
        declared = declaration(node, position_rank, edges)
        unknown = unknown or declared is None
        if isinstance(declared, MixesPositions):
            return f"operation '{node.name}' ({declared.reason})"
        if is_here(declared):
            continue
        if declared is not None and not isinstance(declared, Pointwise):
            return f"operation '{node.name}' ({type(node.operation).__name__})"
    return None if unknown else ""


def is_here(declared: Declaration | None) -> bool:
    """Whether taps read their own position only."""
    if not isinstance(declared, Taps) or any(declared.length_change or ()):
        return False
    return not any(any(offset) for offset in declared.offsets)


def _is_by_example(state: Any, batch_size: int | None) -> bool:
    """Whether a state has an entry for each example, and constants the same for all."""
    shape = tuple(getattr(state, "shape", ()))  # none for a number
    if not shape or shape[0] not in (batch_size, 1):
        return False
    return isinstance(state, keras.KerasTensor) or bool((np.ptp(state, axis=0) == 0).all())
