"""Attention along rows, columns or within blocks, as attention over all positions."""

from kerasar.causality.whole_positions import moves_and_elements as _m  # noqa: F401  (these
from kerasar.causality.whole_positions import sums as _s  # noqa: F401   register their rules)
from kerasar.causality.whole_positions.translator import (
    with_whole_positions as with_whole_positions,
)
