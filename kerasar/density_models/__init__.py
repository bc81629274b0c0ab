"""The model classes, each in two halves: a density that is trained, and its use."""

from kerasar.density_models.autoencoder import AutoencoderModel as AutoencoderModel
from kerasar.density_models.autoregressive import AutoregressiveModel as AutoregressiveModel
from kerasar.density_models.flow import FlowModel as FlowModel
from kerasar.density_models.masked_input import MaskedInputModel as MaskedInputModel
from kerasar.density_models.ordered import OrderedModel as OrderedModel
from kerasar.density_models.vae import VAEModel as VAEModel
