"""Likelihoods of a network's output, base distributions of flows, and dequantization."""

from kerasar.distributions.base_distributions import BaseDistribution as BaseDistribution
from kerasar.distributions.base_distributions import Logistic as Logistic
from kerasar.distributions.base_distributions import StandardNormal as StandardNormal
from kerasar.distributions.base_distributions import Uniform as Uniform
from kerasar.distributions.dequantization import Dequantization as Dequantization
from kerasar.distributions.likelihoods import Bernoulli as Bernoulli
from kerasar.distributions.likelihoods import BernoulliNADE as BernoulliNADE
from kerasar.distributions.likelihoods import Categorical as Categorical
from kerasar.distributions.likelihoods import (
    DiscretizedLogisticMixture as DiscretizedLogisticMixture,
)
from kerasar.distributions.likelihoods import GaussianMixture as GaussianMixture
from kerasar.distributions.likelihoods import Independent as Independent
from kerasar.distributions.likelihoods import Likelihood as Likelihood
from kerasar.distributions.likelihoods import NegativeBinomial as NegativeBinomial
from kerasar.distributions.likelihoods import Relative as Relative
from kerasar.distributions.likelihoods import StudentT as StudentT
from kerasar.distributions.surprise import Surprise as Surprise
from kerasar.distributions.variational_dequantization import (
    VariationalDequantization as VariationalDequantization,
)
