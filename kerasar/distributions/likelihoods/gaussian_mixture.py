"""The Gaussian mixture: real values, and several of them at a step as one joint event.

A network may output the parameters of any distribution (Fleuret, Deep Learning course, lecture
10.2); this one approximates any density as components are added (Bishop, Mixture Density Networks).
"""

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from kerasar.distributions.likelihoods.mixture import Mixture
from kerasar.layers.units import check_units
from kerasar.typing import Config, Tensor

#: Distances, in units of the scale, are clipped to this: its square is still a finite float32.
_FARTHEST = 1e15
#: The largest difference, relative to spread and size, that counts as a network's rounding.
_ROUNDING = 1e-3


@keras.saving.register_keras_serializable(package="kerasar")
class GaussianMixture(Mixture):
    """Real values from a mixture of Gaussians; with one component, a Gaussian.

    The parameters describe *standardized* data, `(x - mean) / scale`; `log_prob` is a density in
    the data's own units, so rescaling the data with `mean` and `scale` changes it by the log of the
    factor only. Put `kerasar.layers.Standardize(mean, scale)` at the input of the network, with the
    same values.

    With `num_variables`, an event is the vector of all variables of a step. Within a component each
    variable's mean is linear in the variables before it in that vector, with coefficients that the
    network outputs: a Gaussian with any covariance. So the joint density of a step is
    autoregressive within the step, and correlations at the same time are modeled.

    The network outputs `num_parameters()` values for each event: `3 * num_components` for values,
    `num_components * (1 + 2 v + v (v - 1) / 2)` for v variables (see `Mixture` for their order).
    Log scales are bounded smoothly: a component's standard deviation is between 0.001 and 150 times
    `scale`.

    Sampling draws a component by Gumbel-argmax, then its variables in turn. Temperature divides the
    logits of the components and multiplies variances: for one component it is the density to the
    power 1 / temperature, normalized.

    Args:
        num_components: int. Number of Gaussians.
        num_variables: None for events that are single values; the number of variables of a step for
            events that are vectors.
        mean: mean of the data, a scalar, or one value for each variable.
        scale: their standard deviation, likewise; above 0.

    Raises:
        TypeError: for counts that are not integers, and a mean or scale that is not numeric.
        ValueError: for `num_components` or `num_variables` below 1, for a mean or scale that does
            not fit them, and for scales that are not above 0.

    References:
        Bishop. Mixture Density Networks. Aston University, NCRG/94/004, 1994.
        https://publications.aston.ac.uk/id/eprint/373/
        Salimans et al. PixelCNN++. ICLR 2017, equation 3, for the coupling (there with tanh, here
        linear and free). https://arxiv.org/abs/1701.05517
    """

    discrete = False
    temperature_power = 0.5

    def __init__(
        self,
        num_components: int = 1,
        num_variables: int | None = None,
        mean: float | Sequence[float] = 0.0,
        scale: float | Sequence[float] = 1.0,
    ) -> None:
        super().__init__(num_components, num_variables)
        self.mean = check_units(mean, "mean", "GaussianMixture")
        self.scale = check_units(scale, "scale", "GaussianMixture")
        for name, value in (("mean", self.mean), ("scale", self.scale)):
            if isinstance(value, tuple) and len(value) != num_variables:
                raise ValueError(
                    f"GaussianMixture takes a scalar as {name}, or one for each of its variables, "
                    f"but got {len(value)} for num_variables={num_variables}. Pass "
                    f"num_variables={len(value)} if a step is a vector of that size."
                )

    def num_parameters(self, levels: int | None = None) -> int:
        if levels is not None:
            raise ValueError(
                f"A GaussianMixture is for real numbers, but got levels={levels}. Pass levels=None "
                "for such data, or use DiscretizedLogisticMixture or Categorical for integers."
            )
        return super().num_parameters()

    def to_units(self, x: Tensor) -> Tensor:
        return tf.cast((x - tf.cast(self.mean, x.dtype)) / tf.cast(self.scale, x.dtype), tf.float32)

    def from_units(self, values: Tensor) -> Tensor:
        return values * tf.constant(self.scale, tf.float32) + tf.constant(self.mean, tf.float32)

    def project_to_support(self, values: Tensor) -> Tensor:
        return values

    def log_densities(self, x: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
        distance = (self.to_units(x) - means) * tf.exp(-log_scales)
        distance = tf.clip_by_value(distance, -_FARTHEST, _FARTHEST)
        constant = 0.5 * math.log(2 * math.pi) + np.log(self.scale)
        return -0.5 * tf.square(distance) - log_scales - tf.constant(constant, tf.float32)

    def expected_nats(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        if self.num_components > 1:
            return super().expected_nats(parameters)
        log_scales = self._parts(parameters).log_scales[..., 0, :]
        constant = 0.5 * math.log(2 * math.pi * math.e) + np.log(self.scale)
        mean = tf.reduce_sum(log_scales + tf.constant(constant, tf.float32), axis=-1)
        return mean, tf.fill(tf.shape(mean), 0.5 * self._width)

    def standard_noise(self, uniforms: Tensor) -> Tensor:
        return math.sqrt(2.0) * tf.math.erfinv(2.0 * uniforms - 1.0)

    def value_shortfall(self, x: Tensor, values: Tensor) -> Tensor:
        x = self.to_units(x)
        apart = tf.abs(x - values) / (1.0 + tf.abs(x))
        return tf.where(apart < _ROUNDING, 0.0, apart)

    def differs(self, x: Tensor, other: Tensor, tolerance: float = 0.0) -> Tensor:
        a, b = self.to_units(self._vectors(x)), self.to_units(self._vectors(other))
        return tf.reduce_any(tf.abs(a - b) > tolerance * (1.0 + tf.abs(a)), axis=-1)

    def get_config(self) -> Config:
        return {**super().get_config(), "mean": self.mean, "scale": self.scale}
