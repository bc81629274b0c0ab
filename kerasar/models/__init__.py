"""One builder for each system of the papers."""

from kerasar.models.causal_conv_net import CausalConvNet as CausalConvNet
from kerasar.models.gated_pixel_cnn import GatedPixelCNN as GatedPixelCNN
from kerasar.models.masked_input_conv_net import MaskedInputConvNet as MaskedInputConvNet
from kerasar.models.masked_input_le_net import MaskedInputLeNet as MaskedInputLeNet
from kerasar.models.nade import NADE as NADE
from kerasar.models.pixel_cnn import PixelCNN as PixelCNN
from kerasar.models.pixel_rnn import PixelRNN as PixelRNN
from kerasar.models.shifted_pixel_cnn import ShiftedPixelCNN as ShiftedPixelCNN
from kerasar.models.wave_net import WaveNet as WaveNet
