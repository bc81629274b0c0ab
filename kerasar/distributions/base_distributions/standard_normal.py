"""The standard normal base: every element of a latent has mean 0 and variance 1."""

import math

import keras
import tensorflow as tf

from kerasar.distributions.base_distributions.base import BaseDistribution
from kerasar.typing import Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class StandardNormal(BaseDistribution):
    """Independent standard normal elements; `temperature` is their standard deviation in samples.

    Samples stay within 5.4 standard deviations, which is as far as uniform float32 values reach.
    """

    def log_prob(self, z: Tensor) -> Tensor:
        return -0.5 * tf.reduce_sum(tf.square(z) + math.log(2 * math.pi), axis=-1)

    def sample(self, uniforms: Tensor, temperature: Tensor) -> Tensor:
        return temperature * tf.math.ndtri(uniforms)
