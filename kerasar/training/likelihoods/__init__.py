"""Likelihoods: what the numbers that a network puts out say about the data."""

from kerasar.training.likelihoods.base import Likelihood as Likelihood
from kerasar.training.likelihoods.bernoulli import Bernoulli as Bernoulli
from kerasar.training.likelihoods.bernoulli_nade import BernoulliNADE as BernoulliNADE
from kerasar.training.likelihoods.categorical import Categorical as Categorical
from kerasar.training.likelihoods.discretized_logistic_mixture import (
    DiscretizedLogisticMixture as DiscretizedLogisticMixture,
)
from kerasar.training.likelihoods.gaussian_mixture import GaussianMixture as GaussianMixture
from kerasar.training.likelihoods.independent import Independent as Independent
