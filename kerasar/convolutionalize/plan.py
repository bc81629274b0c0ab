"""Reads a window model: which streams it consists of, and where each layer's columns are."""

import dataclasses

import keras
import numpy as np

from kerasar.causality.graph import Edge, Graph, read_graph
from kerasar.convolutionalize.column_rules import Refused, apply
from kerasar.convolutionalize.streams import Read, Stream, Streams


@dataclasses.dataclass(frozen=True)
class Plan:
    """A window model as streams.

    Attributes:
        graph: of the window model.
        inputs: of the window model, in its order; the first streams are theirs.
        window: how many values it sees.
        streams: those that the prediction needs, each after those that it reads.
        output: the prediction.
        entries: the elements of each tensor of the window model.
    """

    graph: Graph
    inputs: tuple[Edge, ...]
    window: int
    streams: list[Stream]
    output: Read
    entries: dict[Edge, np.ndarray]


def plan(window_model: keras.Model, join_first: bool = False) -> Plan:
    """Finds the streams of a window model.

    Args:
        window_model: built functional or sequential Keras model from a window, `(batch, window)` or
            `(batch, window, features)`, to one prediction.
        join_first: as for `Streams`.

    Raises:
        TypeError: if it is not a Keras model.
        ValueError: if it is not built, has several outputs, inputs of several lengths or an
            open one, an output that is not one column, or a layer that cannot be expressed; the
            layer is named.
    """
    graph = _graph(window_model)
    inputs = _inputs(graph)
    window = _window(graph, inputs)
    widths = [int(edge.shape[2] or 0) if len(edge.shape) == 3 else 1 for edge in inputs]
    streams = Streams(widths, join_first)
    entries = {}
    for number, (edge, width) in enumerate(zip(inputs, widths, strict=True)):
        shifts = [(number, window - 1 - column) for column in range(window)]
        tail = (width,) if len(edge.shape) == 3 else ()
        entries[edge] = streams.entries(shifts, width).reshape(window, *tail, 3)
    for node in graph.nodes:
        try:
            made = apply(node, [entries[edge] for edge in node.inputs], streams)
        except Refused as reason:
            raise ValueError(
                f"Layer '{node.name}' ({type(node.operation).__name__}) of window model "
                f"'{graph.name}' cannot be turned into one pass over all time steps: {reason}."
            ) from None
        entries.update(zip(node.outputs, made, strict=True))
    output = _column(graph, entries[graph.output], streams)
    return Plan(graph, inputs, window, streams.live(output[0]), output, entries)


def _graph(window_model: keras.Model) -> Graph:
    if not isinstance(window_model, keras.Model):
        raise TypeError(
            f"window_model must be a keras.Model, but got {type(window_model).__name__}."
        )
    if not window_model.built:
        raise ValueError(
            f"Window model '{window_model.name}' is not built, so the length of its window is "
            "unknown. Start it with keras.Input((window, features))."
        )
    graph = read_graph(window_model)
    # Layers stay whole: the new network is made of them, with the weights that they hold.
    return graph.close(dict.fromkeys(graph.opened, ""))


def _inputs(graph: Graph) -> tuple[Edge, ...]:
    """The inputs in the order of the window model."""
    names = [tensor.name for tensor in graph.network.inputs]
    return tuple(sorted((graph.x, *graph.conditions), key=lambda edge: names.index(edge.name)))


def _window(graph: Graph, inputs: tuple[Edge, ...]) -> int:
    for edge in inputs:
        which = "the input" if len(inputs) == 1 else f"input '{edge.name}'"
        if len(edge.shape) not in (2, 3):
            raise ValueError(
                f"A window model takes (batch, window) or (batch, window, features), but {which} "
                f"of '{graph.name}' has shape {edge.shape}. Images have no window."
            )
        if None in edge.shape[1:]:
            raise ValueError(
                "The window's length must be known, because it is how far back a prediction looks, "
                f"but {which} of '{graph.name}' has shape {edge.shape}. Build the model with "
                "keras.Input((window, features)), both given."
            )
    windows = {edge.name: edge.shape[1] for edge in inputs}
    if len(set(windows.values())) > 1:
        raise ValueError(
            f"All inputs of a window model are windows that end at the same step, of one length, "
            f"but those of '{graph.name}' have the lengths {windows}. Crop the longer ones inside "
            "the model, and repeat what holds for a whole window at each of its steps."
        )
    return int(graph.x.shape[1])  # type: ignore[arg-type]


def _column(graph: Graph, entries: np.ndarray, streams: Streams) -> Read:
    """The prediction: one vector, or one column."""
    if entries.ndim < 2 or any(size != 1 for size in entries.shape[:-2]):
        raise ValueError(
            f"A window model predicts one vector, (batch, units), or one column, (batch, 1, "
            f"units), but the output of '{graph.name}' has shape {graph.output.shape}. End it with "
            "Flatten and Dense."
        )
    stream, shift = streams.columns(entries.reshape(1, -1, 3))[0].tolist()
    return streams.filled([(stream, shift)], entries.shape[-2], graph.output.dtype)[0]
