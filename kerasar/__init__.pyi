"""The public names of kerasar, in one list for Python and for type checkers."""

from kerasar import causality as causality
from kerasar import compression as compression
from kerasar import data as data
from kerasar import density_models as density_models
from kerasar import distributions as distributions
from kerasar import forecasting as forecasting
from kerasar import layers as layers
from kerasar import models as models
from kerasar import pictures as pictures
from kerasar import sampling as sampling
from kerasar import scores as scores
from kerasar import serving as serving
from kerasar import testing as testing
from kerasar import training as training
from kerasar.causality import check_causal as check_causal
from kerasar.causality import receptive_field as receptive_field
from kerasar.compression import NotReadable as NotReadable
from kerasar.convolutionalize import convolution_report as convolution_report
from kerasar.convolutionalize import convolutionalize as convolutionalize
from kerasar.convolutionalize import to_window_model as to_window_model
from kerasar.density_models.autoencoder import AutoencoderModel as AutoencoderModel
from kerasar.density_models.autoregressive import AutoregressiveModel as AutoregressiveModel
from kerasar.density_models.flow import FlowModel as FlowModel
from kerasar.density_models.masked_input import MaskedInputModel as MaskedInputModel
from kerasar.density_models.vae import VAEModel as VAEModel
from kerasar.forecasting.backtest import backtest as backtest
from kerasar.forecasting.draw import forecast as forecast
from kerasar.loading import load as load
from kerasar.scores.detector import AnomalyDetector as AnomalyDetector
from kerasar.stepwise.explain import explain as explain

__version__: str
