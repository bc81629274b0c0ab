"""Dequantisation with noise that is learned: a small flow of its own draws it."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasar.distributions.dequantization import Dequantization
from kerasar.layers.bijections.base import Bijection
from kerasar.layers.bijections.chain import Chain
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class VariationalDequantization(Dequantization):
    """Noise u = sigmoid(v), where a conditional flow maps v to logistic noise, given x.

    Uniform noise makes steep edges at the cells' borders, which a smooth flow fits badly; noise
    that is trained with the flow makes the bound tighter. Where the flow is the identity, as a new
    one is, u is uniform. (The paper starts from normal noise, which hardly reaches the cells'
    edges: weights of importance sampling then have an infinite variance.)

    Args:
        levels: int, at least 2. The integers lie in `[0, levels)`.
        bijections: bijections of an event's shape, a list; at least one with a network, for the
            integers, scaled to [-1, 1], are their condition.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Raises:
        TypeError: if one of `bijections` is no `Bijection`.
        ValueError: when built, if the bijections change the shape.

    References:
        Ho, Chen, Srinivas, Duan & Abbeel. Flow++: Improving Flow-Based Generative Models with
        Variational Dequantization and Architecture Design. ICML 2019, section 3.1.
        https://arxiv.org/abs/1902.00275
    """

    def __init__(self, levels: int, bijections: Sequence[Bijection], **kwargs: Any) -> None:
        super().__init__(levels, **kwargs)
        self.flow = Chain(bijections, name="noise_flow", dtype=self.dtype_policy)

    def build(self, x_shape: Shape) -> None:
        self.flow.build(x_shape, x_shape)
        if tuple(self.flow.forward_shape(tuple(x_shape))) != tuple(x_shape):
            raise ValueError(
                f"Layer '{self.name}' draws one number of noise for each integer of an event of "
                f"shape {tuple(x_shape[1:])}, but its bijections give "
                f"{self.flow.forward_shape(tuple(x_shape))[1:]}. Leave out FactorOut and "
                "Squeeze2D."
            )

    def noise(self, x: Tensor, uniforms: Tensor, training: bool | None) -> tuple[Tensor, Tensor]:
        noise = tf.math.log(uniforms) - tf.math.log1p(-uniforms)
        scaled = 2 * tf.cast(x, uniforms.dtype) / (self.levels - 1) - 1
        v, log_det = self.flow.inverse(noise, condition=scaled)
        return tf.sigmoid(v), _log_slope(noise) - log_det - _log_slope(v)

    def get_config(self) -> Config:
        bijections = [keras.saving.serialize_keras_object(b) for b in self.flow.bijections]
        return {**super().get_config(), "bijections": bijections}

    @classmethod
    def from_config(cls, config: Config) -> "VariationalDequantization":
        bijections = [keras.saving.deserialize_keras_object(b) for b in config["bijections"]]
        return cls(**{**config, "bijections": bijections})


def _log_slope(v: Tensor) -> Tensor:
    """log of the derivative of the sigmoid, which is the logistic density; sums over an event."""
    axes = list(range(1, len(v.shape)))
    return -tf.reduce_sum(tf.nn.softplus(v) + tf.nn.softplus(-v), axis=axes)
