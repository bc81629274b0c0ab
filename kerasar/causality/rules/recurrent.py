"""Recurrent layers, and what moves or mixes positions for good."""

from typing import Any

import keras

from kerasar.causality.rules.activations import is_elementwise
from kerasar.causality.rules.registry import Use, rule
from kerasar.keras_internals import operation_classes
from kerasar.layers.protocol import Declaration, MixesPositions, Recurrence
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
    if layer.return_state:
        return MixesPositions("return_state=True returns the last state, which has seen everything")
    if any(part is not None for part in keras.tree.flatten(node.arguments.kwargs.get("mask"))):
        return MixesPositions("it is given a mask, which single positions do not have")
    states = node.inputs[1:]
    if any(edge in use.data_dependent for edge in states):
        return MixesPositions("its initial state depends on the data")

    def initial(batch: Tensor) -> Any:
        return list(layer.get_initial_state(batch_size=batch))

    def step(x: Tensor, carry: Any, position: Tensor) -> tuple[Tensor, Any]:
        y, states = layer.cell(x, list(carry), training=False)
        return y, list(states) if isinstance(states, (list, tuple)) else [states]

    return Recurrence(initial, step, given_state=bool(states))


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
    *operation_classes("Flip", "Roll", "Transpose", "Cumsum", "Sort", "Argsort"),
)
def _mixing(use: Use) -> Declaration | None:
    name = type(use.operation).__name__
    if name == "Cumsum":
        return None
    return MixesPositions(f"{name} moves or mixes positions")
