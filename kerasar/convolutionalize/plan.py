"""Reads a window model: which streams it consists of, and where each layer's columns are."""

import dataclasses
from typing import Any

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
        window: how many values it sees.
        streams: those that the prediction needs, each after those that it reads.
        output: the prediction.
        entries: the elements of each tensor of the window model.
    """

    graph: Graph
    window: int
    streams: list[Stream]
    output: Read
    entries: dict[Edge, np.ndarray]


def plan(window_model: Any, join_first: bool = False) -> Plan:
    """Finds the streams of a window model.

    Args:
        window_model: built functional or sequential Keras model from a window, `(batch, window)` or
            `(batch, window, features)`, to one prediction.
        join_first: as for `Streams`.

    Raises:
        TypeError: if it is not a Keras model.
        ValueError: if it is not built, has several inputs or outputs, an open window length, an
            output that is not one column, or a layer that cannot be expressed; the layer is named.
    """
    graph = _graph(window_model)
    window = _window(graph)
    sizes = [int(size or 0) for size in graph.x.shape[1:]]
    features = sizes[1] if len(sizes) == 2 else 1
    streams = Streams(features, join_first)
    shifts = [(0, window - 1 - column) for column in range(window)]
    entries = {graph.x: streams.entries(shifts, features).reshape(*sizes, 3)}
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
    return Plan(graph, window, streams.live(output[0]), output, entries)


def _graph(window_model: Any) -> Graph:
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
    if graph.conditions:
        names = [graph.x.name, *(edge.name for edge in graph.conditions)]
        raise ValueError(
            f"A window model has one input, the window, but '{graph.name}' has {len(names)}: "
            f"{names}. Join what belongs to a time step as features of the window."
        )
    return graph


def _window(graph: Graph) -> int:
    shape = graph.x.shape
    if len(shape) not in (2, 3):
        raise ValueError(
            f"A window model takes (batch, window) or (batch, window, features), but the input of "
            f"'{graph.name}' has shape {shape}. Images have no window."
        )
    if None in shape[1:]:
        raise ValueError(
            "The window's length must be known, because it is how far back a prediction looks, "
            f"but the input of '{graph.name}' has shape {shape}. Build the model with "
            "keras.Input((window, features)), both given."
        )
    return int(shape[1])  # type: ignore[arg-type]


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
