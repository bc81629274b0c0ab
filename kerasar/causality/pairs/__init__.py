"""What operations see whose tensors have positions on any axes: attention and its kin."""

from kerasar.causality.pairs import local as _local  # noqa: F401  (these register their rules)
from kerasar.causality.pairs import sums as _sums  # noqa: F401
from kerasar.causality.pairs.read import PairReader as PairReader
