"""Runs the graph of a causal network index by index, nothing computed twice."""

from kerasar.stepwise.raster_plan import NotSteppable as NotSteppable
from kerasar.stepwise.step_form import step_form as step_form
