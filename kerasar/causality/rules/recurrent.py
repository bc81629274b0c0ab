"""Recurrent layers, and what moves or mixes positions for good."""

from typing import Any

import keras
import tensorflow as tf

from kerasar.causality.rules.registry import Use, rule
from kerasar.layers.protocol import Declaration, MixesPositions, Recurrence
from kerasar.typing import Tensor

L = keras.layers


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
    if any(edge in use.read for edge in node.outputs[1:]):
        return MixesPositions("its last state is used, which has seen everything")
    states = tuple(map(node.inputs.index, use.argument("initial_state", 1)))
    masks = use.argument("mask", 2)
    mask = node.inputs.index(masks[0]) if masks else None
    if any(node.inputs[index] in use.data_dependent for index in states):
        return MixesPositions("its initial state depends on the data")
    if mask is not None and len(node.inputs[mask].shape) != 2:
        return MixesPositions("its mask is not of shape (batch, steps)")
    return Recurrence(*_steps(layer, mask is not None, use), states=states, mask=mask)


def _steps(layer: Any, is_masked: bool, use: Use) -> tuple[Any, Any]:
    """The initial carry of a layer and its step: the cell's states, and the output before.

    Where a mask is False, Keras keeps the states, and repeats the output before or puts out zeros.
    """
    shape, dtype = use.node.outputs[0].shape[2:], use.node.outputs[0].dtype

    def initial(batch: Tensor, given: list[Tensor] | None = None) -> Any:
        if given is None:
            states = list(layer.get_initial_state(batch_size=batch))
        else:
            states = [tf.cast(state, layer.cell.compute_dtype) for state in given]
        if not is_masked:
            return states
        return states, tf.zeros(tf.stack([batch, *shape]), dtype)

    def step(x: Tensor, carry: Any, position: Tensor) -> tuple[Tensor, Any]:
        y, states = layer.cell(x, list(carry), training=False)
        return y, list(states) if isinstance(states, (list, tuple)) else [states]

    def masked_step(x: tuple[Tensor, Tensor], carry: Any, position: Tensor) -> tuple[Tensor, Any]:
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
def _mixing(use: Use) -> Declaration | None:
    return MixesPositions(f"{type(use.operation).__name__} moves or mixes positions")
