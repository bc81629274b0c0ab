"""From a model of one window to one pass over all time steps, and back."""

from kerasar.causality.convolutionalize.convert import convolutionalize as convolutionalize
