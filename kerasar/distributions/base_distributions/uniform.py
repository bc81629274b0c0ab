"""The uniform base on [0, 1]: the flow is then the data's cumulative distribution function."""

import keras
import tensorflow as tf

from kerasar.distributions.base_distributions.base import BaseDistribution
from kerasar.typing import Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class Uniform(BaseDistribution):
    """Independent elements, uniform on [0, 1].

    The log density of a latent outside is -inf, without a gradient towards the inside: end the flow
    with a bijection onto (0, 1), such as `Inverse(Logit(alpha=1e-6))`. A temperature, at most 1,
    shrinks samples towards the center, 0.5.
    """

    largest_temperature = 1.0

    def log_prob(self, z: Tensor) -> Tensor:
        inside = tf.reduce_all((z >= 0) & (z <= 1), axis=-1)
        return tf.where(inside, tf.zeros_like(z[..., 0]), -float("inf"))

    def sample(self, uniforms: Tensor, temperature: Tensor) -> Tensor:
        return 0.5 + temperature * (uniforms - 0.5)
