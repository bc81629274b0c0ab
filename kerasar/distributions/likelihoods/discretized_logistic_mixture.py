"""The discretized mixture of logistics: ordered levels from a few parameters instead of a softmax.

The density of a mixture of logistic distributions, integrated over the bin of each level. Unlike a
softmax it models levels 100 and 101 as neighbors, and its size does not grow with the levels.
"""

import math

import keras
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.distributions.likelihoods.mixture import Mixture
from kerasar.distributions.standard_noise import logistic
from kerasar.typing import Config, Tensor

#: The narrowest logistic, in levels: its own level has a probability of 0.9999.
_NARROWEST = 0.05
#: The log of the widest, in units of half the range: nearly all its mass is beyond both ends.
_WIDEST = 4.0


@keras.saving.register_keras_serializable(package="kerasar")
class DiscretizedLogisticMixture(Mixture):
    """Integers in `[0, levels)` from a mixture of logistic distributions, divided into bins.

    The levels represent evenly spaced values in [-1, 1]. A level has the probability of its bin
    under the mixture, half a step to either side; the bins of the first and last level extend to
    infinity. So the probabilities of all levels sum to 1, whatever the parameters.

    For color images, an event is a pixel: the three channels share the choice of a component, and
    within it the mean of green depends on red, and that of blue on red and green.

    The network outputs `num_parameters()` values for each event: `3 * num_components` for values,
    `10 * num_components` for pixels of 3 channels (see `Mixture` for their order).

    Sampling draws a component by Gumbel-argmax, then its variables by the inverse of the logistic
    distribution, rounded to levels. Temperature divides the logits of the components and multiplies
    the scales, which sharpens the tails of each component exactly as dividing logits would.

    Args:
        levels: int, at least 2. Number of values.
        num_components: int. Number of logistic distributions.
        num_variables: None for events that are single values (gray images, audio); the number of
            channels for events that are pixels.

    Raises:
        TypeError: for arguments that are not integers.
        ValueError: for `levels` below 2, or `num_components` or `num_variables` below 1.

    References:
        Salimans, Karpathy, Chen & Kingma. PixelCNN++: Improving the PixelCNN with Discretized
        Logistic Mixture Likelihood and Other Modifications. ICLR 2017, sections 2.1 and 2.2.
        https://arxiv.org/abs/1701.05517
        There, log scales are clipped at -7 and tiny probabilities replaced by a density. Here
        scales are bounded smoothly, and the log-probability is exact at any distance.
    """

    levels: int

    @checks_arguments
    def __init__(
        self, levels: int, num_components: int = 10, num_variables: int | None = None
    ) -> None:
        super().__init__(num_components, num_variables)
        self.levels = check_count(levels, "levels", least=2)
        #: Levels in one unit.
        self._half = (levels - 1) / 2
        self.log_scale_range = (math.log(_NARROWEST / self._half), _WIDEST)

    def num_parameters(self, levels: int | None = None) -> int:
        if levels not in (None, self.levels):
            raise ValueError(
                f"This DiscretizedLogisticMixture is made for levels={self.levels}, but "
                f"the data have levels={levels}. Use the same levels for both."
            )
        return super().num_parameters(levels)

    def to_units(self, x: Tensor) -> Tensor:
        return tf.cast(x, tf.float32) / self._half - 1.0

    def from_units(self, values: Tensor) -> Tensor:
        return tf.cast(self._level(values), tf.int32)

    def project_to_support(self, values: Tensor) -> Tensor:
        return self.to_units(self._level(values))

    def log_densities(self, x: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
        # In levels, in which the bins' edges are exact: the upper edge of a bin and the lower one
        # of the next are the same float, so that the sum over all bins telescopes.
        x = tf.cast(x, tf.float32)
        center = (means + 1.0) * self._half
        narrow = tf.exp(-log_scales) / self._half
        upper = (x + 0.5 - center) * narrow
        lower = (x - 0.5 - center) * narrow
        # sigmoid(b) - sigmoid(a) = sigmoid(b) * sigmoid(-a) * (1 - exp(a - b)): no cancellation.
        first, last = tf.equal(x, 0.0), tf.equal(x, self.levels - 1.0)
        within = tf.math.log(-tf.math.expm1(-narrow))
        return (
            tf.where(last, 0.0, tf.math.log_sigmoid(upper))
            + tf.where(first, 0.0, tf.math.log_sigmoid(-lower))
            + tf.where(first | last, 0.0, within)
        )

    def standard_noise(self, uniforms: Tensor) -> Tensor:
        return logistic(uniforms)

    def value_shortfall(self, x: Tensor, values: Tensor) -> Tensor:
        x = tf.cast(x, tf.float32)
        drawn = (values + 1.0) * self._half
        beyond = tf.maximum(x - 0.5 - drawn, drawn - x - 0.5) / self._half
        return tf.where(tf.equal(self._level(values), x), 0.0, beyond)

    def get_config(self) -> Config:
        return {"levels": self.levels, **super().get_config()}

    def _squash(self, couplings: Tensor) -> Tensor:
        return tf.tanh(couplings)

    def _level(self, values: Tensor) -> Tensor:
        """The level nearest to a value in units, float32."""
        nearest = tf.floor((values + 1.0) * self._half + 0.5)
        return tf.clip_by_value(nearest, 0.0, self.levels - 1.0)
