"""Base distributions: the densities that flows map the data to."""

from kerasar.distributions.base_distributions.base import BaseDistribution as BaseDistribution
from kerasar.distributions.base_distributions.logistic import Logistic as Logistic
from kerasar.distributions.base_distributions.standard_normal import (
    StandardNormal as StandardNormal,
)
from kerasar.distributions.base_distributions.uniform import Uniform as Uniform
