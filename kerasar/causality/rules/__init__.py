"""What Keras' own layers and `keras.ops` functions see: one rule for each kind of operation.

An operation that has no rule and declares nothing itself is unknown. That is not an error: it is
probed, and sampled from without a cache.
"""

from kerasar.causality.rules import channel_functions as _channel_functions  # noqa: F401
from kerasar.causality.rules import contractions as _contractions  # noqa: F401
from kerasar.causality.rules import pointwise as _pointwise  # noqa: F401
from kerasar.causality.rules import preprocessing as _preprocessing  # noqa: F401
from kerasar.causality.rules import recurrent as _recurrent  # noqa: F401
from kerasar.causality.rules import scans as _scans  # noqa: F401
from kerasar.causality.rules import shifts as _shifts  # noqa: F401  (these register their rules)
from kerasar.causality.rules import windows as _windows  # noqa: F401
from kerasar.causality.rules import wrappers as _wrappers  # noqa: F401
from kerasar.causality.rules.registry import declaration as declaration
from kerasar.causality.rules.registry import has_rule as has_rule
