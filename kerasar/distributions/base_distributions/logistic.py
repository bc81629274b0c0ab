"""The logistic base of NICE: similar to a normal one, with heavier tails."""

import keras
import tensorflow as tf

from kerasar.distributions.base_distributions.base import BaseDistribution
from kerasar.distributions.standard_noise import logistic, logistic_log_density
from kerasar.typing import Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class Logistic(BaseDistribution):
    """Independent standard logistic elements; `temperature` scales them in samples.

    References:
        Dinh, Krueger & Bengio. NICE: Non-linear Independent Components Estimation. 2014,
        section 3.4. https://arxiv.org/abs/1410.8516
    """

    def log_prob(self, z: Tensor) -> Tensor:
        return tf.reduce_sum(logistic_log_density(z), axis=-1)

    def sample(self, uniforms: Tensor, temperature: Tensor) -> Tensor:
        return temperature * logistic(uniforms)
