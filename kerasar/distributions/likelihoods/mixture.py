"""What mixture likelihoods share: parameters, coupled variables, draws; a family adds its density.

A component is chosen by Gumbel-argmax on the logits. Its variables are then drawn in turn, the
mean of each shifted by those before it (the coupling of colors in PixelCNN++, equation 3), so that
even a single component models the correlation of an event's variables.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.distributions.likelihoods.base import Likelihood
from kerasar.distributions.likelihoods.bounds import bounded, unbounded
from kerasar.distributions.standard_noise import argmax, gumbel
from kerasar.typing import Config, Tensor


class Parts(NamedTuple):
    """The parameters of events, by meaning; for a single component without its axis."""

    logits: Tensor
    """`(…, num_components)`"""
    means: Tensor
    """`(…, num_components, num_variables)`"""
    log_scales: Tensor
    """`(…, num_components, num_variables)`, bounded"""
    couplings: Tensor
    """`(…, num_components, pairs)`: of variable 1 on 0, of 2 on 0 and 1, and so on"""


class Mixture(Likelihood):
    """Base of mixtures whose components have a mean and a scale for each variable.

    The outputs of the network for an event are, in this order: the logits of the components; their
    means, log scales and couplings, each `(num_components, …)` in row-major order. All of them are
    in *units* of the family, in which data are of order 1.

    A subclass defines `to_units`, `project_to_support`, `from_units`, `log_densities`,
    `standard_noise` and `value_shortfall`.

    Args:
        num_components: number of distributions that are mixed.
        num_variables: None if a value is an event; else the size of a vector event.

    Raises:
        TypeError, ValueError: if one of them is not an integer of at least 1.
    """

    #: Number of values of discrete data; None for real numbers.
    levels: int | None = None
    #: Smallest and largest log scale, in units.
    log_scale_range = (-7.0, 5.0)
    #: The power of the temperature that scales are multiplied by.
    temperature_power = 1.0

    @checks_arguments
    def __init__(self, num_components: int, num_variables: int | None = None) -> None:
        self.num_components = check_count(num_components, "num_components")
        self.num_variables = (
            None if num_variables is None else check_count(num_variables, "num_variables")
        )
        self.event_rank = 0 if num_variables is None else 1
        self.event_size = self.num_variables
        self._width = self.num_variables or 1

    # What a family defines. Tensors of data are `(…, num_variables)` here, for value events too.

    def to_units(self, x: Tensor) -> Tensor:
        """Data in units, float32."""
        raise NotImplementedError

    def from_units(self, values: Tensor) -> Tensor:
        """The inverse of `to_units`, in the dtype of samples."""
        raise NotImplementedError

    def project_to_support(self, values: Tensor) -> Tensor:
        """The values in units that data can take, nearest to those drawn."""
        raise NotImplementedError

    def log_densities(self, x: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
        """Natural log of each component's density of each variable, in the data's own units."""
        raise NotImplementedError

    def standard_noise(self, uniforms: Tensor) -> Tensor:
        """Draws of the family with mean 0 and scale 1."""
        raise NotImplementedError

    def value_shortfall(self, x: Tensor, values: Tensor) -> Tensor:
        """By how much drawn values would have to change to become `x`, in units; 0 if equal."""
        raise NotImplementedError

    # What a likelihood promises.

    def num_levels(self, parameters: int) -> int | None:
        wanted = self.num_parameters(self.levels)
        if parameters != wanted:
            event = (
                "value"
                if self.num_variables is None
                else f"event of {self.num_variables} variables"
            )
            raise ValueError(
                f"{type(self).__name__} with num_components={self.num_components} takes {wanted} "
                f"parameters for each {event}, but the network's last axis is {parameters}. End "
                f"the network with {wanted} units, likelihood.num_parameters()."
            )
        return self.levels

    def num_parameters(self, levels: int | None = None) -> int:
        pairs = self._width * (self._width - 1) // 2
        return self.num_components * (1 + 2 * self._width + pairs)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        parts = self._parts(parameters)
        x = self._vectors(x)
        means = _coupled(parts, self.to_units(x))
        terms = self.log_densities(x[..., None, :], means, parts.log_scales)
        weights = tf.nn.log_softmax(parts.logits)
        return tf.reduce_logsumexp(weights + tf.reduce_sum(terms, axis=-1), axis=-1)

    def log_prob_table(
        self, parameters: Tensor, levels: int, x: Tensor | None = None, variable: int = 0
    ) -> Tensor:
        if not self.event_rank or x is None or not self.discrete:
            return super().log_prob_table(parameters, levels)
        parts = self._parts(parameters)
        scores = tf.nn.log_softmax(parts.logits)
        means, scales = _coupled(parts, self.to_units(x)), parts.log_scales
        earlier = self.log_densities(x[..., None, :], means, scales)[..., :variable]
        scores += tf.reduce_sum(earlier, axis=-1)
        # Each level of the variable, and the parameters of each component: (…, levels, components).
        shape = tf.concat([tf.shape(parameters)[:-1], [levels, 1]], 0)
        values = tf.broadcast_to(tf.range(levels)[:, None], shape)
        of_variable = slice(variable, variable + 1)
        own = self.log_densities(
            values[..., None, :],
            tf.expand_dims(means[..., of_variable], -3),
            tf.expand_dims(scales[..., of_variable], -3),
        )
        return tf.reduce_logsumexp(scores[..., None, :] + own[..., 0], axis=-1)

    def num_uniforms(self, parameters: int) -> int:
        return self.num_components + self._width

    def noise(self, uniforms: Tensor) -> Tensor:
        choices, variables = tf.split(uniforms, [self.num_components, self._width], axis=-1)
        return tf.concat([gumbel(choices), self.standard_noise(variables)], axis=-1)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        scores, standard, parts = self._perturbed(parameters, noise)
        chosen = _only(parts, argmax(scores))
        scales = tf.exp(chosen.log_scales)
        values: list[Tensor] = []
        for i in range(self._width):
            mean = chosen.means[..., i]
            for j, before in enumerate(values):
                mean += chosen.couplings[..., _first(i) + j] * before
            values.append(self.project_to_support(mean + scales[..., i] * standard[..., i]))
        drawn = self.from_units(tf.stack(values, axis=-1))
        return drawn if self.event_rank else drawn[..., 0]

    def shortfall(self, parameters: Tensor, noise: Tensor, x: Tensor) -> Tensor:
        scores, standard, parts = self._perturbed(parameters, noise)
        x = self._vectors(x)
        # The draw of each component, given the event's own earlier variables.
        drawn = _coupled(parts, self.to_units(x))
        drawn += tf.exp(parts.log_scales) * standard[..., None, :]
        short = tf.reduce_max(self.value_shortfall(x[..., None, :], drawn), axis=-1)
        gaps = tf.reduce_max(scores, axis=-1, keepdims=True) - scores
        # A component other than the largest may have drawn x, at the price of its gap.
        return tf.reduce_min(tf.maximum(gaps, short), axis=-1)

    def apply_temperature(self, parameters: Tensor, temperature: Tensor) -> Tensor:
        logits, means, raw, couplings = self._sections(parameters)
        scales = bounded(raw, *self.log_scale_range)
        scales += self.temperature_power * tf.math.log(temperature)
        raw = unbounded(scales, *self.log_scale_range)
        return tf.concat([logits / temperature, means, raw, couplings], axis=-1)

    def get_config(self) -> Config:
        return {"num_components": self.num_components, "num_variables": self.num_variables}

    # Helpers.

    def _squash(self, couplings: Tensor) -> Tensor:
        return couplings

    def _vectors(self, x: Tensor) -> Tensor:
        x = tf.convert_to_tensor(x)
        return x if self.event_rank else x[..., None]

    def _perturbed(self, parameters: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Parts]:
        """Scores of the components, standard noise of the variables, and the parameters."""
        parts = self._parts(parameters)
        return (
            parts.logits + noise[..., : self.num_components],
            noise[..., self.num_components :],
            parts,
        )

    def _sections(self, parameters: Tensor) -> list[Tensor]:
        """Logits, means, raw log scales and raw couplings, still flat."""
        each = self.num_components * self._width
        rest = self.num_parameters(self.levels) - self.num_components - 2 * each
        return tf.split(
            tf.cast(parameters, tf.float32), [self.num_components, each, each, rest], axis=-1
        )

    def _parts(self, parameters: Tensor) -> Parts:
        logits, *flat = self._sections(parameters)
        means, raw, couplings = (self._by_component(part) for part in flat)
        return Parts(logits, means, bounded(raw, *self.log_scale_range), self._squash(couplings))

    def _by_component(self, flat: Tensor) -> Tensor:
        each = flat.shape[-1] // self.num_components
        shape = tf.concat([tf.shape(flat)[:-1], [self.num_components, each]], axis=0)
        return tf.ensure_shape(
            tf.reshape(flat, shape), (*flat.shape[:-1], self.num_components, each)
        )


def _first(variable: int) -> int:
    """The index of a variable's first coupling."""
    return variable * (variable - 1) // 2


def _coupled(parts: Parts, x: Tensor) -> Tensor:
    """The mean of each variable in each component, given the earlier variables in `x`."""
    means = tf.unstack(parts.means, axis=-1)
    for i in range(1, len(means)):
        links = parts.couplings[..., _first(i) : _first(i + 1)]
        means[i] += tf.reduce_sum(links * x[..., None, :i], axis=-1)
    return tf.stack(means, axis=-1)


def _only(parts: Parts, component: Tensor) -> Parts:
    """The parameters of one component for each event, without the axis of components."""
    chosen = tf.equal(tf.range(parts.logits.shape[-1]), component[..., None])

    def pick(part: Any) -> Any:
        return tf.reduce_sum(tf.where(chosen[..., None], part, 0.0), axis=-2)

    return Parts(parts.logits, pick(parts.means), pick(parts.log_scales), pick(parts.couplings))
