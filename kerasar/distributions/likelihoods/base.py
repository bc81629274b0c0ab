"""What a likelihood promises: how a network's output gives probabilities and draws."""

from typing import Any

import tensorflow as tf

from kerasar.typing import Config, Tensor


class Likelihood:
    """The distribution of one event, given the parameters that the network puts out for it.

    An *event* is what is drawn at once at one place in the autoregressive order: a single value
    (`event_rank` 0) or the vector of all channels of a pixel or variables of a step
    (`event_rank` 1). Data is `(batch, *places, *event)` and parameters are
    `(batch, *places, …)`, one more vector per event.

    All methods take and give TensorFlow tensors, keep to explicit graph operations and so work
    in training, in compiled loops and inside a SavedModel alike.
    """

    #: Rank of one event: 0 for a value, 1 for a vector.
    event_rank = 0
    #: True where the data are integers in `[0, levels)`.
    discrete = True
    #: Size of a vector event, where the likelihood fixes it.
    event_size: int | None = None
    #: About where real data lie, and how wide: a number, or one for each variable.
    mean: Any = 0.0
    scale: Any = 1.0

    def num_parameters(self, levels: int | None = None) -> int:
        """How many numbers the network must put out for each event: what builders ask.

        Args:
            levels: number of values of discrete data, None for real numbers.

        Raises:
            ValueError: if data of that kind do not fit this likelihood.
        """
        raise NotImplementedError(f"{type(self).__name__} must define num_parameters()")

    def num_levels(self, parameters: int) -> int | None:
        """Number of values a discrete datum can take, given the size of the parameter axis.

        Raises:
            ValueError: if a network with that many parameters does not fit this likelihood.
        """
        raise NotImplementedError(f"{type(self).__name__} must define num_levels()")

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Natural-log probability of each event, float32, `(batch, *places)`."""
        raise NotImplementedError(f"{type(self).__name__} must define log_prob()")

    def num_uniforms(self, parameters: int) -> int:
        """How many uniform numbers an event uses."""
        raise NotImplementedError(f"{type(self).__name__} must define num_uniforms()")

    def noise(self, uniforms: Tensor) -> Tensor:
        """What `sample` needs, from uniform numbers in (0, 1), `(batch, *places, draws)`.

        Samplers call it for many places at once, which is cheaper than within their loops.
        """
        raise NotImplementedError(f"{type(self).__name__} must define noise()")

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """An event for each parameter vector, given noise of its own, `(batch, *places, draws)`."""
        raise NotImplementedError(f"{type(self).__name__} must define sample()")

    def shortfall(self, parameters: Tensor, noise: Tensor, x: Tensor) -> Tensor:
        """By how much `x` falls short of what `sample` would pick; 0 where `x` is the pick.

        In the units of the network's output. Two samplers that differ by rounding disagree only
        where this is tiny (a near-tie). A real value is the pick if it is so up to rounding.
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
            ValueError: if the likelihood has no notion of single likeliest values.
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
        """Where two events are not the same, Boolean `(batch, *places)`.

        Real values differ where they lie further apart than `tolerance`, relative to the spread
        of the data and to their own size: networks round, and what is drawn feeds back. Integers
        know no tolerance.
        """
        unequal = tf.not_equal(x, other)
        return tf.reduce_any(unequal, axis=-1) if self.event_rank else unequal

    def get_config(self) -> Config:
        return {}

    @classmethod
    def from_config(cls, config: Config) -> "Likelihood":
        return cls(**config)
