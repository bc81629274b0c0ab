"""Dequantization: from integers to real numbers, of which a flow can have a density.

A density of the integers themselves is unbounded, with spikes at the integers. Noise u in [0, 1)
is therefore added: the density of x + u, integrated over the unit cell of x, is a probability of x,
and its logarithm at a single u drawn from q(u | x), minus log q, is on average a lower bound:

    log P(x) >= E_q [ log p(x + u) - log q(u | x) ].

Several draws give a tighter bound, the importance-weighted one.

References:
    Theis, van den Oord & Bethge. A note on the evaluation of generative models. ICLR 2016,
    section 3.1. https://arxiv.org/abs/1511.01844
    Burda, Grosse & Salakhutdinov. Importance Weighted Autoencoders. ICLR 2016.
    https://arxiv.org/abs/1509.00519
"""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.typing import Config, Tensor

#: The largest float32 below 1: sums in float32 round up to 1 otherwise.
_BELOW_ONE = float(np.nextafter(np.float32(1), np.float32(0)))


@keras.saving.register_keras_serializable(package="kerasar")
class Dequantization(keras.layers.Layer):
    """Uniform noise on the integers' unit cells; the base of other dequantizations.

    The flow's data are y = (x + u) / levels, in [0, 1).

    Args:
        levels: int, at least 2. The integers are in `[0, levels)`.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Raises:
        TypeError, ValueError: if `levels` is not an integer of at least 2.

    References:
        Uria, Murray & Larochelle. RNADE: The real-valued neural autoregressive
        density-estimator. NeurIPS 2013. https://arxiv.org/abs/1306.0186
    """

    @checks_arguments
    def __init__(self, levels: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.levels = check_count(levels, "levels", least=2)

    def call(self, x: Tensor, uniforms: Tensor, training: bool | None = None) -> Any:
        """The flow's data, and the term to add to their log density.

        Args:
            x: integers, `(batch, *event)`.
            uniforms: values in (0, 1) of the same shape, in the dtype that the flow computes in.
            training: whether networks inside are being trained.

        Returns:
            y, in the shape of `x`, and the term, `(batch,)`: log p(y) plus this term is the bound
            of log P(x) in nats, including the change of scale by `levels`.
        """
        noise, log_density = self.noise(x, uniforms, training)
        scaled = (tf.cast(x, noise.dtype) + noise) / self.levels
        size = tf.cast(tf.reduce_prod(tf.shape(x)[1:]), noise.dtype)
        y = tf.minimum(scaled, tf.constant(_BELOW_ONE, noise.dtype))
        return y, -log_density - size * math.log(self.levels)

    def noise(self, x: Tensor, uniforms: Tensor, training: bool | None) -> tuple[Tensor, Tensor]:
        """The noise u in (0, 1), in the shape of `x`, and log q(u | x), `(batch,)`."""
        return uniforms, tf.zeros_like(tf.reshape(uniforms, (tf.shape(x)[0], -1))[:, 0])

    def midpoint(self, x: Tensor, dtype: Any) -> Tensor:
        """y at the middle of each cell, x + 1/2, without noise."""
        return (tf.cast(x, dtype) + 0.5) / self.levels

    def integers(self, y: Tensor) -> Tensor:
        """The cell of y; values outside of [0, 1) belong to the first or last level."""
        return tf.cast(tf.clip_by_value(tf.floor(y * self.levels), 0, self.levels - 1), tf.int32)

    def get_config(self) -> Config:
        return {**super().get_config(), "levels": self.levels}
