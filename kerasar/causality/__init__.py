"""Reads a network: proof of causality, receptive field, step form."""

from kerasar.causality.proof import ReceptiveField as ReceptiveField
from kerasar.causality.proof import check_causal as check_causal
from kerasar.causality.proof import receptive_field as receptive_field
