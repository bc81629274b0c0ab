"""Layers of converted window models: what is read differs from call to call."""

from kerasar.causality.rules.registry import Use, rule
from kerasar.convolutionalize.layers.stream_linear import StreamLinear
from kerasar.layers.protocol import Declaration


@rule(StreamLinear)
def _stream(use: Use) -> Declaration:
    return use.operation.taps_of(use.node.arguments.kwargs.get("stream", 0))
