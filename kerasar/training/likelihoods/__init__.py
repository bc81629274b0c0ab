"""Likelihoods: what the numbers that a network puts out say about the data."""

from kerasar.training.likelihoods.base import Likelihood as Likelihood
from kerasar.training.likelihoods.bernoulli import Bernoulli as Bernoulli
from kerasar.training.likelihoods.categorical import Categorical as Categorical
