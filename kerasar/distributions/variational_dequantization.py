"""Dequantization with learned noise, which a small flow of its own draws."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.distributions.dequantization import Dequantization
from kerasar.distributions.standard_noise import logistic, logistic_log_density
from kerasar.layers.bijections.base import Bijection, sum_event
from kerasar.layers.bijections.chain import Chain, deserialized, serialized
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class VariationalDequantization(Dequantization):
    """Noise u = sigmoid(v), where a conditional flow maps v to logistic noise, given x.

    Uniform noise has steep edges at the cells' borders, which a smooth flow fits badly; noise that
    is trained with the flow makes the bound tighter. If the flow is the identity, as a new one is,
    u is uniform. (The paper starts from normal noise, which hardly reaches the cells' edges:
    importance weights then have an infinite variance.)

    Args:
        levels: int, at least 2. The integers are in `[0, levels)`.
        bijections: bijections of an event's shape, a list; at least one with a network, because the
            integers, scaled to [-1, 1], are their condition.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Raises:
        TypeError: if one of `bijections` is not a `Bijection`.
        ValueError: when built, if the bijections change the shape.

    References:
        Ho, Chen, Srinivas, Duan & Abbeel. Flow++: Improving Flow-Based Generative Models with
        Variational Dequantization and Architecture Design. ICML 2019, section 3.1.
        https://arxiv.org/abs/1902.00275
    """

    @checks_arguments
    def __init__(self, levels: int, bijections: Sequence[Bijection], **kwargs: Any) -> None:
        super().__init__(levels, **kwargs)
        self.flow = Chain(bijections, name="noise_flow", dtype=self.dtype_policy)

    def build(self, x_shape: Shape) -> None:
        self.flow.build(x_shape, x_shape)
        if tuple(self.flow.forward_shape(tuple(x_shape))) != tuple(x_shape):
            raise ValueError(
                f"Layer '{self.name}' draws one noise value for each integer of an event of "
                f"shape {tuple(x_shape[1:])}, but its bijections give "
                f"{self.flow.forward_shape(tuple(x_shape))[1:]}. Leave out FactorOut and "
                "Squeeze2D."
            )

    def noise(self, x: Tensor, uniforms: Tensor, training: bool | None) -> tuple[Tensor, Tensor]:
        noise = logistic(uniforms)
        scaled = 2 * tf.cast(x, uniforms.dtype) / (self.levels - 1) - 1
        v, log_det = self.flow.inverse(noise, condition=scaled)
        return tf.sigmoid(v), _log_density(noise) - log_det - _log_density(v)

    def get_config(self) -> Config:
        return {**super().get_config(), "bijections": serialized(self.flow.bijections)}

    @classmethod
    def from_config(cls, config: Config) -> "VariationalDequantization":
        return cls(**{**config, "bijections": deserialized(config["bijections"])})


def _log_density(v: Tensor) -> Tensor:
    """The logistic log density of each event, `(batch,)`, also log |du/dv| of u = sigmoid(v)."""
    return sum_event(logistic_log_density(v))
