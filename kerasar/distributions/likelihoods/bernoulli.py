"""The Bernoulli likelihood: one logit for each binary value."""

import keras
import tensorflow as tf

from kerasar.distributions.likelihoods.base import Likelihood
from kerasar.distributions.standard_noise import logistic
from kerasar.typing import Tensor

#: A logit that no noise outweighs. Finite, because infinity times a label of 0 is NaN.
_CERTAIN = 1e9


@keras.saving.register_keras_serializable(package="kerasar")
class Bernoulli(Likelihood):
    """Zeros and ones from the logit of a one, `(*x.shape, 1)`.

    Sampling compares the logit with logistic noise: one uniform value for each value.

    References:
        Maddison, Mnih & Teh. The Concrete Distribution: A Continuous Relaxation of Discrete Random
        Variables. ICLR 2017, section 3.1 (logistic noise). https://arxiv.org/abs/1611.00712
    """

    def num_parameters(self, levels: int | None = None) -> int:
        if levels != 2:
            raise ValueError(
                f"A Bernoulli likelihood is for data of 2 levels, but got levels={levels}. Use "
                "Categorical() for more, GaussianMixture() for real numbers."
            )
        return 1

    def num_levels(self, parameters: int) -> int:
        if parameters != 1:
            raise ValueError(
                "A Bernoulli likelihood takes one logit for each value, but the network's last "
                f"axis is {parameters}. End the network with 1 unit, or use Categorical()."
            )
        return 2

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        return -tf.nn.sigmoid_cross_entropy_with_logits(
            labels=tf.cast(x, tf.float32), logits=tf.cast(parameters[..., 0], tf.float32)
        )

    def log_prob_table(
        self, parameters: Tensor, levels: int, x: Tensor | None = None, variable: int = 0
    ) -> Tensor:
        logit = tf.cast(parameters[..., 0], tf.float32)
        return tf.stack([tf.zeros_like(logit), logit], axis=-1)

    def expected_nats(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        logit = tf.cast(parameters[..., 0], tf.float32)
        one, zero = tf.sigmoid(logit), tf.sigmoid(-logit)
        # The nats of a zero exceed those of a one by the logit.
        return tf.nn.softplus(-logit) + zero * logit, one * zero * tf.square(logit)

    def num_uniforms(self, parameters: int) -> int:
        return 1

    def noise(self, uniforms: Tensor) -> Tensor:
        return logistic(uniforms)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        return tf.cast(_perturbed(parameters, noise) > 0, tf.int32)

    def shortfall(self, parameters: Tensor, noise: Tensor, x: Tensor) -> Tensor:
        score = _perturbed(parameters, noise)
        return tf.where(tf.equal(x > 0, score > 0), tf.zeros_like(score), tf.abs(score))

    def apply_temperature(self, parameters: Tensor, temperature: Tensor) -> Tensor:
        return tf.cast(parameters, tf.float32) / temperature

    def apply_top_k_top_p(
        self, parameters: Tensor, top_k: Tensor | None, top_p: Tensor | None
    ) -> Tensor:
        logit = tf.cast(parameters, tf.float32)
        likelier = tf.where(logit > 0, _CERTAIN, -_CERTAIN)
        drop = tf.zeros_like(logit, tf.bool)
        if top_k is not None:
            drop |= tf.equal(top_k, 1)
        if top_p is not None:
            # 1 means off, but the rounded probability may reach 1.
            drop |= (tf.sigmoid(tf.abs(logit)) >= top_p) & (top_p < 1.0)
        return tf.where(drop, likelier, logit)


def _perturbed(parameters: Tensor, noise: Tensor) -> Tensor:
    return tf.cast(parameters[..., 0], tf.float32) + noise[..., 0]
