"""Runs the graph of a causal network index by index, nothing computed twice."""

from kerasar.stepwise.axis_program import NotSteppable as NotSteppable
from kerasar.stepwise.make_stepper import make_stepper as make_stepper
