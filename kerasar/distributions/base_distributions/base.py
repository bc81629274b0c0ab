"""What a base distribution promises: the density that a flow maps the data to."""

import math

import numpy as np
import tensorflow as tf

from kerasar.typing import Config, Tensor

#: How many points an expectation is taken over.
_POINTS = 2**14


class BaseDistribution:
    """The distribution of a flow's latent: independent elements of one simple distribution.

    A latent is a flat vector, `(batch, dim)`. Methods take and return TensorFlow tensors and use
    explicit graph operations, so they work in training, under XLA and inside a SavedModel alike.
    """

    #: The largest temperature at which samples stay in the base's domain.
    largest_temperature = math.inf

    def log_prob(self, z: Tensor) -> Tensor:
        """Natural-log density of each latent, `(batch,)`, in the dtype of `z`, `(batch, dim)`."""
        raise NotImplementedError(f"{type(self).__name__} must define log_prob()")

    def sample(self, uniforms: Tensor, temperature: Tensor) -> Tensor:
        """Latents from uniform values in (0, 1) of the same shape, by the inverse CDF.

        Args:
            uniforms: `(batch, dim)`.
            temperature: factor of the latents' spread about the base's center; 1 leaves the
                distribution unchanged.
        """
        raise NotImplementedError(f"{type(self).__name__} must define sample()")

    def expected_nats(self) -> tuple[float, float]:
        """Mean and variance of -ln p of one element of a latent, by the midpoint rule."""
        middles = (np.arange(_POINTS) + 0.5) / _POINTS
        with tf.init_scope():  # the numbers are known while a graph is traced
            z = self.sample(tf.constant(middles[:, None]), tf.constant(1.0, tf.float64))
            nats = -self.log_prob(z).numpy()
        return float(nats.mean()), float(nats.var())

    def check_temperature(self, temperature: float) -> None:
        """Raises a ValueError for a temperature at which samples leave the base's domain."""
        if temperature > self.largest_temperature:
            raise ValueError(
                f"With a base of {type(self).__name__}, temperature must be at most "
                f"{self.largest_temperature:g}, because it has no latents further out, but got "
                f"{temperature}. StandardNormal() takes any."
            )

    def get_config(self) -> Config:
        return {}

    @classmethod
    def from_config(cls, config: Config) -> "BaseDistribution":
        return cls(**config)
