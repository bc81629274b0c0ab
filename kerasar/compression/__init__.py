"""Lossless compression: a model with exact probabilities is one half of a coder."""

from kerasar.compression.bits_back import BitsBack as BitsBack
from kerasar.compression.chain_rule import ChainRule as ChainRule
from kerasar.compression.codec import compress as compress
from kerasar.compression.codec import decompress as decompress
from kerasar.compression.codec import refuse_real_numbers as refuse_real_numbers
from kerasar.compression.content import Content as Content
from kerasar.compression.file_format import Header as Header
from kerasar.compression.file_format import NotReadable as NotReadable
