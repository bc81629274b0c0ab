"""Temperature, top-k and top-p: their checks, and the one way in which an event is drawn."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kerasar.checks import check_count
from kerasar.distributions.likelihoods import Likelihood
from kerasar.sampling.models import SampledModel
from kerasar.typing import Tensor

#: What takes the place of a draw: makes events from their parameters, their given values, and the
#: events before them, which are there first.
Choose = Callable[[Tensor, Tensor, Tensor], Tensor]


class Options(NamedTuple):
    """How the model's distribution is changed before drawing; None leaves a step out."""

    temperature: Tensor | None = None
    top_k: Tensor | None = None
    top_p: Tensor | None = None


def check_options(
    model: SampledModel, temperature: float, top_k: int | None, top_p: float | None
) -> Options:
    """The sampling options as tensors.

    Raises:
        ValueError: if one is out of its range, or does not suit the model's likelihood.
    """
    check_temperature(temperature)
    if top_k is not None:
        check_count(top_k, "top_k")
        if model.data_levels is not None and top_k > model.data_levels:
            raise ValueError(
                f"top_k must be at most the number of levels, {model.data_levels}, but got {top_k}."
            )
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must lie in (0, 1], but got {top_p!r}.")
    if top_k is not None or top_p is not None:
        # Likelihoods without single likeliest values refuse here, before any work.
        model.likelihood.apply_top_k_top_p(
            tf.zeros((1, model.network.output_shape[-1])), top_k=top_k, top_p=top_p
        )
    return Options(
        None if temperature == 1 else tf.constant(temperature, tf.float32),
        None if top_k is None else tf.constant(top_k, tf.int32),
        None if top_p is None else tf.constant(top_p, tf.float32),
    )


def check_temperature(temperature: float) -> None:
    """Raises a ValueError for anything but a finite number above 0."""
    if not isinstance(temperature, (int, float, np.number)) or not 0 < temperature < np.inf:
        raise ValueError(
            f"temperature must be a number above 0, but got {temperature!r}. 1 leaves the model's "
            "distribution, small values approach the likeliest value."
        )


def apply_options(likelihood: Likelihood, parameters: Tensor, options: Options) -> Tensor:
    """The parameters after temperature, and then top-k and top-p: what both of them keep."""
    if options.temperature is not None:
        parameters = likelihood.apply_temperature(parameters, options.temperature)
    if options.top_k is not None or options.top_p is not None:
        parameters = likelihood.apply_top_k_top_p(parameters, options.top_k, options.top_p)
    return parameters


def draw_or_keep(
    likelihood: Likelihood,
    parameters: Tensor,
    noise: Tensor,
    options: Options,
    given: Tensor,
    known: Tensor,
) -> Tensor:
    """Events: what is known, else a draw. `given` and `known` have the shape of the events."""
    parameters = apply_options(likelihood, parameters, options)
    drawn = likelihood.sample(parameters, noise)
    return tf.where(known, given, tf.cast(drawn, given.dtype))


def take_given(parameters: Tensor, given: Tensor, before: Tensor) -> Tensor:
    """Events as they are given."""
    return given
