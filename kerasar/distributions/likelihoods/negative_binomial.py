"""The negative binomial distribution: counts that vary more than those of a Poisson process."""

import keras
import numpy as np
import tensorflow as tf

from kerasar.distributions.likelihoods.base import Likelihood
from kerasar.distributions.likelihoods.bounds import bounded, unbounded
from kerasar.typing import Config, Tensor

#: Bounds of the log of the dispersion: the least is hardly to be told from a Poisson distribution.
_LOG_DISPERSIONS = (-7.0, 3.0)
#: The output for which the mean is half of this: outputs far above are the mean itself.
FLOOR = 0.2
#: The largest count that is drawn, a power of two: float32 holds all integers up to it.
_MOST_BITS = 24


@keras.saving.register_keras_serializable(package="kerasar")
class NegativeBinomial(Likelihood):
    """Single counts 0, 1, 2, … from a negative binomial distribution.

    The network outputs two values for each event: m, which gives the mean
    μ = (m + √(m² + 0.04)) / 2, so m itself where it is not close to 0; and the log of the
    dispersion α, bounded smoothly between 0.001 (Poisson) and 20. The variance is μ + α μ².
    `log_prob` is that of counts, not a density. `Independent(v, NegativeBinomial())` is for v
    variables.

    A draw is the quantile of one uniform value, found by bisection. Temperature multiplies the
    variance, as far as it stays above that of a Poisson distribution.

    References:
        Salinas, Flunkert & Gasthaus. DeepAR. 2017, section 3.1. https://arxiv.org/abs/1704.04110
    """

    discrete = False
    counts = True

    def num_parameters(self, levels: int | None = None) -> int:
        if levels is not None:
            raise ValueError(
                f"NegativeBinomial is for counts without bounds, but got levels={levels}. Pass "
                "levels=None for such data, or use Categorical."
            )
        return 2

    def num_levels(self, parameters: int) -> int | None:
        if parameters != 2:
            raise ValueError(
                "NegativeBinomial takes 2 parameters for each count, but the network's last axis "
                f"is {parameters}. End the network with 2 units, likelihood.num_parameters()."
            )
        return None

    def about(self, parameters: Tensor, level: Tensor, scale: Tensor) -> Tensor:
        """The parameters whose mean output is `level + scale * m`."""
        mean, dispersion = tf.unstack(tf.cast(parameters, tf.float32), axis=-1)
        return tf.stack([level + scale * mean, dispersion], axis=-1)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        mean, dispersion = self._parts(parameters)
        x = tf.cast(x, tf.float64)
        r = 1.0 / dispersion
        found = tf.math.lgamma(x + r) - tf.math.lgamma(r) - tf.math.lgamma(x + 1.0)
        found -= r * tf.math.log1p(dispersion * mean)
        # x log(αμ / (1 + αμ))
        found -= x * tf.math.log1p(1.0 / (dispersion * mean))
        return tf.cast(found, tf.float32)

    def check_values(self, x: np.ndarray, name: str) -> None:
        bad = np.isfinite(x) & ((x < 0) | (x != np.round(x)))
        if bad.any():
            place = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(
                f"NegativeBinomial is for counts 0, 1, 2, …, but {name}{list(place)} is {x[place]}."
                " Use a GaussianMixture for other values."
            )

    def num_uniforms(self, parameters: int) -> int:
        return 1

    def noise(self, uniforms: Tensor) -> Tensor:
        return uniforms

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        mean, dispersion = self._parts(parameters)
        uniform = tf.cast(noise[..., 0], tf.float64)

        # The largest count below which there is less than u: from the highest bit down.
        found = tf.zeros_like(mean)
        for bit in range(_MOST_BITS - 1, -1, -1):
            higher = found + float(2**bit)
            found = tf.where(self._below(higher, mean, dispersion) < uniform, higher, found)
        return tf.cast(found, tf.float32)

    def shortfall(self, parameters: Tensor, noise: Tensor, x: Tensor) -> Tensor:
        mean, dispersion = self._parts(parameters)
        uniform, x = tf.cast(noise[..., 0], tf.float64), tf.cast(x, tf.float64)
        low, high = self._below(x, mean, dispersion), self._below(x + 1.0, mean, dispersion)
        short = tf.maximum(low - uniform, uniform - high)
        return tf.cast(tf.maximum(short, 0.0), tf.float32)

    def apply_temperature(self, parameters: Tensor, temperature: Tensor) -> Tensor:
        mean, dispersion = self._parts(parameters)
        temperature = tf.cast(temperature, tf.float64)
        wider = temperature * dispersion + (temperature - 1.0) / mean
        raw = tf.math.log(tf.maximum(wider, np.exp(_LOG_DISPERSIONS[0])))
        raw = unbounded(tf.cast(raw, tf.float32), *_LOG_DISPERSIONS)
        return tf.stack([tf.cast(parameters[..., 0], tf.float32), raw], axis=-1)

    def _below(self, count: Tensor, mean: Tensor, dispersion: Tensor) -> Tensor:
        """The probability of less than `count`: a regularized incomplete beta function."""
        share = 1.0 / (1.0 + dispersion * mean)
        found = tf.math.betainc(1.0 / dispersion, tf.maximum(count, 1.0), share)
        return tf.where(count < 1.0, tf.zeros_like(found), found)

    def _parts(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and dispersion, float64."""
        m, raw = tf.unstack(tf.cast(parameters, tf.float32), axis=-1)
        dispersion = tf.exp(tf.cast(bounded(raw, *_LOG_DISPERSIONS), tf.float64))
        m = tf.cast(m, tf.float64)
        root = tf.sqrt(tf.square(m) + FLOOR**2)
        # Below 0 the sum would cancel.
        mean = tf.where(m > 0, 0.5 * (m + root), 0.5 * FLOOR**2 / (root - tf.minimum(m, 0.0)))
        return mean, dispersion

    def get_config(self) -> Config:
        return {}
