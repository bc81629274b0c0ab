"""Likelihoods: distributions of the data whose parameters a network outputs."""

from kerasar.distributions.likelihoods.base import Likelihood as Likelihood
from kerasar.distributions.likelihoods.bernoulli import Bernoulli as Bernoulli
from kerasar.distributions.likelihoods.bernoulli_nade import BernoulliNADE as BernoulliNADE
from kerasar.distributions.likelihoods.categorical import Categorical as Categorical
from kerasar.distributions.likelihoods.discretized_logistic_mixture import (
    DiscretizedLogisticMixture as DiscretizedLogisticMixture,
)
from kerasar.distributions.likelihoods.gaussian_mixture import GaussianMixture as GaussianMixture
from kerasar.distributions.likelihoods.independent import Independent as Independent
from kerasar.distributions.likelihoods.negative_binomial import (
    NegativeBinomial as NegativeBinomial,
)
from kerasar.distributions.likelihoods.relative import Relative as Relative
from kerasar.distributions.likelihoods.student_t import StudentT as StudentT
