"""The cached sampler for sequences: the step form in one loop; nothing is computed twice."""

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


class SequenceLoop:
    """Fills in the unknown values of sequences; all as graph operations.

    Args:
        model: an `AutoregressiveDensity`.
        program: the step form of its network.
        batch: the batch to be completed.
        options: temperature, top-k and top-p.
        compiled: whether the loop is going to be compiled by XLA; shapes are then static.
        length: how many positions are drawn, where `batch` has room for more; None: all.
        record: returns the parameters instead of the values that were drawn from them.
    """

    def __init__(
        self,
        model: SampledAutoregressive,
        program: SequenceProgram,
        batch: PartialBatch,
        options: Options,
        compiled: bool,
        length: Tensor | None = None,
        record: bool = False,
    ) -> None:
        self.model, self.batch, self.options, self.record = model, batch, options, record
        shape = batch.values.shape if compiled else tf.shape(batch.values)
        self.batch_size, self.room = shape[0], shape[1]
        self.length = self.room if length is None else length
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
        results = tf.TensorArray(made[0], self.room, element_shape=(values.shape[0], *made[1]))
        last = tf.zeros(tf.stack([self.batch_size, 1, *event]), self.x.dtype)
        *_, results = while_loop(
            lambda t, *_: t < self.length,
            self._draw_block,
            (tf.constant(0), last, self.execution.initial(), results),
        )
        stacked = swap_batch(results.stack())
        return stacked if self.record else tf.reshape(stacked, tf.shape(values))

    def _draw_block(self, t: Tensor, last: Tensor, state: Any, results: tf.TensorArray) -> Any:
        parameters = self.model.network.output_shape[-1]
        noise = noise_at(self.model.likelihood, self.batch, t + tf.range(_BLOCK), parameters)
        stop = tf.minimum(t + _BLOCK, self.length)
        return while_loop(
            lambda t, *_: t < stop,
            lambda t, last, state, results: self._draw(t, last, state, results, noise[t % _BLOCK]),
            (t, last, state, results),
        )

    def _draw(
        self, t: Tensor, last: Tensor, state: Any, results: tf.TensorArray, noise: Tensor
    ) -> Any:
        """Draws step t, given the one before it."""
        output, state = self.execution.step(t, state, last)
        parameters = output[:, 0]
        event = draw_or_keep(
            self.model.likelihood, parameters, noise, self.options, self.given[t], self.known[t]
        )
        results = results.write(t, parameters if self.record else event)
        return t + 1, tf.reshape(tf.cast(event, self.x.dtype), tf.shape(last)), state, results
