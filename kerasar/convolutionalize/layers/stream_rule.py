"""Layers of converted window models: what is read differs from call to call."""

from kerasar.causality.graph import Node
from kerasar.causality.rules.registry import rule
from kerasar.convolutionalize.layers.stream_linear import StreamLinear
from kerasar.layers.protocol import Declaration


@rule(StreamLinear)
def _stream(node: Node, position_rank: int) -> Declaration:
    return node.operation.taps_of(node.arguments.kwargs.get("stream", 0))
