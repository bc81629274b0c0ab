"""One builder for each system of the papers."""

from kerasar.models.gated_pixel_cnn import GatedPixelCNN as GatedPixelCNN
from kerasar.models.pixel_cnn import PixelCNN as PixelCNN
from kerasar.models.pixel_rnn import PixelRNN as PixelRNN
from kerasar.models.shifted_pixel_cnn import ShiftedPixelCNN as ShiftedPixelCNN
