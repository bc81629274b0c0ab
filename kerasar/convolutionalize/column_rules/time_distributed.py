"""A layer that is called on each step of a window by itself."""

import keras
import numpy as np

from kerasar.causality.graph import Graph, Node, read_graph
from kerasar.convolutionalize.column_rules.common import Entries, Refused
from kerasar.convolutionalize.streams import Streams


def time_distributed(node: Node, entries: Entries, streams: Streams) -> Entries:
    """The layer's own rule, or those of the layers of a model, on each step of the window."""
    if len(entries) != 1:
        raise Refused("it takes a mask, which streams do not have")
    edge = node.inputs[0]
    x = keras.Input(edge.shape[2:], dtype=edge.dtype)
    try:
        graph = read_graph(keras.Model(x, node.operation.layer(x)))
    except ValueError as error:
        raise Refused(f"it wraps what cannot be read: {error}") from None
    return [np.stack([_applied(graph, step, streams) for step in entries[0]])]


def _applied(graph: Graph, step: np.ndarray, streams: Streams) -> np.ndarray:
    from kerasar.convolutionalize.column_rules import apply  # which has this rule, too

    entries = {graph.x: step}
    for node in graph.nodes:
        try:
            made = apply(node, [entries[edge] for edge in node.inputs], streams)
        except Refused as reason:
            kind = type(node.operation).__name__
            raise Refused(f"inside of it, layer '{node.name}' ({kind}): {reason}") from None
        entries.update(zip(node.outputs, made, strict=True))
    return entries[graph.output]
