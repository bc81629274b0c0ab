"""Batch normalization as a step of a flow, with its log determinant."""

from typing import Any

import keras
from keras import ops

from kerasar.arguments import checks_arguments
from kerasar.layers.bijections.base import Bijection, batch_statistics
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class BatchNormBijection(Bijection):
    """Normalizes each channel: z = (x - mean) / sqrt(variance + epsilon).

    With `training=True`, `call` uses mean and variance of the batch, and updates the moving
    statistics; otherwise it uses the moving statistics. `inverse` always uses the moving
    statistics: latents have no batch of data. The log determinant treats mean and variance as
    constants, so in training the likelihood is that of the present batch's map. There is no trained
    scale and shift: add an `ActNorm` for these.

    Args:
        momentum: float in [0, 1). Share of the moving statistics that each training step keeps.
        epsilon: float above 0. Added to variances.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, …, channels)`.

    Output shape:
        A pair: the input shape, and `(batch,)`.

    Raises:
        ValueError: if `momentum` or `epsilon` is out of range.

    References:
        Dinh, Sohl-Dickstein & Bengio. Density estimation using Real NVP. ICLR 2017, section 3.7.
        https://arxiv.org/abs/1605.08803
    """

    @checks_arguments
    def __init__(self, momentum: float = 0.99, epsilon: float = 1e-4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= momentum < 1:
            raise ValueError(
                f"Layer '{self.name}' needs a momentum in [0, 1), the share of the moving "
                f"statistics that each step keeps, but got {momentum!r}."
            )
        if not epsilon > 0:
            raise ValueError(
                f"Layer '{self.name}' needs an epsilon above 0, because a constant channel has "
                f"variance 0, but got {epsilon!r}."
            )
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, x_shape: Shape, condition_shape: Shape | None = None) -> None:
        super().build(x_shape, condition_shape)
        shape = (self.event_shape[-1],)
        self.moving_mean = self.add_flow_weight("moving_mean", shape, trainable=False)
        self.moving_variance = self.add_flow_weight(
            "moving_variance", shape, "ones", trainable=False
        )

    def call(
        self, x: Tensor, condition: Tensor | None = None, training: bool | None = None
    ) -> tuple[Tensor, Tensor]:
        x = self.check_data(x)
        mean, variance = self.moving_mean.value, self.moving_variance.value
        if training:
            mean, variance = batch_statistics(x)
            for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + now * (1 - self.momentum))
        log_deviation = 0.5 * ops.log(variance + self.epsilon)
        z = (x - mean) * ops.exp(-log_deviation)
        return z, self.channelwise_log_det(x, -log_deviation)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = self.check_latent(z)
        log_deviation = 0.5 * ops.log(self.moving_variance + self.epsilon)
        x = z * ops.exp(log_deviation) + self.moving_mean
        return x, self.channelwise_log_det(z, log_deviation)

    def get_config(self) -> Config:
        return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}
