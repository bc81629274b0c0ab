"""What every sampler starts from, and the one way in which an event is drawn."""

from typing import Any, NamedTuple

import tensorflow as tf

from kerasar.distributions.likelihoods import Likelihood
from kerasar.noise import uniforms
from kerasar.typing import Tensor


class PartialBatch(NamedTuple):
    """A batch to be completed. Prompts, masks and conditions all enter here.

    Places are flattened in raster order, which is the autoregressive order: `(batch, places,
    *event)`.
    """

    values: Tensor
    """The data so far, zeros where unknown."""
    known: Tensor
    """Boolean, shape of `values`: what must not be overwritten."""
    seeds: Tensor
    """uint32 `(batch,)`: the noise key of each example."""
    examples: Tensor
    """int32 `(batch,)`: the index of each example among all of its seed."""
    condition: Any
    """Tensors by input name, or None."""


class Options(NamedTuple):
    """How the model's distribution is bent before drawing; None leaves a step out of the graph."""

    temperature: Tensor | None = None
    top_k: Tensor | None = None
    top_p: Tensor | None = None


def noise_at(
    likelihood: Likelihood, draft: PartialBatch, positions: Tensor, parameters: int
) -> Tensor:
    """The noise of each example at some positions, `(positions, batch, draws)`.

    A scalar position gives `(batch, draws)`.
    """
    if positions.shape.rank:
        positions = positions[:, None]
    drawn = uniforms(draft.seeds, draft.examples, positions, likelihood.num_uniforms(parameters))
    return likelihood.noise(drawn)


def apply_options(likelihood: Likelihood, parameters: Tensor, options: Options) -> Tensor:
    """The parameters after temperature, then top-k and top-p: what both of them keep."""
    if options.temperature is not None:
        parameters = likelihood.apply_temperature(parameters, options.temperature)
    if options.top_k is not None or options.top_p is not None:
        parameters = likelihood.apply_top_k_top_p(parameters, options.top_k, options.top_p)
    return parameters


def flat_parameters(model: Any, draft: PartialBatch, data_shape: Tensor) -> Tensor:
    """The full network's output on a draft, `(batch, places, …)`."""
    x = tf.reshape(draft.values, tf.concat([tf.shape(draft.values)[:1], data_shape], 0))
    x = tf.ensure_shape(x, (None, *model.data_shape))
    parameters = model.compute_parameters(x, draft.condition, training=False)
    rank = draft.values.shape.rank - 2  # axes of an event
    tail = parameters.shape[len(model.data_shape) + 1 - rank :]
    return tf.reshape(parameters, (tf.shape(x)[0], -1, *tail))
