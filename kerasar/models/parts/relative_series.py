"""A series relative to the level and scale that go along with it: what enters and leaves a network.

The other half of `kerasar.distributions.Relative`.
"""

from keras import layers as L
from keras import ops

from kerasar.distributions.likelihoods import Relative
from kerasar.layers import (
    CausalShift,
    FrameFeatures,
    LastSeason,
    LevelAndOwnScale,
    LevelAndScale,
    ObservedValues,
    RelativeValues,
)
from kerasar.typing import Tensor

#: Levels and their differences need more digits than bfloat16 has.
_WIDE = "float32"


class RelativeSeries:
    """The layers around a network of a normalized series.

    Args:
        x: the network's input, `(batch, time)` or `(batch, time, variables)`.
        likelihood: which says how it is normalized.

    Attributes:
        values: distances from the level in scales, and masks, `(batch, time, 2 * variables)`. Step
            t is that of x_t: shift it.
        features: what level and scale say themselves, `(batch, time, 3 * variables)`. Step t is of
            the values before x_t.
        encoded: both, `(batch, time, 5 * variables)`, not shifted yet.
    """

    def __init__(self, x: Tensor, likelihood: Relative) -> None:
        self.likelihood = likelihood
        series = x if likelihood.event_rank else ops.expand_dims(x, -1)
        observed = ObservedValues(
            likelihood.center,
            likelihood.unit,
            likelihood.support.kind,
            dtype=_WIDE,
            name="observed",
        )(series)
        seen = CausalShift(dtype=_WIDE, name="before")(observed)
        if likelihood.season is not None:
            lagged = LastSeason(likelihood.season, dtype=_WIDE, name="last_season")(observed)
            seen = L.Concatenate(dtype=_WIDE, name="seen")([seen, lagged])
        make = LevelAndOwnScale if likelihood.own_scale else LevelAndScale
        found = make(
            likelihood.normalization,
            likelihood.memory,
            likelihood.spread,
            dtype=_WIDE,
            name="level_and_scale",
        )(seen)
        count = likelihood.num_variables
        self._frame = found[..., : 4 * count] if likelihood.own_scale else found
        self.values = RelativeValues(name="relative_values")([observed, self._frame])
        self.features = FrameFeatures(name="frame_features")(self._frame)
        if likelihood.own_scale:
            # A scale says something only beside that which the series usually has.
            usual = ops.cast(found[..., 4 * count :], self.features.dtype)
            log_scale = self.features[..., :count] - usual
            rest = self.features[..., count:]
            self.features = L.Concatenate(name="own_features")([log_scale, rest])
        self.encoded = L.Concatenate(name="encoded")([self.values, self.features])

    def head(self, parameters: Tensor) -> Tensor:
        """The parameters of the likelihood: those of the one inside, and level and log scale."""
        level_and_log_scale = self._frame[..., : 2 * self.likelihood.num_variables]
        both = [ops.cast(parameters, _WIDE), level_and_log_scale]
        return L.Concatenate(dtype=_WIDE, name="relative_parameters")(both)
