"""The cached sampler for sequences: the step form in one loop; nothing is computed twice."""

import functools
from typing import Any

import tensorflow as tf

from kerasar.sampling.models import SampledAutoregressive
from kerasar.sampling.options import Options, draw_or_keep
from kerasar.sampling.partial_batch import PartialBatch, noise_at, swap_batch
from kerasar.stepwise.rings import ArrayRing, TensorRing, while_loop
from kerasar.stepwise.sequence_steps import SequenceProgram
from kerasar.typing import Tensor

#: Noise is made for so many positions at once: long enough to be cheap, short enough to be small.
_BLOCK = 64
#: Into how many parts a compiled loop with attention falls, at most: each is compiled by itself.
MOST_PARTS = 8


class SequenceLoop:
    """Fills in the unknown values of sequences; all as graph operations.

    Args:
        model: an `AutoregressiveDensity`.
        program: the step form of its network.
        batch: the batch to be completed.
        options: temperature, top-k and top-p.
        compiled: whether the loop is going to be compiled by XLA; shapes are then static.
        record: returns the parameters instead of the values that were drawn from them.
    """

    def __init__(
        self,
        model: SampledAutoregressive,
        program: SequenceProgram,
        batch: PartialBatch,
        options: Options,
        compiled: bool,
        record: bool = False,
    ) -> None:
        self.model, self.batch, self.options, self.record = model, batch, options, record
        shape = batch.values.shape if compiled else tf.shape(batch.values)
        self.batch_size, self.length = shape[0], shape[1]
        self.x, self.output = program.graph.x, program.graph.output
        self.execution = program.bind(
            self.batch_size,
            self.length,
            model.conditions.tensors(batch.condition),
            TensorRing if compiled else ArrayRing,
        )
        self.given, self.known = swap_batch(batch.values), swap_batch(batch.known)

    def run(self) -> Tensor:
        """The values, shape of `batch.values`; or the parameters, `(batch, positions, …)`."""
        values = self.batch.values
        event = values.shape[2:]
        made = (self.output.dtype, self.output.shape[2:]) if self.record else (values.dtype, event)
        results = tf.TensorArray(made[0], self.length, element_shape=(values.shape[0], *made[1]))
        last = tf.zeros(tf.stack([self.batch_size, 1, *event]), self.x.dtype)
        state = (tf.constant(0), last, self.execution.initial(), results)
        for stop in self._stops():
            state = while_loop(
                lambda t, *_, stop=stop: t < stop,
                functools.partial(self._draw_block, stop),
                state,
            )
        results = state[-1]
        stacked = swap_batch(results.stack())
        return stacked if self.record else tf.reshape(stacked, tf.shape(values))

    def _stops(self) -> list[Any]:
        """Where the parts of the loop end.

        A compiled loop reads caches of attention in one size; in parts of growing length it reads
        half of what it would read at once.
        """
        if not self.execution.has_caches or not isinstance(self.length, int):
            return [self.length]
        size = -(-self.length // (MOST_PARTS * _BLOCK)) * _BLOCK
        return [*range(size, self.length, size), self.length]

    def _draw_block(
        self, end: Any, t: Tensor, last: Tensor, state: Any, results: tf.TensorArray
    ) -> Any:
        parameters = self.model.network.output_shape[-1]
        noise = noise_at(self.model.likelihood, self.batch, t + tf.range(_BLOCK), parameters)
        stop = tf.minimum(t + _BLOCK, self.length)
        extent = end if isinstance(end, int) else stop
        return while_loop(
            lambda t, *_: t < stop,
            lambda t, last, state, results: self._draw(
                t, last, state, results, noise[t % _BLOCK], extent
            ),
            (t, last, state, results),
        )

    def _draw(
        self,
        t: Tensor,
        last: Tensor,
        state: Any,
        results: tf.TensorArray,
        noise: Tensor,
        extent: Tensor,
    ) -> Any:
        """Draws step t, given the one before it; attention reads the positions before `extent`."""
        output, state = self.execution.step(t, state, last, extent)
        parameters = output[:, 0]
        event = draw_or_keep(
            self.model.likelihood, parameters, noise, self.options, self.given[t], self.known[t]
        )
        results = results.write(t, parameters if self.record else event)
        return t + 1, tf.reshape(tf.cast(event, self.x.dtype), tf.shape(last)), state, results
