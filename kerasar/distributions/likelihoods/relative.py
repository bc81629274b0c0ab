"""A likelihood of values relative to a level and a scale that go along with the series.

How a normalized series is still an ordinary `AutoregressiveModel`: level and scale of step t are
functions of the values before t. The network computes them by layers that the engine proves causal
and steps like any other (`kerasar.layers.LevelAndScale`), sees its data relative to them, and puts
them out behind the parameters of the likelihood inside. So

    log p(x_t | x before t) = log p_inside((u(x_t) - level_t) / scale_t) - log scale_t + log u'(x_t)

is an exact density in the units of the data, a draw is undone on the spot, and the proof, the
samplers, in-painting and the export need to know nothing of it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.checks import check_choice, check_count
from kerasar.distributions.likelihoods.base import Likelihood
from kerasar.distributions.likelihoods.independent import Independent
from kerasar.layers.level_and_scale import NORMALIZATIONS
from kerasar.layers.support import Support
from kerasar.layers.units import check_units
from kerasar.typing import Config, Tensor


class _Parts(NamedTuple):
    """The parameters of events: those of the likelihood inside, and level and log scale."""

    inside: Tensor
    level: Tensor
    log_scale: Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class Relative(Likelihood):
    """Real values relative to the level and scale that were known before each step.

    Given to a builder of sequences as its `likelihood`, it normalizes the network's input in the
    same way. A value that is missing (NaN) adds nothing to the log-likelihood, and the network sees
    that it is missing.

    Args:
        likelihood: of the normalized values: a `GaussianMixture`, a `StudentT`, or an `Independent`
            of such for several variables. Its own mean and scale must be 0 and 1. For counts a
            `NegativeBinomial`, whose mean is then relative to the level.
        normalization: "none", "window" (a running mean), "difference" (the last value) or
            "seasonal" (that of the last season).
        season: int. Steps of a season, for "seasonal".
        memory: int. Over how many observed steps the scale and the running mean are taken, about.
        support: "real"; "positive", values above 0, whose logarithms are modeled; or (low, high),
            values between them, by their logits. "counts" goes with a `NegativeBinomial`.
        mean, scale: location and spread of the data, in their own units: a scalar, or one for each
            variable.
        center, unit: location and spread of what the support is mapped to; None takes mean and
            scale, which are the same for support="real".
        spread: the root mean square of the distances from the level in the data, in `unit`s.
        own_scale: bool. Whether each series has the scale of its own past alone
            (`kerasar.layers.LevelAndOwnScale`): one model for series of any size, also of such that
            it was not trained on.

    Raises:
        TypeError, ValueError: for arguments that do not fit together.

    References:
        Kim et al. Reversible Instance Normalization for Accurate Time-Series Forecasting against
        Distribution Shift. ICLR 2022, for the idea. https://openreview.net/forum?id=cGDAkQo1C0p
        There one level serves a whole window; here each step has its own, of the steps before.
        Salinas, Flunkert & Gasthaus. DeepAR. 2017, section 3.3 (scales of series).
        https://arxiv.org/abs/1704.04110
    """

    discrete = False

    @checks_arguments
    def __init__(
        self,
        likelihood: Likelihood,
        normalization: str = "difference",
        season: int | None = None,
        memory: int = 50,
        support: Any = "real",
        mean: float | Sequence[float] = 0.0,
        scale: float | Sequence[float] = 1.0,
        center: float | Sequence[float] | None = None,
        unit: float | Sequence[float] | None = None,
        spread: float | Sequence[float] = 1.0,
        own_scale: bool = False,
    ) -> None:
        check_choice(normalization, "normalization", NORMALIZATIONS)
        if own_scale and normalization == "none":
            raise ValueError(
                "own_scale=True is for series of unlike sizes, which normalization='none' takes as "
                "they are. Take 'window', 'difference' or 'seasonal'."
            )
        if (normalization == "seasonal") != (season is not None):
            raise ValueError(
                "Relative takes a season, in steps, for normalization='seasonal' and only then, "
                f"but got season={season} for normalization={normalization!r}."
            )
        if (
            likelihood.discrete
            or np.any(likelihood.mean)
            or np.any(np.asarray(likelihood.scale) - 1)
        ):
            raise ValueError(
                f"Relative takes a likelihood of normalized real values, but got "
                f"{type(likelihood).__name__} with mean={likelihood.mean} and "
                f"scale={likelihood.scale}. Pass GaussianMixture(…) without mean and scale."
            )
        self.likelihood, self.normalization = likelihood, normalization
        self.season = None if season is None else check_count(season, "season", least=2)
        self.memory = check_count(memory, "memory", least=2)
        self.support = Support(support)
        if likelihood.counts != (self.support.kind == "counts"):
            raise ValueError(
                "Relative takes a NegativeBinomial for support='counts' and only then, but got "
                f"{type(likelihood).__name__} for support={support!r}."
            )
        self.counts = likelihood.counts
        self.mean = check_units(mean, "mean", "Relative")
        self.scale = check_units(scale, "scale", "Relative")
        self.center = check_units(self.mean if center is None else center, "center", "Relative")
        self.unit = check_units(self.scale if unit is None else unit, "scale", "Relative")
        self.spread = check_units(spread, "scale", "Relative")
        self.own_scale = own_scale
        self.event_rank, self.event_size = likelihood.event_rank, likelihood.event_size
        # A missing variable would have to be integrated out of the means of those beside it.
        self.takes_missing = not self.event_rank or isinstance(likelihood, Independent)

    @property
    def num_variables(self) -> int:
        """Variables of a step, 1 where it is a scalar."""
        return self.event_size or 1

    def num_parameters(self, levels: int | None = None) -> int:
        return self.likelihood.num_parameters(levels) + 2 * self.num_variables

    def num_levels(self, parameters: int) -> int | None:
        return self.likelihood.num_levels(parameters - 2 * self.num_variables)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        parts = self._parts(parameters)
        x = tf.convert_to_tensor(x)
        missing = tf.math.is_nan(x)
        safe = tf.where(missing, self._middle(x), x)
        if self.counts:
            return self._log_prob_of_counts(parts, safe, missing)
        z = self._relative(parts, safe)
        change = self.support.log_derivative(safe) - tf.cast(np.log(self.unit), x.dtype)
        change = tf.cast(change, tf.float32) - self._event(parts.log_scale)
        if not self.event_rank:
            return tf.where(missing, 0.0, self.likelihood.log_prob(parts.inside, z) + change)
        if not isinstance(self.likelihood, Independent):
            return self.likelihood.log_prob(parts.inside, z) + tf.reduce_sum(change, -1)
        each = self.likelihood.log_prob_of_each(parts.inside, z)
        return tf.reduce_sum(tf.where(missing, 0.0, each + change), -1)

    def _log_prob_of_counts(self, parts: _Parts, x: Tensor, missing: Tensor) -> Tensor:
        inside: Any = self.likelihood
        if not self.event_rank:
            return tf.where(missing, 0.0, inside.log_prob(self._about(parts), x))
        each = inside.log_prob_of_each(self._about(parts), x)
        return tf.reduce_sum(tf.where(missing, 0.0, each), -1)

    def _about(self, parts: _Parts) -> Tensor:
        """The parameters of the likelihood inside of counts, with means in their own units."""
        inside: Any = self.likelihood
        unit, center = tf.cast(self.unit, tf.float32), tf.cast(self.center, tf.float32)
        level = self._event(parts.level) * unit + center
        return inside.about(parts.inside, level, unit * tf.exp(self._event(parts.log_scale)))

    def check_values(self, x: np.ndarray, name: str) -> None:
        outside = ~self.support.contains(x)
        if outside.any():
            place = tuple(int(i) for i in np.argwhere(outside)[0])
            raise ValueError(
                f"{name} must hold values of the support, {self.support}, but {name}{list(place)} "
                f"is {x[place]}. Build the model with support='real', or leave such values out."
            )

    def num_uniforms(self, parameters: int) -> int:
        return self.likelihood.num_uniforms(parameters - 2 * self.num_variables)

    def noise(self, uniforms: Tensor) -> Tensor:
        return self.likelihood.noise(uniforms)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        parts = self._parts(parameters)
        if self.counts:
            return self.likelihood.sample(self._about(parts), noise)
        z = self.likelihood.sample(parts.inside, noise)
        units = self._event(parts.level) + z * tf.exp(self._event(parts.log_scale))
        line = units * tf.cast(self.unit, units.dtype) + tf.cast(self.center, units.dtype)
        return self.support.from_line(line)

    def shortfall(self, parameters: Tensor, noise: Tensor, x: Tensor) -> Tensor:
        parts = self._parts(parameters)
        if self.counts:
            return self.likelihood.shortfall(self._about(parts), noise, x)
        return self.likelihood.shortfall(parts.inside, noise, self._relative(parts, x))

    def apply_temperature(self, parameters: Tensor, temperature: Tensor) -> Tensor:
        parts = self._parts(parameters)
        if self.counts:
            inside = self._apply_temperature_to_counts(parts, temperature)
        else:
            inside = self.likelihood.apply_temperature(parts.inside, temperature)
        return tf.concat([inside, parts.level, parts.log_scale], -1)

    def _apply_temperature_to_counts(self, parts: _Parts, temperature: Tensor) -> Tensor:
        inside: Any = self.likelihood
        wider = inside.apply_temperature(self._about(parts), temperature)
        # Back to means relative to the level: only dispersions have changed.
        narrow = tf.exp(-self._event(parts.log_scale)) / tf.cast(self.unit, tf.float32)
        unit, center = tf.cast(self.unit, tf.float32), tf.cast(self.center, tf.float32)
        return inside.about(wider, -(self._event(parts.level) * unit + center) * narrow, narrow)

    def differs(self, x: Tensor, other: Tensor, tolerance: float = 0.0) -> Tensor:
        if self.counts:
            return super().differs(self._none_as_minus_one(x), self._none_as_minus_one(other))
        return self.likelihood.differs(self._present(x), self._present(other), tolerance)

    def _none_as_minus_one(self, counts: Tensor) -> Tensor:
        counts = tf.cast(counts, tf.float32)
        return tf.where(tf.math.is_nan(counts), -1.0, counts)

    def _present(self, x: Tensor) -> Tensor:
        """Data in units, with a 0 for what is missing."""
        units = self._units(x)
        return tf.where(tf.math.is_nan(units), 0.0, units)

    def _parts(self, parameters: Tensor) -> _Parts:
        parameters = tf.cast(parameters, tf.float32)
        v = self.num_variables
        return _Parts(*tf.split(parameters, [int(parameters.shape[-1]) - 2 * v, v, v], axis=-1))

    def _event(self, part: Tensor) -> Tensor:
        """A part of the parameters in the shape of events."""
        return part if self.event_rank else part[..., 0]

    def _units(self, x: Tensor) -> Tensor:
        line = self.support.to_line(tf.convert_to_tensor(x))
        return tf.cast(
            (line - tf.cast(self.center, line.dtype)) / tf.cast(self.unit, line.dtype), tf.float32
        )

    def _relative(self, parts: _Parts, x: Tensor) -> Tensor:
        return (self._units(x) - self._event(parts.level)) * tf.exp(-self._event(parts.log_scale))

    def _middle(self, x: Tensor) -> Tensor:
        """A value of the support, shaped as the data: what stands for missing ones."""
        line = tf.cast(0.0 if self.counts else self.center, x.dtype) + tf.zeros_like(x)
        return self.support.from_line(line)

    def get_config(self) -> Config:
        return {
            "likelihood": keras.saving.serialize_keras_object(self.likelihood),
            "normalization": self.normalization,
            "season": self.season,
            "memory": self.memory,
            "support": self.support.kind,
            "mean": self.mean,
            "scale": self.scale,
            "center": self.center,
            "unit": self.unit,
            "spread": self.spread,
            "own_scale": self.own_scale,
        }

    @classmethod
    def from_config(cls, config: Config, custom_objects: Any = None) -> "Relative":
        others = dict(config)
        inside = keras.saving.deserialize_keras_object(others.pop("likelihood"), custom_objects)
        return cls(inside, **others)
