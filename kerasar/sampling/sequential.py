"""The sequential sampler: one full forward pass for each position. The definition of a sample.

Slow, and correct for any causal network; the other samplers are checked against it.
"""

from typing import Any

import tensorflow as tf

from kerasar.sampling.draft import Options, PartialBatch, apply_options, flat_parameters, noise_at
from kerasar.typing import Tensor


def sequential(
    model: Any,
    draft: PartialBatch,
    options: Options,
    data_shape: Tensor,
    start: Tensor,
    stop: Tensor,
) -> Tensor:
    """Fills in the unknown values at positions `start` … `stop - 1`; all as graph operations.

    Args:
        model: an `AutoregressiveDensity`.
        draft: the batch to be completed.
        options: temperature and the like.
        data_shape: int32 vector, the shape of one example.
        start, stop: positions in raster order, scalars.

    Returns:
        The values, shape of `draft.values`.
    """
    likelihood = model.likelihood

    def body(position: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        parameters = flat_parameters(model, draft._replace(values=values), data_shape)
        parameters = apply_options(likelihood, tf.gather(parameters, position, axis=1), options)
        noise = noise_at(likelihood, draft, position, parameters.shape[-1])
        event = tf.cast(likelihood.sample(parameters, noise), values.dtype)
        places = tf.range(tf.shape(values)[1])
        here = tf.reshape(tf.equal(places, position), (1, -1) + (1,) * (values.shape.rank - 2))
        return position + 1, tf.where(here & ~draft.known, event[:, None], values)

    _, values = tf.while_loop(
        lambda position, _: position < stop,
        body,
        (tf.convert_to_tensor(start), draft.values),
        shape_invariants=(tf.TensorShape([]), draft.values.shape),
    )
    return values
