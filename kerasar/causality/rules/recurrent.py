"""Recurrent layers, and what moves or mixes positions for good."""

from typing import Any

import keras

from kerasar.causality.graph import Node
from kerasar.causality.rules.registry import rule
from kerasar.keras_internals import operation_classes
from kerasar.layers.protocol import Declaration, MixesPositions, Recurrence
from kerasar.typing import Tensor

L = keras.layers


@rule(L.GRU, L.LSTM, L.SimpleRNN, L.RNN)
def _recurrent(node: Node, position_rank: int) -> Declaration:
    layer = node.operation
    if position_rank != 1:
        return MixesPositions("it runs over one axis of an image")
    if not layer.return_sequences:
        return MixesPositions("it returns the last state only; set return_sequences=True")
    if layer.go_backwards or layer.stateful or len(node.inputs) > 1 or layer.return_state:
        return MixesPositions("it runs backwards, keeps or takes or returns states")

    def initial(batch: Tensor) -> Any:
        return list(layer.get_initial_state(batch_size=batch))

    def step(x: Tensor, carry: Any, position: Tensor) -> tuple[Tensor, Any]:
        y, states = layer.cell(x, list(carry), training=False)
        return y, list(states) if isinstance(states, (list, tuple)) else [states]

    return Recurrence(initial, step)


@rule(L.Bidirectional)
def _bidirectional(node: Node, position_rank: int) -> Declaration:
    return MixesPositions("one of its directions comes from the future")


@rule(L.TimeDistributed)
def _time_distributed(node: Node, position_rank: int) -> Declaration | None:
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
    *operation_classes("Flip", "Roll", "Transpose", "Cumsum", "Sort", "Argsort"),
)
def _mixing(node: Node, position_rank: int) -> Declaration | None:
    name = type(node.operation).__name__
    if name == "Cumsum":
        return None
    return MixesPositions(f"{name} moves or mixes positions")
