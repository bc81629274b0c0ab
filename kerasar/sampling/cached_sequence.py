"""The cached sampler for sequences: the step form in one loop; nothing is computed twice."""

import functools
from typing import Any

import tensorflow as tf

from kerasar.sampling.models import SampledAutoregressive
from kerasar.sampling.options import Choose, Options, draw_or_keep, take_given
from kerasar.sampling.partial_batch import PartialBatch, noise_at, sizes_of, swap_batch
from kerasar.sampling.sequence_step import SequenceStep
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
        length: how many steps are drawn, where `batch` has room for more; None: all.
        record: takes all values as they are given, and returns the parameters of each.
        choose: takes the place of a draw; None draws.
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
        choose: Choose | None = None,
    ) -> None:
        self.model, self.batch, self.options, self.record = model, batch, options, record
        self.choose = take_given if record else choose
        self.compiled = compiled
        shape = sizes_of(batch.values, compiled)
        self.x, self.output = program.graph.x, program.graph.output
        self.step = SequenceStep(model, program)
        self.batch_size, self.room = shape[0], shape[1] // self.step.events
        self.length = self.room if length is None else length
        self.execution = program.bind(
            self.batch_size,
            self.length,
            model.conditions.tensors(batch.condition),
            TensorRing if compiled else ArrayRing,
        )
        self.given, self.known = self._by_step(batch.values), self._by_step(batch.known)

    def _by_step(self, values: Tensor) -> Tensor:
        """`(batch, positions, …)` as `(steps, batch, …)`, or by value `(steps, events, batch)`."""
        swapped = swap_batch(values)
        if not self.step.by_value:
            return swapped
        return tf.reshape(swapped, tf.stack([self.room, self.step.events, self.batch_size]))

    def run(self) -> Tensor:
        """The values, shape of `batch.values`; or the parameters, `(batch, positions, …)`."""
        values = self.batch.values
        step = self.x.shape[2:]
        made = (self.output.dtype, self.output.shape[2:]) if self.record else (values.dtype, step)
        results = tf.TensorArray(made[0], self.room, element_shape=(values.shape[0], *made[1]))
        last = tf.zeros(tf.stack([self.batch_size, 1, *step]), self.x.dtype)
        stops = self._stops()
        room = self.execution.extent(stops[0]) if len(stops) > 1 else None
        t, state = tf.constant(0), self.execution.initial(room)
        for stop in stops:
            if len(stops) > 1:
                state = self.execution.grown(state, self.execution.extent(stop))
            t, last, state, results = while_loop(
                lambda t, *_, stop=stop: t < stop,
                functools.partial(self._draw_block, stop),
                (t, last, state, results),
            )
        stacked = swap_batch(results.stack())
        if not self.record:
            return tf.reshape(stacked, tf.shape(values))
        if not self.step.by_value:
            return stacked
        return tf.reshape(stacked, tf.stack([*tf.unstack(tf.shape(values)[:2]), made[1][-1]]))

    def _stops(self) -> list[Any]:
        """Where the parts of the loop end.

        A compiled loop keeps and reads caches of attention in one size; in parts of growing length
        it reads half of what it would read at once. An uncompiled one reads what is there.
        """
        if not (self.execution.has_caches and self.compiled and isinstance(self.length, int)):
            return [self.length]
        size = -(-self.length // (MOST_PARTS * _BLOCK)) * _BLOCK
        return [*range(size, self.length, size), self.length]

    def _draw_block(
        self, end: Any, t: Tensor, last: Tensor, state: Any, results: tf.TensorArray
    ) -> Any:
        parameters = self.model.network.output_shape[-1]
        positions = t * self.step.events + tf.range(_BLOCK * self.step.events)
        noise = None
        if self.choose is None:
            noise = noise_at(self.model.likelihood, self.batch, positions, parameters)
        stop = tf.minimum(t + _BLOCK, self.length)
        extent = self.execution.extent(end if self.compiled and isinstance(end, int) else stop)
        return while_loop(
            lambda t, *_: t < stop,
            lambda t, last, state, results: self._draw(t, last, state, results, noise, extent),
            (t, last, state, results),
        )

    def _draw(
        self,
        t: Tensor,
        last: Tensor,
        state: Any,
        results: tf.TensorArray,
        noise: Tensor | None,
        extent: Tensor,
    ) -> Any:
        """Draws step t, given the one before it; attention reads the positions before `extent`."""
        value, parameters, state = self.step.run(
            self.execution,
            t,
            last,
            state,
            lambda parameters, event: self._event(parameters, t, event, noise, last),
            extent,
        )
        results = results.write(t, parameters if self.record else value)
        return t + 1, tf.reshape(tf.cast(value, self.x.dtype), tf.shape(last)), state, results

    def _event(
        self, parameters: Tensor, t: Tensor, event: int, noise: Tensor | None, last: Tensor
    ) -> Tensor:
        """One event of a step: a channel, or all of them."""
        given, known = self.given[t], self.known[t]
        if self.step.by_value:
            given, known = given[event], known[event]
        if self.choose is not None or noise is None:
            return (self.choose or take_given)(parameters, given, last)
        drawn = noise[t % _BLOCK * self.step.events + event]
        return draw_or_keep(self.model.likelihood, parameters, drawn, self.options, given, known)
