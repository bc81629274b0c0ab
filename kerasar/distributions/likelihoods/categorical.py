"""The categorical likelihood: one logit for each level."""

import keras
import tensorflow as tf

from kerasar.distributions.likelihoods.base import Likelihood
from kerasar.distributions.standard_noise import argmax, gumbel
from kerasar.typing import Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class Categorical(Likelihood):
    """Integers in `[0, levels)` from `levels` logits, `(*x.shape, levels)`.

    Sampling is Gumbel-argmax: the level with the largest logit + Gumbel noise.

    References:
        Van den Oord, Kalchbrenner & Kavukcuoglu. Pixel Recurrent Neural Networks. ICML 2016,
        section 2.3 (the 256-way softmax). https://arxiv.org/abs/1601.06759
    """

    def num_parameters(self, levels: int | None = None) -> int:
        if levels is None:
            raise ValueError(
                "A Categorical likelihood needs to know the number of values, but got levels=None. "
                "Pass it, or use GaussianMixture() for real numbers."
            )
        return levels

    def num_levels(self, parameters: int) -> int:
        if parameters < 2:
            raise ValueError(
                "A Categorical likelihood takes one logit for each level, so at least 2, but the "
                f"network's last axis is {parameters}. Use likelihood=Bernoulli() for one logit."
            )
        return parameters

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        return -tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=tf.cast(x, tf.int32), logits=tf.cast(parameters, tf.float32)
        )

    def log_prob_table(
        self, parameters: Tensor, levels: int, x: Tensor | None = None, variable: int = 0
    ) -> Tensor:
        return tf.cast(parameters, tf.float32)

    def expected_nats(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        nats = -tf.nn.log_softmax(tf.cast(parameters, tf.float32))
        probabilities = tf.exp(-nats)
        mean = tf.reduce_sum(probabilities * nats, axis=-1)
        apart = tf.square(nats - mean[..., None])
        return mean, tf.reduce_sum(probabilities * apart, axis=-1)

    def num_uniforms(self, parameters: int) -> int:
        return parameters

    def noise(self, uniforms: Tensor) -> Tensor:
        return gumbel(uniforms)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        return argmax(tf.cast(parameters, tf.float32) + noise)

    def shortfall(self, parameters: Tensor, noise: Tensor, x: Tensor) -> Tensor:
        scores = tf.cast(parameters, tf.float32) + noise
        chosen = tf.gather(scores, tf.cast(x, tf.int32), axis=-1, batch_dims=x.shape.rank)
        return tf.reduce_max(scores, axis=-1) - chosen

    def apply_temperature(self, parameters: Tensor, temperature: Tensor) -> Tensor:
        return tf.cast(parameters, tf.float32) / temperature

    def apply_top_k_top_p(
        self, parameters: Tensor, top_k: Tensor | None, top_p: Tensor | None
    ) -> Tensor:
        logits = tf.cast(parameters, tf.float32)
        descending = tf.sort(logits, axis=-1, direction="DESCENDING")
        levels = tf.shape(logits)[-1]
        keep = tf.ones_like(descending, tf.bool)
        if top_k is not None:
            # 0 means off.
            count = tf.where(tf.equal(top_k, 0), levels, top_k)
            keep &= tf.range(levels) < count
        if top_p is not None:
            # The value that crosses the threshold is kept, so one always remains. 1 means off:
            # the rounded sum may reach 1 before the last value.
            probabilities = tf.nn.softmax(descending)
            before = tf.cumsum(probabilities, axis=-1, exclusive=True)
            keep &= (before < top_p) | (top_p >= 1.0)
        smallest = tf.reduce_min(
            tf.where(keep, descending, descending[..., :1]), axis=-1, keepdims=True
        )
        return tf.where(logits >= smallest, logits, -float("inf"))
