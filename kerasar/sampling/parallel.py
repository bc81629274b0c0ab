"""The parallel sampler: fixed-point (Jacobi) iteration with the same noise.

All positions are redrawn at once from the full network until nothing changes. After k passes the
first k positions are right, so it ends after at most one pass for each position, and often far
earlier. A fixed point is *the* sequential sample: at every position the value is what the head
picks from the network's output on it.

Real values settle to the last digit too: a pass computes equal outputs from equal inputs,
so what depends on settled values only is settled after the next pass.

References:
    Song, Meng, Liao & Ermon. Accelerating Feedforward Computation via Parallel Nonlinear Equation
    Solving. ICML 2021. https://arxiv.org/abs/2002.03629
"""

import tensorflow as tf

from kerasar.sampling.models import SampledAutoregressive
from kerasar.sampling.options import Options, draw_or_keep
from kerasar.sampling.partial_batch import PartialBatch, flat_parameters, noise_at, swap_batch
from kerasar.sampling.sampler import Sampler
from kerasar.typing import Tensor


class ParallelSampler(Sampler):
    """Redraws all positions at once until nothing changes."""

    model: SampledAutoregressive

    def complete(self, batch: PartialBatch, options: Options, data_shape: Tensor) -> Tensor:
        model, likelihood = self.model, self.model.likelihood
        positions = tf.shape(batch.values)[1]
        noise = noise_at(likelihood, batch, tf.range(positions), model.network.output_shape[-1])
        noise = swap_batch(noise)

        def redraw(count: Tensor, values: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            parameters = flat_parameters(model, batch._replace(values=values), data_shape)
            events = draw_or_keep(likelihood, parameters, noise, options, values, batch.known)
            events = tf.ensure_shape(events, batch.values.shape)
            # What is known stays, and may be NaN, which is equal to nothing.
            return count + 1, events, tf.reduce_any(tf.not_equal(events, values) & ~batch.known)

        _, values, _ = tf.while_loop(
            lambda count, _, changed: changed & (count <= positions),
            redraw,
            (0, batch.values, True),
            shape_invariants=(tf.TensorShape([]), batch.values.shape, tf.TensorShape([])),
        )
        return values
