"""Reads the graph of a network: proof of causality and receptive field."""

from kerasar.causality.layer_report import layer_receptive_fields as layer_receptive_fields
from kerasar.causality.proof import ReceptiveField as ReceptiveField
from kerasar.causality.proof import check_causal as check_causal
from kerasar.causality.proof import receptive_field as receptive_field
