"""The cached sampler for sequences: the step form in one loop; nothing is computed twice."""

from typing import Any

import tensorflow as tf

from kerasar.sampling.draft import Options, PartialBatch, noise_at
from kerasar.sampling.loops import by_place, pick, while_loop
from kerasar.stepwise.rings import ArrayRing, TensorRing
from kerasar.stepwise.sequence_steps import SequenceProgram
from kerasar.typing import Tensor

#: Noise is made for so many positions at once: long enough to be cheap, short enough to be small.
_BLOCK = 64


def cached_sequence(
    model: Any,
    steps: SequenceProgram,
    draft: PartialBatch,
    options: Options,
    compiled: bool,
    record: bool = False,
) -> Tensor:
    """Fills in the unknown values of sequences; all as graph operations.

    Args:
        model: an `AutoregressiveDensity`.
        steps: the step form of its network.
        draft: the batch to be completed.
        options: temperature and the like.
        compiled: whether the loop is going to be compiled by XLA; shapes are then static.
        record: returns the parameters instead of the values they gave.

    Returns:
        The values, shape of `draft.values`; or the parameters, `(batch, places, …)`.
    """
    likelihood = model.likelihood
    shape = tf.shape(draft.values)
    batch = draft.values.shape[0] if compiled else shape[0]
    length = draft.values.shape[1] if compiled else shape[1]
    event = draft.values.shape[2:]
    x = steps.graph.x
    run = steps.bind(
        batch,
        length,
        model.conditions.tensors(draft.condition),
        TensorRing if compiled else ArrayRing,
    )
    given, known = by_place(draft.values), by_place(draft.known)
    parameters = model.network.output_shape[-1]
    state = run.initial()
    last = tf.zeros(tf.stack([batch, 1, *event]), x.dtype)
    output_spec = steps.graph.output
    tail = output_spec.shape[2:] if record else event
    dtype = output_spec.dtype if record else draft.values.dtype
    results = tf.TensorArray(dtype, length, element_shape=(draft.values.shape[0], *tail))

    def step(t: Tensor, last: Tensor, state: Any, results: Any, noise: Tensor) -> Any:
        output, state = run.step(t, state, last)
        picked = pick(model, output[:, 0], noise[t % _BLOCK], options, given[t], known[t])
        following = tf.reshape(tf.cast(picked, x.dtype), tf.shape(last))
        results = results.write(t, output[:, 0] if record else picked)
        return t + 1, following, state, results

    def block(t: Tensor, last: Tensor, state: Any, results: Any) -> Any:
        noise = noise_at(likelihood, draft, t + tf.range(_BLOCK), parameters)
        stop = tf.minimum(t + _BLOCK, length)
        return while_loop(
            lambda t, *_: t < stop,
            lambda t, last, state, results: step(t, last, state, results, noise),
            (t, last, state, results),
        )

    *_, results = while_loop(
        lambda t, *_: t < length, block, (tf.constant(0), last, state, results)
    )
    stacked = by_place(results.stack())
    return stacked if record else tf.reshape(stacked, shape)
