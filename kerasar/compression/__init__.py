"""Lossless compression: a model with exact probabilities is one half of a coder."""

from kerasar.compression.codec import compress as compress
from kerasar.compression.codec import decompress as decompress
from kerasar.compression.file_format import NotReadable as NotReadable
