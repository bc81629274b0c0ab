"""What a base distribution promises: the density that a flow maps the data to."""

import math

from kerasar.typing import Config, Tensor


class BaseDistribution:
    """The distribution of a flow's latent: independent numbers, all of the same simple kind.

    A latent is a flat vector, `(batch, dim)`. Methods take and give TensorFlow tensors in explicit
    graph operations, so they work in training, under XLA and inside a SavedModel alike.
    """

    #: The largest temperature that leads nowhere outside of the base's domain.
    largest_temperature = math.inf

    def log_prob(self, z: Tensor) -> Tensor:
        """Natural-log density of each latent vector, `(batch,)`, in the dtype of `z`."""
        raise NotImplementedError(f"{type(self).__name__} must define log_prob()")

    def sample(self, uniforms: Tensor, temperature: Tensor) -> Tensor:
        """Latents from uniform numbers in (0, 1) of the same shape, by the inverse CDF.

        Args:
            uniforms: `(batch, dim)`.
            temperature: by how much the latents spread around the base's centre; 1 leaves the
                distribution as it is.
        """
        raise NotImplementedError(f"{type(self).__name__} must define sample()")

    def check_temperature(self, temperature: float) -> None:
        """Raises a ValueError for a temperature that leads out of the base's domain."""
        if temperature > self.largest_temperature:
            raise ValueError(
                f"With a base of {type(self).__name__}, temperature must be at most "
                f"{self.largest_temperature:g}, for it has no latents further out, but got "
                f"{temperature}. StandardNormal() takes any."
            )

    def get_config(self) -> Config:
        return {}

    @classmethod
    def from_config(cls, config: Config) -> "BaseDistribution":
        return cls(**config)
