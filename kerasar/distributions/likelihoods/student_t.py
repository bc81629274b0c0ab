"""Student's t distribution: real values some of which are far from what was expected."""

import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.distributions.likelihoods.base import Likelihood
from kerasar.distributions.likelihoods.bounds import bounded, unbounded
from kerasar.layers.units import check_units
from kerasar.typing import Config, Tensor

#: Bounds of the log scale, and of the log of the degrees of freedom.
_LOG_SCALES, _LOG_DEGREES = (-7.0, 5.0), (math.log(1.5), math.log(200.0))
#: The largest difference, relative to spread and size, that counts as a network's rounding.
_ROUNDING = 1e-3


class _Parts(NamedTuple):
    """The parameters of events, each of the shape of the events."""

    mean: Tensor
    log_scale: Tensor
    degrees: Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class StudentT(Likelihood):
    """Single real values from Student's t distribution with free degrees of freedom.

    The network outputs three values for each event, of data in units, `(x - mean) / scale`: the
    location, the log scale and the log of the degrees of freedom, the latter two bounded smoothly:
    a scale is between 0.001 and 150, and degrees between 1.5 (tails so heavy that there is no
    variance) and 200 (hardly to be told from a Gaussian). `Independent(v, StudentT())` is for v
    variables.

    Draws are exact, of two uniform values each (Bailey). Temperature multiplies the squared scale.

    Args:
        mean: location of the data.
        scale: their spread; above 0.

    Raises:
        TypeError, ValueError: for a mean or scale that is not a number, or a scale of 0 or less.

    References:
        Bailey. Polar Generation of Random Variates with the t-Distribution. Mathematics of
        Computation 62, 1994. https://doi.org/10.2307/2153537
    """

    discrete = False

    @checks_arguments
    def __init__(self, mean: float = 0.0, scale: float = 1.0) -> None:
        self.mean = check_units(mean, "mean", "StudentT")
        self.scale = check_units(scale, "scale", "StudentT")

    def num_parameters(self, levels: int | None = None) -> int:
        if levels is not None:
            raise ValueError(
                f"StudentT is for real numbers, but got levels={levels}. Pass levels=None for such "
                "data, or use Categorical for integers."
            )
        return 3

    def num_levels(self, parameters: int) -> int | None:
        if parameters != 3:
            raise ValueError(
                "StudentT takes 3 parameters for each value, but the network's last axis is "
                f"{parameters}. End the network with 3 units, likelihood.num_parameters()."
            )
        return None

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        mean, log_scale, degrees = self._parts(parameters)
        z = (self._units(x) - mean) * tf.exp(-log_scale)
        half = 0.5 * degrees
        constant = tf.math.lgamma(half + 0.5) - tf.math.lgamma(half)
        constant -= 0.5 * tf.math.log(math.pi * degrees) + log_scale
        constant -= tf.constant(np.log(self.scale), tf.float32)
        return constant - (half + 0.5) * tf.math.log1p(tf.square(z) / degrees)

    def expected_nats(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        _, log_scale, degrees = self._parts(parameters)
        half = 0.5 * degrees
        spread = tf.math.digamma(half + 0.5) - tf.math.digamma(half)
        mean = (half + 0.5) * spread + 0.5 * tf.math.log(math.pi * degrees) + log_scale
        mean += tf.math.lgamma(half) - tf.math.lgamma(half + 0.5)
        # log(1 + z²/ν) is that of 1 / Beta(ν/2, 1/2).
        one = tf.ones_like(half)
        variance = tf.math.polygamma(one, half) - tf.math.polygamma(one, half + 0.5)
        return mean + tf.constant(np.log(self.scale), tf.float32), tf.square(half + 0.5) * variance

    def num_uniforms(self, parameters: int) -> int:
        return 2

    def noise(self, uniforms: Tensor) -> Tensor:
        radius, angle = tf.unstack(uniforms, axis=-1)
        return tf.stack([tf.math.log(radius), tf.cos(2 * math.pi * angle)], axis=-1)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        drawn = self._drawn(self._parts(parameters), noise)
        return drawn * tf.constant(self.scale, tf.float32) + tf.constant(self.mean, tf.float32)

    def shortfall(self, parameters: Tensor, noise: Tensor, x: Tensor) -> Tensor:
        units = self._units(x)
        apart = tf.abs(units - self._drawn(self._parts(parameters), noise)) / (1 + tf.abs(units))
        return tf.where(apart < _ROUNDING, 0.0, apart)

    def apply_temperature(self, parameters: Tensor, temperature: Tensor) -> Tensor:
        mean, raw, degrees = tf.unstack(tf.cast(parameters, tf.float32), axis=-1)
        log_scale = bounded(raw, *_LOG_SCALES) + 0.5 * tf.math.log(temperature)
        return tf.stack([mean, unbounded(log_scale, *_LOG_SCALES), degrees], axis=-1)

    def differs(self, x: Tensor, other: Tensor, tolerance: float = 0.0) -> Tensor:
        a, b = self._units(x), self._units(other)
        return tf.abs(a - b) > tolerance * (1.0 + tf.abs(a))

    def _drawn(self, parts: _Parts, noise: Tensor) -> Tensor:
        log_radius, cosine = tf.unstack(noise, axis=-1)
        square = parts.degrees * tf.math.expm1(-2.0 / parts.degrees * log_radius)
        return parts.mean + tf.exp(parts.log_scale) * tf.sqrt(square) * cosine

    def _units(self, x: Tensor) -> Tensor:
        x = tf.convert_to_tensor(x)
        return tf.cast((x - tf.cast(self.mean, x.dtype)) / tf.cast(self.scale, x.dtype), tf.float32)

    def _parts(self, parameters: Tensor) -> _Parts:
        mean, log_scale, log_degrees = tf.unstack(tf.cast(parameters, tf.float32), axis=-1)
        degrees = tf.exp(bounded(log_degrees, *_LOG_DEGREES))
        return _Parts(mean, bounded(log_scale, *_LOG_SCALES), degrees)

    def get_config(self) -> Config:
        return {"mean": self.mean, "scale": self.scale}
