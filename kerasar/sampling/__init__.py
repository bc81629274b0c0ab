"""Drawing from a model: noise, samplers, in-painting."""

from kerasar.sampling.generate import METHODS as METHODS
from kerasar.sampling.generate import generate as generate
