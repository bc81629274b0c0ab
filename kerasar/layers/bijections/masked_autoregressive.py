"""Masked autoregressive flow: each element is scaled and shifted given those before it."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

from kerasar.arguments import checks_arguments
from kerasar.checks import check_memory
from kerasar.layers.bijections.base import (
    Bijection,
    check_activation,
    check_hidden_units,
    sum_event,
)
from kerasar.layers.bijections.bounds import bounded, check_bound, check_gain, gain_for
from kerasar.layers.bijections.condition import join, joined_shape
from kerasar.layers.bijections.coupling_network import dense_initializers
from kerasar.layers.bijections.masked_dense import MaskedDense
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class MaskedAutoregressive(Bijection):
    """z_i = x_i · exp(s_i) + t_i, where s_i and t_i are functions of x_1 … x_{i-1}.

    One dense network with masked connections (a MADE) computes all s and t in one pass, so
    densities are fast. The inverse takes one pass for each dimension. `Inverse` of this layer is
    the inverse autoregressive flow. The order is that of the last axis; put `Permute("reverse")`
    between two of them. A new layer is the identity. (The paper writes (x - μ) · exp(-α), the same
    family.)

    Args:
        hidden_units: sequence of ints. Widths of the hidden layers of the network. With fewer than
            features - 1 units, some elements do not depend on those shortly before them.
        activation: of the hidden layers, as for `keras.layers.Dense`.
        scale_bound: float, the largest |s|; `None` leaves scales unbounded.
        gain: float, as for `Coupling`.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, features)`, at least 1 feature; also `condition`, `(batch, condition features)`.

    Output shape:
        A pair: the input shape, and `(batch,)`.

    Raises:
        TypeError: if `hidden_units` are not integers.
        ValueError: if `hidden_units`, `scale_bound` or `gain` is not positive; when built, for
            anything but vectors.

    References:
        Papamakarios, Pavlakou & Murray. Masked Autoregressive Flow for Density Estimation. NeurIPS
        2017. https://arxiv.org/abs/1705.07057
        Germain, Gregor, Murray & Larochelle. MADE: Masked Autoencoder for Distribution Estimation.
        ICML 2015. https://arxiv.org/abs/1502.03509
    """

    @checks_arguments
    def __init__(
        self,
        hidden_units: Sequence[int] = (64, 64),
        activation: Any = "relu",
        scale_bound: float | None = 3.0,
        gain: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.hidden_units = check_hidden_units(self.name, hidden_units)
        self.activation = check_activation(self.name, activation)
        self.scale_bound = check_bound(self.name, scale_bound)
        self.gain = check_gain(self.name, gain)

    def build(self, x_shape: Shape, condition_shape: Shape | None = None) -> None:
        super().build(x_shape, condition_shape)
        if len(x_shape) != 2 or x_shape[1] is None:
            raise ValueError(
                f"MaskedAutoregressive takes vectors (batch, features), but layer '{self.name}' "
                f"got input shape {tuple(x_shape)}. Flatten the data: FactorOut() does."
            )
        features = x_shape[1]
        (inputs,) = joined_shape(self.name, (features,), self.condition_shape)
        # A unit sees the inputs up to its degree; units of degree 0 see the condition only.
        extra = inputs - features  # type: ignore[operator]
        degrees = np.concatenate([np.arange(1, features + 1), np.zeros(extra, int)])
        least = 0 if extra or features == 1 else 1
        self.made: list[MaskedDense] = []
        for i, units in enumerate(self.hidden_units):
            check_memory("hidden_units", list(self.hidden_units), (len(degrees), units))
            rises, over = features - least, units
            if units < rises:  # too few for every degree: the largest is the last unit's
                rises, over = rises - 1, max(units - 1, 1)
            hidden = least + np.arange(units) * rises // over
            self._add(
                f"hidden_{i}",
                degrees[:, None] <= hidden,
                activation=self.activation,
                **dense_initializers(len(degrees)),
            )
            degrees = hidden
        check_memory("hidden_units", list(self.hidden_units), (len(degrees), 2 * features))
        outputs = np.tile(np.arange(1, features + 1), 2)
        self._add("last", degrees[:, None] < outputs, kernel_initializer="zeros")

    def call(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = self.check_data(x)
        log_scale, shift = self._scale_and_shift(x, condition)
        return x * ops.exp(log_scale) + shift, sum_event(log_scale)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = self.check_latent(z)
        features = z.shape[-1]
        indices = tf.range(features)

        def step(i: Tensor, x: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            log_scale, shift = self._scale_and_shift(x, condition)
            # Elements that are not known yet stay 0: otherwise they could grow to infinity, and
            # infinity times a mask's 0 is NaN.
            x = ops.where(indices <= i, (z - shift) * ops.exp(-log_scale), 0.0)
            return i + 1, x, -log_scale

        _, x, log_slope = tf.while_loop(
            lambda i, *_: i < features,
            step,
            (0, tf.zeros_like(z), tf.zeros_like(z)),
            maximum_iterations=features,  # XLA needs it for gradients
        )
        return x, sum_event(log_slope)

    def choose_gain(self, depth: int) -> None:
        if self.gain is None and not self.built:
            self.gain = gain_for(depth)

    def _scale_and_shift(self, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        values = join(self.name, x, condition, self.condition_shape)
        for layer in self.made:
            values = layer(values)
        values = ops.cast(values, self.flow_dtype) * (self.gain or 1.0)
        log_scale, shift = ops.split(values, 2, axis=-1)
        return bounded(log_scale, self.scale_bound), shift

    def _add(self, name: str, mask: NDArray[Any], **kwargs: Any) -> None:
        layer = MaskedDense(mask, name=name, dtype=self.dtype_policy, **kwargs)
        layer.build((None, len(mask)))
        self.made.append(layer)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "hidden_units": list(self.hidden_units),
            "activation": keras.activations.serialize(self.activation),
            "scale_bound": self.scale_bound,
            "gain": self.gain,
        }
