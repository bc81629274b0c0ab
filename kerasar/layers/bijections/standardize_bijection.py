"""Standardization as the first bijection of a flow: saved in the model, part of its density."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasar.checks import Spread, as_array
from kerasar.layers.bijections.base import Bijection
from kerasar.typing import Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class StandardizeBijection(Bijection):
    """Subtracts the data's mean and divides by their standard deviation, which are not trained.

    Put it first in a flow. `FlowModel.fit` computes the statistics from the training data, once;
    they are saved with the model, so `log_prob` and samples are in the data's own units. Before
    that the layer is the identity. There is one mean and deviation for each feature, or channel of
    an image.

    Args:
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, dim)` or `(batch, height, width, channels)`.

    Output shape:
        A pair: the same shape, and the log determinant in nats, `(batch,)`.
    """

    def build(self, x_shape: Shape, condition_shape: Shape | None = None) -> None:
        super().build(x_shape, condition_shape)
        shape = self.event_shape[-1:]
        self.mean = self.add_flow_weight("mean", shape, trainable=False)
        self.log_scale = self.add_flow_weight("log_scale", shape, trainable=False)
        self.adapted = self.add_flow_weight("adapted", (), trainable=False, dtype="int32")

    @property
    def is_adapted(self) -> bool:
        """Whether the statistics have been computed from data."""
        return bool(self.adapted.numpy() != 0)

    def adapt(self, data: Any) -> None:
        """Computes mean and standard deviation of the data.

        Args:
            data: an array `(n, *event)`, or a `tf.data.Dataset` of batches; it is read once.

        Raises:
            ValueError: if a feature is constant, or not finite.
        """
        batches = data.as_numpy_iterator() if isinstance(data, tf.data.Dataset) else [data]
        spread, fits = Spread(self.mean.shape[0]), True
        for batch in batches:
            rows = as_array(batch, "data")
            fits = fits and np.can_cast(rows.dtype, self.flow_dtype)
            spread.add(rows)
        mean, deviation = spread.mean, spread.deviation
        # Below that, a deviation is rounding. What the dtype rounds is told apart from it below.
        least = np.finfo(self.flow_dtype).eps if fits else 1e-14
        bad = ~np.isfinite(deviation) | (deviation <= least * np.abs(mean))
        if bad.any():
            index = int(np.argmax(bad))
            raise ValueError(
                f"Layer '{self.name}' divides by the standard deviation of each feature, but that "
                f"of feature {index} is {deviation[index]:g} about a mean of {mean[index]:g}. "
                "Leave constant features out."
            )
        if not fits:
            spread.check(self.flow_dtype, lambda i: f"feature {i}")
        self.mean.assign(mean)
        self.log_scale.assign(np.log(deviation))
        self.adapted.assign(1)

    def call(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = self.check_data(x)
        z = (x - self.mean) * ops.exp(-self.log_scale)
        return z, self.channelwise_log_det(x, -self.log_scale)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = self.check_latent(z)
        x = z * ops.exp(self.log_scale) + self.mean
        return x, self.channelwise_log_det(z, self.log_scale)
