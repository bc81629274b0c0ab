"""How models are trained: the base of all models, metrics, the guard against NaN."""

if __name__ != "kerasar.training":
    raise ImportError(
        "This folder is the package kerasar.training; the 'training' at the top of the repository "
        "is only a door to it. Write 'import kerasar.training' instead."
    )

from kerasar.training.averaged_weights import AveragedWeights as AveragedWeights
from kerasar.training.checkpoints import Checkpoints as Checkpoints
from kerasar.training.density_model import DensityModel as DensityModel
from kerasar.training.metrics import BitsPerDim as BitsPerDim
from kerasar.training.metrics import Perplexity as Perplexity
from kerasar.training.muon import Muon as Muon
from kerasar.training.time_budget import TimeBudget as TimeBudget
from kerasar.training.workers import worker_strategy as worker_strategy
