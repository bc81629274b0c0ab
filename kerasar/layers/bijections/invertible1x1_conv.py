"""A learned mixing of channels, in place of a fixed permutation."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

from kerasar.arguments import checks_arguments
from kerasar.checks import check_memory
from kerasar.layers.bijections.base import Bijection, seed_or_drawn
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class Invertible1x1Conv(Bijection):
    """Multiplies the channels of each pixel, or the features of a vector, by an invertible matrix.

    The matrix is a permutation of L (U + diag(±exp(log_scale))), with L lower and U upper
    triangular. So the log determinant is a sum, accurate in float32 where a general determinant
    suffers from cancellation, and the inverse takes two triangular solves instead of an inversion.
    The matrix is initialized to a random rotation. Permutation and signs are not trained.

    Args:
        seed: int. Seed of the rotation; drawn if `None`.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, …, channels)`.

    Output shape:
        A pair: the input shape, and `(batch,)`.

    Raises:
        ValueError: when built, if the number of channels is open.

    References:
        Kingma & Dhariwal. Glow: Generative Flow with Invertible 1x1 Convolutions. NeurIPS 2018,
        section 3.2. https://arxiv.org/abs/1807.03039
    """

    @checks_arguments
    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed_or_drawn(seed)

    def build(self, x_shape: Shape, condition_shape: Shape | None = None) -> None:
        super().build(x_shape, condition_shape)
        channels = self.known_channels()
        # In float64, and several of them.
        check_memory(f"channels of layer '{self.name}'", channels, (10, channels, channels))
        order, lower, upper = _rotation_in_parts(channels, self.seed)
        diagonal = np.diag(upper)

        self.lower = self._add("lower", np.tril(lower, -1))
        self.upper = self._add("upper", np.triu(upper, 1))
        self.log_scale = self._add("log_scale", np.log(np.abs(diagonal)))
        # Integers, so that nothing that trains, averages or randomizes weights can change them.
        self.signs = self._add("signs", np.sign(diagonal), trainable=False, dtype="int32")
        self.order = self._add("order", order, trainable=False, dtype="int32")

    def call(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = self.check_data(x)
        lower, upper = self._triangles()
        kernel = ops.take(ops.matmul(lower, upper), self.order.value, axis=0)
        return _mix(x, kernel), self.channelwise_log_det(x, self.log_scale)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = self.check_latent(z)
        lower, upper = self._triangles()
        identity = ops.take(tf.eye(lower.shape[0], dtype=z.dtype), self.order.value, axis=0)
        kernel = tf.linalg.triangular_solve(lower, ops.transpose(identity))
        kernel = tf.linalg.triangular_solve(upper, kernel, lower=False)
        return _mix(z, kernel), -self.channelwise_log_det(z, self.log_scale)

    def _add(self, name: str, value: NDArray[Any], **settings: Any) -> Any:
        def initial(shape: Shape, dtype: str) -> Tensor:
            return ops.cast(ops.convert_to_tensor(value), dtype)

        return self.add_flow_weight(name, value.shape, initial, **settings)

    def _triangles(self) -> tuple[Tensor, Tensor]:
        # The triangles are cut out here, never in the weights: training updates whole matrices.
        ones = np.ones(self.lower.shape)
        below = ops.convert_to_tensor(np.tril(ones, -1), self.flow_dtype)
        above = ops.convert_to_tensor(np.triu(ones, 1), self.flow_dtype)
        signs = ops.cast(self.signs.value, self.flow_dtype)
        lower = self.lower * below + tf.eye(len(ones), dtype=below.dtype)
        upper = self.upper * above + tf.linalg.diag(signs * ops.exp(self.log_scale))
        return lower, upper

    def get_config(self) -> Config:
        return {**super().get_config(), "seed": self.seed}


def _mix(x: Tensor, kernel: Tensor) -> Tensor:
    """x · kernel at each position, as one matrix product."""
    channels = kernel.shape[0]
    return ops.reshape(ops.matmul(ops.reshape(x, (-1, channels)), kernel), ops.shape(x))


def _rotation_in_parts(size: int, seed: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """A random rotation R as `(lower @ upper)[order]`, by Gaussian elimination with pivots."""
    rotation, _ = np.linalg.qr(np.random.RandomState(seed).normal(size=(size, size)))
    upper, lower, rows = rotation.copy(), np.zeros((size, size)), np.arange(size)
    for i in range(size):
        pivot = i + int(np.abs(upper[i:, i]).argmax())
        for part in (upper, lower, rows):
            part[[i, pivot]] = part[[pivot, i]]
        factors = upper[i + 1 :, i] / upper[i, i]
        lower[i + 1 :, i] = factors
        upper[i + 1 :] -= factors[:, None] * upper[i]
    return np.argsort(rows), lower + np.eye(size), upper
