"""What every sampler starts from: a batch of which some values are known, and its noise."""

from typing import Any, NamedTuple

import tensorflow as tf

from kerasar.distributions.likelihoods import Likelihood
from kerasar.noise import uniforms
from kerasar.sampling.models import SampledAutoregressive
from kerasar.typing import Tensor


class PartialBatch(NamedTuple):
    """A batch to be completed. Prompts, masks and conditions all enter here.

    Positions are flattened in raster order, which is the autoregressive order: `(batch, positions,
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


def noise_at(
    likelihood: Likelihood, batch: PartialBatch, positions: Tensor, parameters: int
) -> Tensor:
    """The noise of each example at some positions, `(positions, batch, draws)`.

    A scalar position gives `(batch, draws)`.
    """
    if positions.shape.rank:
        positions = positions[:, None]
    drawn = uniforms(batch.seeds, batch.examples, positions, likelihood.num_uniforms(parameters))
    return likelihood.noise(drawn)


def flat_parameters(
    model: SampledAutoregressive, batch: PartialBatch, data_shape: Tensor
) -> Tensor:
    """The full network's output on a batch, `(batch, positions, …)`."""
    x = tf.reshape(batch.values, tf.concat([tf.shape(batch.values)[:1], data_shape], 0))
    x = tf.ensure_shape(x, (None, *model.data_shape))
    parameters = model.compute_parameters(x, batch.condition, training=False)
    rank = batch.values.shape.rank - 2  # axes of an event
    tail = parameters.shape[len(model.data_shape) + 1 - rank :]
    return tf.reshape(parameters, (tf.shape(x)[0], -1, *tail))


def events_so_far(drawn: list[Tensor], like: Tensor) -> Tensor:
    """A position of which some channels are drawn, zeros for the others; shaped as `like`."""
    missing = [tf.zeros(tf.shape(like)[:1], like.dtype)] * (like.shape[-1] - len(drawn))
    channels = tf.stack([*(tf.cast(d, like.dtype) for d in drawn), *missing], -1)
    return tf.ensure_shape(tf.reshape(channels, tf.shape(like)), like.shape)


def sizes_of(values: Tensor, compiled: bool) -> Any:
    """The sizes of a tensor; for a compiled loop those that are known as integers."""
    sizes = tf.shape(values)
    if not compiled:
        return sizes
    return [size if own is None else own for own, size in zip(values.shape, tf.unstack(sizes))]  # noqa: B905


def swap_batch(tensor: Tensor) -> Tensor:
    """Swaps batch and positions, so that a position is one contiguous slice."""
    return tf.transpose(tensor, (1, 0, *range(2, tensor.shape.rank)))
