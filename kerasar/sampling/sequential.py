"""The sequential sampler: one full forward pass for each position. The definition of a sample.

Slow, and correct for any causal network; the other samplers are checked against it.
"""

import tensorflow as tf

from kerasar.sampling.models import SampledAutoregressive
from kerasar.sampling.options import Options, apply_options
from kerasar.sampling.partial_batch import PartialBatch, flat_parameters, noise_at
from kerasar.sampling.sampler import PositionSampler
from kerasar.typing import Tensor


class SequentialSampler(PositionSampler):
    """Draws one position after the other, in raster order."""

    model: SampledAutoregressive

    def complete_range(
        self, batch: PartialBatch, options: Options, data_shape: Tensor, start: Tensor, stop: Tensor
    ) -> Tensor:
        likelihood = self.model.likelihood

        def body(position: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
            parameters = flat_parameters(self.model, batch._replace(values=values), data_shape)
            parameters = apply_options(likelihood, tf.gather(parameters, position, axis=1), options)
            noise = noise_at(likelihood, batch, position, parameters.shape[-1])
            event = tf.cast(likelihood.sample(parameters, noise), values.dtype)
            positions = tf.range(tf.shape(values)[1])
            here = tf.equal(positions, position)
            here = tf.reshape(here, (1, -1) + (1,) * (values.shape.rank - 2))
            return position + 1, tf.where(here & ~batch.known, event[:, None], values)

        _, values = tf.while_loop(
            lambda position, _: position < stop,
            body,
            (start, batch.values),
            shape_invariants=(tf.TensorShape([]), batch.values.shape),
        )
        return values
