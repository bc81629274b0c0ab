"""Reads a network and says what each output sees."""

from kerasar.causality.probe import check_causal as check_causal
