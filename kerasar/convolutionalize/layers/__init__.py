"""Layers of converted window models: what each reads differs from call to call."""

from kerasar.convolutionalize.layers import stream_rule as _stream_rule  # noqa: F401  (registers)
