"""What is optimised and how: likelihoods, the base of all models, metrics."""

if __name__ != "kerasar.training":
    raise ImportError(
        "This folder is the package kerasar.training; the 'training' at the top of the repository "
        "is only a door to it. Write 'import kerasar.training' instead."
    )

from kerasar.training.base_distributions import BaseDistribution as BaseDistribution
from kerasar.training.base_distributions import Logistic as Logistic
from kerasar.training.base_distributions import StandardNormal as StandardNormal
from kerasar.training.base_distributions import Uniform as Uniform
from kerasar.training.density_model import DensityModel as DensityModel
from kerasar.training.dequantization import Dequantization as Dequantization
from kerasar.training.likelihoods import Bernoulli as Bernoulli
from kerasar.training.likelihoods import BernoulliNADE as BernoulliNADE
from kerasar.training.likelihoods import Categorical as Categorical
from kerasar.training.likelihoods import (
    DiscretizedLogisticMixture as DiscretizedLogisticMixture,
)
from kerasar.training.likelihoods import GaussianMixture as GaussianMixture
from kerasar.training.likelihoods import Independent as Independent
from kerasar.training.likelihoods import Likelihood as Likelihood
from kerasar.training.metrics import BitsPerDim as BitsPerDim
from kerasar.training.metrics import Perplexity as Perplexity
from kerasar.training.variational_dequantization import (
    VariationalDequantization as VariationalDequantization,
)
