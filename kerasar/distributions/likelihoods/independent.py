"""Events of several values that are independent given the network's output."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.distributions.likelihoods.base import Likelihood
from kerasar.typing import Config, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class Independent(Likelihood):
    """Vectors whose values are independent of each other, given all events before.

    The keys of a piano-roll at one time step, for example: `Independent(88, Bernoulli())`. The
    network outputs the concatenated parameters of all values, `(batch, *positions, num_variables *
    parameters of a value)`.

    Args:
        num_variables: int, at least 1. Number of values of an event.
        likelihood: of a single value, such as `Bernoulli()`.

    Raises:
        TypeError: if `num_variables` is not an integer.
        ValueError: if `num_variables` is below 1, or `likelihood` is one of vectors itself.

    References:
        Bai, Kolter & Koltun. An Empirical Evaluation of Generic Convolutional and Recurrent
        Networks for Sequence Modeling. 2018, table 1 (polyphonic music).
        https://arxiv.org/abs/1803.01271
    """

    event_rank = 1
    event_size: int

    @checks_arguments
    def __init__(self, num_variables: int, likelihood: Likelihood) -> None:
        self.event_size = check_count(num_variables, "num_variables of Independent")
        if likelihood.event_rank != 0:
            raise ValueError(
                "Independent joins likelihoods of single values, but "
                f"{type(likelihood).__name__} is one of vectors. Use it by itself."
            )
        self.likelihood = likelihood
        self.discrete, self.counts = likelihood.discrete, likelihood.counts
        self.mean, self.scale = likelihood.mean, likelihood.scale

    def num_parameters(self, levels: int | None = None) -> int:
        return self.event_size * self.likelihood.num_parameters(levels)

    def num_levels(self, parameters: int) -> int | None:
        return self.likelihood.num_levels(self._each(parameters))

    def about(self, parameters: Tensor, level: Tensor, scale: Tensor) -> Tensor:
        """As `NegativeBinomial.about`; level and scale are `(*positions, num_variables)`."""
        inside: Any = self.likelihood
        return self._join(inside.about(self._split(parameters), level, scale))

    def check_values(self, x: np.ndarray, name: str) -> None:
        self.likelihood.check_values(x, name)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        return tf.reduce_sum(self.log_prob_of_each(parameters, x), axis=-1)

    def log_prob_of_each(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Natural-log probability of each value of an event, float32, the shape of `x`."""
        return self.likelihood.log_prob(self._split(parameters), x)

    def log_prob_table(
        self, parameters: Tensor, levels: int, x: Tensor | None = None, variable: int = 0
    ) -> Tensor:
        return self.likelihood.log_prob_table(self._split(parameters)[..., variable, :], levels)

    def expected_nats(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        mean, variance = self.likelihood.expected_nats(self._split(parameters))
        return tf.reduce_sum(mean, axis=-1), tf.reduce_sum(variance, axis=-1)

    def num_uniforms(self, parameters: int) -> int:
        return self.event_size * self.likelihood.num_uniforms(self._each(parameters))

    def noise(self, uniforms: Tensor) -> Tensor:
        return self._join(self.likelihood.noise(self._split(uniforms)))

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        return self.likelihood.sample(self._split(parameters), self._split(noise))

    def shortfall(self, parameters: Tensor, noise: Tensor, x: Tensor) -> Tensor:
        each = self.likelihood.shortfall(self._split(parameters), self._split(noise), x)
        return tf.reduce_max(each, axis=-1)

    def apply_temperature(self, parameters: Tensor, temperature: Tensor) -> Tensor:
        return self._join(self.likelihood.apply_temperature(self._split(parameters), temperature))

    def apply_top_k_top_p(
        self, parameters: Tensor, top_k: Tensor | None, top_p: Tensor | None
    ) -> Tensor:
        return self._join(self.likelihood.apply_top_k_top_p(self._split(parameters), top_k, top_p))

    @property
    def truncates(self) -> bool:
        return self.likelihood.truncates

    def differs(self, x: Tensor, other: Tensor, tolerance: float = 0.0) -> Tensor:
        return tf.reduce_any(self.likelihood.differs(x, other, tolerance), axis=-1)

    def _each(self, parameters: int) -> int:
        """The parameters of a value, given those of an event."""
        if parameters % self.event_size:
            raise ValueError(
                f"Independent({self.event_size}, {type(self.likelihood).__name__}()) takes the "
                f"same number of parameters for each of {self.event_size} values, but the "
                f"network's last axis is {parameters}, which is not a multiple. End the network "
                "with likelihood.num_parameters(levels) units."
            )
        return parameters // self.event_size

    def _split(self, tensor: Tensor) -> Tensor:
        """`(*positions, num_variables * n)` as `(*positions, num_variables, n)`."""
        each = self._each(int(tensor.shape[-1]))
        return tf.reshape(tensor, tf.concat([tf.shape(tensor)[:-1], [self.event_size, each]], 0))

    def _join(self, tensor: Tensor) -> Tensor:
        """`(*positions, num_variables, n)` as `(*positions, num_variables * n)`."""
        size = tensor.shape[-2] * tensor.shape[-1]
        return tf.reshape(tensor, tf.concat([tf.shape(tensor)[:-2], [size]], 0))

    def get_config(self) -> Config:
        return {
            "num_variables": self.event_size,
            "likelihood": keras.saving.serialize_keras_object(self.likelihood),
        }

    @classmethod
    def from_config(cls, config: Config, custom_objects: Any = None) -> "Independent":
        inner = keras.saving.deserialize_keras_object(config["likelihood"], custom_objects)
        return cls(config["num_variables"], inner)
