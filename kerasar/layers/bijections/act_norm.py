"""Scale and shift of each channel, initialized by the first training batch."""

import keras
import tensorflow as tf
from keras import ops

from kerasar.layers.bijections.base import Bijection, batch_statistics
from kerasar.replicas import is_shared
from kerasar.typing import Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class ActNorm(Bijection):
    """Normalizes each channel by the statistics of the first training batch, then by training.

    z = (x - data_mean) · exp(log_scale - data_log_deviation) + shift. The first batch with
    `training=True` sets the two data weights, once, so that its latents have mean 0 and variance 1;
    these weights are not trained, and are saved with the layer. Log scale and shift start at zero
    and are trained. (Glow has one pair of weights for both; with two pairs, a batch that is refused
    for NaN can be undone.) Channels that are constant in that batch keep their scale.

    Args:
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, …, channels)`.

    Output shape:
        A pair: the input shape, and `(batch,)`.

    References:
        Kingma & Dhariwal. Glow: Generative Flow with Invertible 1x1 Convolutions. NeurIPS 2018,
        section 3.1. https://arxiv.org/abs/1807.03039
    """

    def build(self, x_shape: Shape, condition_shape: Shape | None = None) -> None:
        super().build(x_shape, condition_shape)
        shape = (self.event_shape[-1],)
        self.log_scale = self.add_flow_weight("log_scale", shape)
        self.shift = self.add_flow_weight("shift", shape)
        self.data_mean = self.add_flow_weight("data_mean", shape, trainable=False)
        self.data_log_deviation = self.add_flow_weight("data_log_deviation", shape, trainable=False)
        self.is_initialized = self.add_flow_weight(
            "is_initialized", (), trainable=False, dtype="int32"
        )

    def call(
        self, x: Tensor, condition: Tensor | None = None, training: bool | None = None
    ) -> tuple[Tensor, Tensor]:
        x = self.check_data(x)
        if training:
            self._initialize(x)
        log_slope = self._log_slope()
        z = (x - self.data_mean) * ops.exp(log_slope) + self.shift
        return z, self.channelwise_log_det(x, log_slope)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = self.check_latent(z)
        log_slope = self._log_slope()
        x = (z - self.shift) * ops.exp(-log_slope) + self.data_mean
        return x, self.channelwise_log_det(z, -log_slope)

    def _log_slope(self) -> Tensor:
        return self.log_scale - self.data_log_deviation

    def _initialize(self, x: Tensor) -> None:
        def from_data() -> tuple[Tensor, Tensor]:
            mean, variance = batch_statistics(x)
            # A constant channel, or a batch of one vector, does not determine the scale.
            known = variance > 1e-12 * (1 + mean**2)
            return mean, 0.5 * ops.log(ops.where(known, variance, 1.0))

        def assign() -> Tensor:
            for weight, value in zip(weights, from_data(), strict=True):
                weight.assign(value)
            self.is_initialized.assign(1)
            return tf.constant(True)

        weights = (self.data_mean, self.data_log_deviation)
        is_new = tf.equal(self.is_initialized.value, 0)
        if not is_shared():
            tf.cond(is_new, assign, lambda: tf.constant(False))
            return
        # Replicas meet for the statistics, which they can only outside of a condition.
        for weight, value in zip(weights, from_data(), strict=True):
            weight.assign(tf.where(is_new, value, weight.value))
        self.is_initialized.assign(1)
