"""One builder for each system of the papers."""

from kerasar.models.shifted_pixel_cnn import ShiftedPixelCNN as ShiftedPixelCNN
