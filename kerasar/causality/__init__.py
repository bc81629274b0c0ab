"""Reads the graph of a network: proof of causality and receptive field."""

from kerasar.causality.proof import ReceptiveField as ReceptiveField
from kerasar.causality.proof import check_causal as check_causal
from kerasar.causality.proof import receptive_field as receptive_field
from kerasar.causality.sights import layer_sights as layer_sights
