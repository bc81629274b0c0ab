"""One builder for each system of the papers."""

from kerasar.models.causal_conv_net import CausalConvNet as CausalConvNet
from kerasar.models.forecaster import Forecaster as Forecaster
from kerasar.models.gated_pixel_cnn import GatedPixelCNN as GatedPixelCNN
from kerasar.models.glow import Glow as Glow
from kerasar.models.linear_recurrent import LinearRecurrent as LinearRecurrent
from kerasar.models.maf import MAF as MAF
from kerasar.models.masked_input_conv_net import MaskedInputConvNet as MaskedInputConvNet
from kerasar.models.masked_input_le_net import MaskedInputLeNet as MaskedInputLeNet
from kerasar.models.multiscale_real_nvp import MultiscaleRealNVP as MultiscaleRealNVP
from kerasar.models.nade import NADE as NADE
from kerasar.models.neural_spline_flow import NeuralSplineFlow as NeuralSplineFlow
from kerasar.models.nice import NICE as NICE
from kerasar.models.piecewise_linear_flow import PiecewiseLinearFlow as PiecewiseLinearFlow
from kerasar.models.pixel_cnn import PixelCNN as PixelCNN
from kerasar.models.pixel_cnn_autoencoder import PixelCNNAutoencoder as PixelCNNAutoencoder
from kerasar.models.pixel_rnn import PixelRNN as PixelRNN
from kerasar.models.pixel_snail import PixelSNAIL as PixelSNAIL
from kerasar.models.pixel_vae import PixelVAE as PixelVAE
from kerasar.models.real_nvp import RealNVP as RealNVP
from kerasar.models.shifted_pixel_cnn import ShiftedPixelCNN as ShiftedPixelCNN
from kerasar.models.transformer import Transformer as Transformer
from kerasar.models.wave_net import WaveNet as WaveNet
