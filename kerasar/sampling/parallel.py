"""The parallel sampler: fixed-point (Jacobi) iteration with the same noise.

All positions are redrawn at once from the full network until nothing changes. After k passes the
first k positions are right, so it ends after at most one pass for each position, and often far
earlier. A fixed point is *the* sequential sample: at every position the value is what the head
picks from the network's output on it.

Real values settle to the last digit too: a pass computes the same numbers from the same numbers,
so what depends on settled values only is settled after the next pass.

References:
    Song, Meng, Liao & Ermon. Accelerating Feedforward Computation via Parallel Nonlinear Equation
    Solving. ICML 2021. https://arxiv.org/abs/2002.03629
"""

from typing import Any

import tensorflow as tf

from kerasar.sampling.draft import Options, PartialBatch, apply_options, flat_parameters, noise_at
from kerasar.typing import Tensor


def parallel(model: Any, draft: PartialBatch, options: Options, data_shape: Tensor) -> Tensor:
    """Fills in all unknown values; all as graph operations. Arguments as for `sequential`."""
    likelihood = model.likelihood
    places = tf.shape(draft.values)[1]
    noise = noise_at(likelihood, draft, tf.range(places), model.network.output_shape[-1])
    noise = tf.transpose(noise, (1, 0, 2))

    def redraw(count: Tensor, values: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        parameters = flat_parameters(model, draft._replace(values=values), data_shape)
        parameters = apply_options(likelihood, parameters, options)
        events = tf.cast(likelihood.sample(parameters, noise), values.dtype)
        events = tf.where(draft.known, values, events)
        return count + 1, events, tf.reduce_any(tf.not_equal(events, values))

    _, values, _ = tf.while_loop(
        lambda count, _, changed: changed & (count <= places),
        redraw,
        (0, draft.values, True),
        shape_invariants=(tf.TensorShape([]), draft.values.shape, tf.TensorShape([])),
    )
    return values
