"""Drawing from a model: requests, samplers, in-painting."""

from kerasar.sampling.methods import METHODS as METHODS
from kerasar.sampling.sampler import Sampler as Sampler
from kerasar.sampling.sampler import SamplingRequest as SamplingRequest
from kerasar.sampling.stream import Stream as Stream
from kerasar.sampling.stream import StreamState as StreamState
