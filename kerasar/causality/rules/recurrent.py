"""Recurrent layers, and what moves or mixes positions for good."""

from typing import Any

import keras
import tensorflow as tf

from kerasar.causality.rules.registry import Use, rule, tail_of
from kerasar.keras_internals import operation_classes
from kerasar.layers.protocol import POINTWISE, Declaration, MixesPositions, Recurrence
from kerasar.typing import Tensor

L = keras.layers


@rule(L.GRU, L.LSTM, L.SimpleRNN, L.RNN)
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
    if any(part is not None for part in keras.tree.flatten(node.arguments.kwargs.get("mask"))):
        return MixesPositions("it is given a mask, which single positions do not have")
    states = node.inputs[1:]
    if any(edge in use.data_dependent for edge in states):
        return MixesPositions("its initial state depends on the data")

    def initial(batch: Tensor, *given: Tensor) -> Any:
        states = given or layer.get_initial_state(batch_size=batch)
        return [tf.cast(state, layer.compute_dtype) for state in states]

    def step(x: Tensor, carry: Any, position: Tensor) -> tuple[Tensor, Any]:
        y, states = layer.cell(x, list(carry), training=False)
        return y, list(states) if isinstance(states, (list, tuple)) else [states]

    return Recurrence(initial, step, given=tuple(range(1, len(node.inputs))))


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


@rule(L.TimeDistributed)
def _time_distributed(use: Use) -> Declaration | None:
    return None


@rule(
    L.Flatten,
    L.Permute,
    L.GlobalAveragePooling1D,
    L.GlobalMaxPooling1D,
    L.GlobalAveragePooling2D,
    L.GlobalMaxPooling2D,
    L.UpSampling1D,
    L.UpSampling2D,
    *operation_classes("Flip", "Roll", "Transpose", "Sort", "Argsort"),
)
def _mixing(use: Use) -> Declaration:
    return MixesPositions(f"{type(use.operation).__name__} moves or mixes positions")
