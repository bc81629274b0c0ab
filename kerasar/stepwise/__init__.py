"""Runs the graph of a causal network index by index, nothing computed twice."""

from kerasar.stepwise.make_stepper import make_stepper as make_stepper
from kerasar.stepwise.raster_plan import NotSteppable as NotSteppable
