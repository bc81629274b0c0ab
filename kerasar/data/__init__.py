"""Data to begin with, and readers for what users bring: arrays of numbers, ready for `fit`.

This room imports neither TensorFlow nor TensorFlow Datasets until a function needs them.
"""

from kerasar.data.catalog import DATASETS as DATASETS
from kerasar.data.digits import load_digits as load_digits
from kerasar.data.image_data import ImageData as ImageData
from kerasar.data.images import load_images as load_images
from kerasar.data.pipeline import pipeline as pipeline
from kerasar.data.toy_densities import TOY_DENSITIES as TOY_DENSITIES
from kerasar.data.toy_densities import mixture_entropy as mixture_entropy
from kerasar.data.toy_densities import mixture_log_prob as mixture_log_prob
from kerasar.data.toy_densities import toy_density as toy_density
from kerasar.data.vectors import VectorData as VectorData
from kerasar.data.vectors import load_vectors as load_vectors
