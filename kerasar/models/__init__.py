"""One builder for each system of the papers."""

from kerasar.models.glow import Glow as Glow
from kerasar.models.maf import MAF as MAF
from kerasar.models.multiscale_real_nvp import MultiscaleRealNVP as MultiscaleRealNVP
from kerasar.models.neural_spline_flow import NeuralSplineFlow as NeuralSplineFlow
from kerasar.models.nice import NICE as NICE
from kerasar.models.piecewise_linear_flow import PiecewiseLinearFlow as PiecewiseLinearFlow
from kerasar.models.real_nvp import RealNVP as RealNVP
from kerasar.models.shifted_pixel_cnn import ShiftedPixelCNN as ShiftedPixelCNN
