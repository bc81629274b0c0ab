"""Data to begin with, and readers for what users bring: arrays of whole numbers, ready for `fit`.

This room imports neither TensorFlow nor TensorFlow Datasets until a function needs them.
"""

from kerasar.data.catalog import DATASETS as DATASETS
from kerasar.data.digits import load_digits as load_digits
from kerasar.data.image_data import ImageData as ImageData
from kerasar.data.images import load_images as load_images
from kerasar.data.pipeline import pipeline as pipeline
