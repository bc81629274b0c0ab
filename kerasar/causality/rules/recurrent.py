"""Recurrent layers, and what moves or mixes positions for good."""

from typing import Any

import keras
import tensorflow as tf

from kerasar.causality.rules.activations import is_elementwise
from kerasar.causality.rules.registry import Use, rule, tail_of
from kerasar.keras_internals import operation_classes
from kerasar.layers.protocol import POINTWISE, Declaration, MixesPositions, Recurrence
from kerasar.typing import Tensor

L = keras.layers
_CELLS = (L.SimpleRNNCell, L.GRUCell, L.LSTMCell)


def holds_unknown_cell(layer: Any) -> bool:
    """Whether a recurrent layer runs a cell of which more than its place is unknown."""
    return isinstance(layer, L.RNN) and not _is_known(layer.cell)


def _is_known(cell: Any) -> bool:
    if type(cell) is L.StackedRNNCells:
        return all(map(_is_known, cell.cells))
    functions = ("activation", "recurrent_activation")
    return type(cell) in _CELLS and all(
        is_elementwise(getattr(cell, name, None)) for name in functions
    )


@rule(L.GRU, L.LSTM, L.SimpleRNN, L.RNN, L.ConvLSTM1D, L.ConvLSTM2D)
def _recurrent(use: Use) -> Declaration:
    layer, node = use.operation, use.node
    if use.position_rank != 1:
        return MixesPositions("it runs over one axis of an image")
    if not layer.return_sequences:
        return MixesPositions("it returns the last state only; set return_sequences=True")
    if layer.go_backwards:
        return MixesPositions("go_backwards=True runs it from the future to the past")
    if layer.stateful:
        return MixesPositions("stateful=True keeps its state from call to call")
    if len(node.outputs) > 1 or 0 in node.unread:
        return MixesPositions("its last state is read (return_state=True), and has seen everything")
    states = tuple(map(node.inputs.index, use.argument("initial_state", 1)))
    masks = use.argument("mask", 2)
    if any(node.inputs[index] in use.data_dependent for index in states):
        return MixesPositions("its initial state depends on the data")
    if masks and len(masks[0].shape) != 2:
        return MixesPositions("its mask is not of shape (batch, steps)")
    return Recurrence(*_steps(layer, bool(masks), use), given=states)


def _steps(layer: Any, is_masked: bool, use: Use) -> tuple[Any, Any]:
    """The initial carry of a layer and its step: the cell's states, and the output before.

    Where a mask is False, Keras keeps the states, and repeats the output before or puts out zeros.
    """
    shape, dtype = use.node.outputs[0].shape[2:], use.node.outputs[0].dtype

    def initial(batch: Tensor, *given: Tensor) -> Any:
        states = [tf.cast(state, layer.cell.compute_dtype) for state in given]
        states = states or list(layer.get_initial_state(batch_size=batch))
        return (states, tf.zeros(tf.stack([batch, *shape]), dtype)) if is_masked else states

    def step(x: Tensor, carry: Any, position: Tensor) -> tuple[Tensor, Any]:
        y, states = layer.cell(x, list(carry), training=False)
        return y, list(states) if isinstance(states, (list, tuple)) else [states]

    def masked_step(x: list[Tensor], carry: Any, position: Tensor) -> tuple[Tensor, Any]:
        value, runs = x[0], tf.cast(x[1], tf.bool)
        before, last = carry
        y, states = step(value, before, position)
        rest = tf.zeros_like(y) if layer.zero_output_for_mask else last
        y = _where(runs, y, rest)
        return y, (tf.nest.map_structure(lambda a, b: _where(runs, a, b), states, before), y)

    return initial, masked_step if is_masked else step


def _where(runs: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """One of two tensors for each example."""
    return tf.where(tf.reshape(runs, [-1] + [1] * (len(one.shape) - 1)), one, other)


@rule(*operation_classes("Cumsum", "Cumprod"))
def _cumulative(use: Use) -> Declaration:
    operation, (made,) = use.operation, use.node.outputs
    if operation.axis is None:
        return MixesPositions("it has axis=None, which flattens; pass the axis of the positions")
    axis = operation.axis % use.rank
    if axis > use.position_rank:
        return POINTWISE
    if axis != use.axis or use.position_rank != 1:
        return MixesPositions(f"it runs over axis {axis}, which is not that of a sequence's steps")
    is_sum = type(operation) in operation_classes("Cumsum")
    join, start = (tf.add, tf.zeros) if is_sum else (tf.multiply, tf.ones)

    def initial(batch: Tensor) -> Tensor:
        return start(tf.stack([batch, *tail_of(made, axis)]), made.dtype)

    def step(x: Tensor, carry: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        total = join(carry, tf.cast(x, carry.dtype))
        return total, total

    return Recurrence(initial, step)


@rule(L.Bidirectional)
def _bidirectional(use: Use) -> Declaration:
    return MixesPositions("one of its directions comes from the future")


@rule(
    L.GlobalAveragePooling1D,
    L.GlobalMaxPooling1D,
    L.GlobalAveragePooling2D,
    L.GlobalMaxPooling2D,
    L.UpSampling1D,
    L.UpSampling2D,
)
def _mixing(use: Use) -> Declaration:
    return MixesPositions(f"{type(use.operation).__name__} moves or mixes positions")
