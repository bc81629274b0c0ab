"""What a likelihood promises: probabilities and draws from parameters that a network outputs."""

from typing import Any

import numpy as np
import tensorflow as tf

from kerasar.distributions.surprise import Surprise
from kerasar.noise import uniforms
from kerasar.typing import Config, Tensor

#: How many events are drawn to estimate what a model expects.
_DRAWS = 16


class Likelihood:
    """The distribution of one event, given the parameters that the network outputs for it.

    An *event* is drawn at once at one position of the autoregressive order: a single value
    (`event_rank` 0), or the vector of all channels of a pixel or variables of a step
    (`event_rank` 1). Data have the shape `(batch, *positions, *event)` and parameters
    `(batch, *positions, parameters)`: one vector for each event.

    All methods take and return TensorFlow tensors and use explicit graph operations, so they work
    in training, in compiled loops and inside a SavedModel alike.
    """

    #: Rank of one event: 0 for a value, 1 for a vector.
    event_rank = 0
    #: True if the data are integers in `[0, levels)`.
    discrete = True
    #: Whether NaN is a value that is missing, whose log-probability is 0.
    takes_missing = False
    #: Whether data are counts 0, 1, 2, … without an upper bound.
    counts = False
    #: Size of a vector event, if the likelihood determines it.
    event_size: int | None = None
    #: Location and scale of real data: a scalar, or one value for each variable.
    mean: Any = 0.0
    scale: Any = 1.0

    def num_parameters(self, levels: int | None = None) -> int:
        """The number of outputs of the network for each event.

        Args:
            levels: number of values of discrete data, None for real numbers.

        Raises:
            ValueError: if data of that kind do not fit this likelihood.
        """
        raise NotImplementedError(f"{type(self).__name__} must define num_parameters()")

    def num_levels(self, parameters: int) -> int | None:
        """Number of values that discrete data can take, given the size of the parameter axis.

        None for real numbers.

        Raises:
            ValueError: if a network with that many parameters does not fit this likelihood.
        """
        raise NotImplementedError(f"{type(self).__name__} must define num_levels()")

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Natural-log probability of each event, float32, `(batch, *positions)`."""
        raise NotImplementedError(f"{type(self).__name__} must define log_prob()")

    def log_prob_table(
        self, parameters: Tensor, levels: int, x: Tensor | None = None, variable: int = 0
    ) -> Tensor:
        """Log-probabilities of all values that one variable of an event can take, `(…, levels)`.

        Up to a constant that is the same for all of them. A coder needs it, for discrete data.

        Args:
            parameters: of the events, `(…, parameters)`.
            levels: number of values.
            x: the events, of which those variables are read that come earlier, `(…, event)`;
                for events of one value None.
            variable: which one.

        Raises:
            ValueError: if the likelihood does not list its values.
        """
        if self.event_rank or not self.discrete:
            raise ValueError(
                f"{type(self).__name__} does not tell the probability of each value that one "
                "variable of an event can take: it must define log_prob_table()."
            )
        shape = tf.concat([tf.shape(parameters)[:-1], [levels]], 0)
        return self.log_prob(parameters[..., None, :], tf.broadcast_to(tf.range(levels), shape))

    @property
    def lists_values(self) -> bool:
        """Whether `log_prob_table` works."""
        own = type(self).log_prob_table is not Likelihood.log_prob_table
        return self.discrete and (own or not self.event_rank)

    def surprise(self, parameters: Tensor, x: Tensor) -> Surprise:
        """The nats of each event, with their mean and variance under the model."""
        expected = self.expected_nats(parameters)
        if self.takes_missing:
            x = tf.convert_to_tensor(x)
            known = tf.cast(~tf.math.is_nan(x), tf.float32)
            # What is missing costs nothing: of an event, its share.
            share = tf.reduce_mean(known, axis=-1) if self.event_rank else known
            expected = expected[0] * share, expected[1] * share
        return Surprise(-self.log_prob(parameters, x), *expected)

    def expected_nats(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of the nats of events drawn from the distribution, each like the nats.

        Here they are estimated from 16 draws, with noise that depends on the position alone, so
        that an example gets the same numbers in any batch. Likelihoods that know them override it.
        """
        shape = tf.shape(parameters)[:-1]
        positions = tf.reshape(tf.range(tf.reduce_prod(shape[1:])), shape[1:])
        count = self.num_uniforms(parameters.shape[-1])

        def draw(k: Tensor, mean: Tensor, squares: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            words = uniforms(0, tf.zeros_like(positions) + k, positions, count)
            noise = self.noise(tf.broadcast_to(words, tf.concat([shape, [count]], 0)))
            nats = -self.log_prob(parameters, self.sample(parameters, noise))
            # Welford's update: no cancellation.
            apart = nats - mean
            mean += apart / tf.cast(k + 1, nats.dtype)
            return k + 1, mean, squares + apart * (nats - mean)

        zeros = tf.zeros(shape, tf.float32)
        zeros.set_shape(parameters.shape[:-1])
        start = (0, zeros, zeros)
        shapes = (tf.TensorShape([]), zeros.shape, zeros.shape)
        _, mean, squares = tf.while_loop(
            lambda k, *_: k < _DRAWS, draw, start, shape_invariants=shapes
        )
        return mean, squares / (_DRAWS - 1)

    def check_values(self, x: np.ndarray, name: str) -> None:
        """Raises a ValueError for values that have no density; all have one, unless overridden."""

    def num_uniforms(self, parameters: int) -> int:
        """The number of uniform values that the draw of an event takes."""
        raise NotImplementedError(f"{type(self).__name__} must define num_uniforms()")

    def noise(self, uniforms: Tensor) -> Tensor:
        """The noise for `sample`, from uniform values in (0, 1), `(batch, *positions, draws)`.

        Samplers call it for many positions at once, which is cheaper than within their loops.
        """
        raise NotImplementedError(f"{type(self).__name__} must define noise()")

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """An event for each parameter vector, given its noise, `(batch, *positions, draws)`."""
        raise NotImplementedError(f"{type(self).__name__} must define sample()")

    def shortfall(self, parameters: Tensor, noise: Tensor, x: Tensor) -> Tensor:
        """By how much `x` falls short of the value that `sample` would draw; 0 where it is drawn.

        In the units of the network's output. Two samplers that differ by rounding disagree only
        where this is tiny (a near-tie). A real value counts as drawn up to rounding.
        """
        raise NotImplementedError(f"{type(self).__name__} must define shortfall()")

    def apply_temperature(self, parameters: Tensor, temperature: Tensor) -> Tensor:
        """Parameters of the distribution sharpened (below 1) or flattened (above 1)."""
        raise NotImplementedError(f"{type(self).__name__} must define apply_temperature()")

    def apply_top_k_top_p(
        self, parameters: Tensor, top_k: Tensor | None, top_p: Tensor | None
    ) -> Tensor:
        """Parameters that keep only the `top_k` likeliest values, or those that make up `top_p`.

        Raises:
            ValueError: if the likelihood does not list its values.
        """
        raise ValueError(
            f"top_k and top_p keep the likeliest of a few values, which {type(self).__name__} does "
            "not list. Leave them out; temperature works."
        )

    @property
    def truncates(self) -> bool:
        """Whether `apply_top_k_top_p` works."""
        return type(self).apply_top_k_top_p is not Likelihood.apply_top_k_top_p

    def differs(self, x: Tensor, other: Tensor, tolerance: float = 0.0) -> Tensor:
        """Where two events are not the same, Boolean `(batch, *positions)`.

        Real values differ if their distance exceeds `tolerance`, relative to the spread of the
        data and to their own size: networks round, and drawn values feed back. Integers have no
        tolerance.
        """
        unequal = tf.not_equal(x, other)
        return tf.reduce_any(unequal, axis=-1) if self.event_rank else unequal

    def get_config(self) -> Config:
        return {}

    @classmethod
    def from_config(cls, config: Config) -> "Likelihood":
        return cls(**config)
