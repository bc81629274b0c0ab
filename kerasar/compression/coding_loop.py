"""The loop of the cached sampler with a coder where it draws.

Encoder and decoder run the very same graph, in batches of the same size: the tables of a value then
agree bit by bit, which those of two forms of a network never do. Each value goes out of the graph
to the coder with its table, and comes back: written as it was given, or read.

    step t   network -> parameters -> table --+--> coder --> value -> step t + 1
                                              |      |
                                 given value -+   the file
"""

import threading
from concurrent.futures import Future, wait
from typing import Any

import numpy as np
import tensorflow as tf

from kerasar.compression.coders import Coder
from kerasar.distributions.frequency_table import frequency_table
from kerasar.function_cache import OpenBatchFunction
from kerasar.sampling.cached import CachedSampler
from kerasar.sampling.methods import find_sampler
from kerasar.sampling.models import SampledAutoregressive
from kerasar.sampling.options import Options
from kerasar.sampling.partial_batch import PartialBatch, flat_parameters
from kerasar.sampling.step_check import run_steps
from kerasar.typing import Tensor

#: Of the examples that are always the same.
_SEED = 0
#: Seconds after which Ctrl-C is heard, at the latest.
_HEARD = 0.1


class CodingLoop:
    """Runs a model over examples of one shape, with a coder.

    Args:
        model: an `AutoregressiveModel` of discrete data.
        shape: of an example.
    """

    def __init__(self, model: SampledAutoregressive, shape: tuple[int, ...]) -> None:
        self.model, self.shape = model, shape
        sampler = find_sampler(model)
        #: Without a step form the network runs whole for each position.
        self.program = sampler.program_for(shape) if isinstance(sampler, CachedSampler) else None
        self.levels = int(model.data_levels or 0)
        self._coder: Coder | None = None
        self._fault: Exception | None = None
        self._lock = threading.Lock()
        # Traced once for batches of any size, so that its bits do not depend on which came first.
        self._graph = OpenBatchFunction(self._code)

    def some_values(self, examples: int) -> np.ndarray:
        """Examples that are always the same, `(examples, *shape)`."""
        rng = np.random.default_rng(_SEED)
        return rng.integers(self.levels, size=(examples, *self.shape)).astype("int32")

    def run(self, values: np.ndarray, condition: Any, coder: Coder) -> np.ndarray:
        """One batch: the given values, or those that a decoder reads.

        Args:
            values: `(batch, *shape)`.
            condition: arrays by input name, one row for each example, or None.
            coder: takes or gives the values, position by position.
        """
        rank = len(self.shape) - self.model.likelihood.event_rank
        flat = values.reshape(len(values), -1, *self.shape[rank:])
        batch = PartialBatch(
            values=tf.constant(flat),
            known=tf.ones(flat.shape, tf.bool),
            seeds=tf.zeros((len(flat),), tf.uint32),
            examples=tf.range(len(flat)),
            condition=condition and {n: tf.constant(part) for n, part in condition.items()},
        )
        with self._lock:
            self._coder, self._fault = coder, None
            try:
                return self._run_graph(batch).numpy().reshape(values.shape)
            except tf.errors.OpError:
                if self._fault is None:
                    raise
                raise self._fault from None
            finally:
                self._coder = None

    def _run_graph(self, batch: PartialBatch) -> Tensor:
        """The graph, on another thread, for Ctrl-C is heard by none that waits for TensorFlow."""
        self._graph.trace(batch)  # here, for Keras keeps settings by thread
        done: Future[Tensor] = Future()

        def work() -> None:
            try:
                done.set_result(self._graph(batch))
            except BaseException as error:
                done.set_exception(error)

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        try:
            # With a limit, for a wait without one is not ended by a signal that another thread got.
            while not wait([done], timeout=_HEARD).done:
                pass
            return done.result()
        finally:
            self._coder = None  # after an interrupt the graph ends where it needs one
            worker.join()

    def _code(self, batch: PartialBatch) -> Tensor:
        if self.program is None:
            return self._code_whole(batch)
        return run_steps(
            self.model, self.program, batch, Options(), self.shape, False, choose=self._choose
        )

    def _code_whole(self, batch: PartialBatch) -> Tensor:
        """A pass of the whole network for each position."""
        data_shape = tf.constant(self.shape, tf.int32)

        def body(position: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
            parameters = flat_parameters(self.model, batch._replace(values=values), data_shape)
            given = tf.gather(batch.values, position, axis=1)
            event = self._choose(tf.gather(parameters, position, axis=1), given, values)
            here = tf.equal(tf.range(tf.shape(values)[1]), position)
            here = tf.reshape(here, (1, -1) + (1,) * (values.shape.rank - 2))
            return position + 1, tf.where(here, event[:, None], values)

        _, values = tf.while_loop(
            lambda position, values: position < tf.shape(values)[1],
            body,
            (tf.constant(0), tf.zeros_like(batch.values)),
            shape_invariants=(tf.TensorShape([]), batch.values.shape),
        )
        return values

    def _choose(self, parameters: Tensor, given: Tensor, before: Tensor) -> Tensor:
        """One event of each example: its variables go to the coder one after the other."""
        likelihood = self.model.likelihood
        with tf.control_dependencies([before]):
            if not likelihood.event_rank:
                return self._pass_on(likelihood.log_prob_table(parameters, self.levels), given)
            event = tf.zeros_like(given)
            for variable in range(given.shape[-1]):
                table = likelihood.log_prob_table(parameters, self.levels, event, variable)
                value = self._pass_on(table, given[..., variable])
                here = tf.range(given.shape[-1]) == variable
                event = tf.where(here, value[..., None], event)
            return event

    def _pass_on(self, log_probs: Tensor, given: Tensor) -> Tensor:
        table = frequency_table(tf.ensure_shape(log_probs, (*given.shape, self.levels)))
        value = tf.numpy_function(self._through_coder, [table, given], given.dtype)
        return tf.ensure_shape(value, given.shape)

    def _through_coder(self, table: np.ndarray, given: np.ndarray) -> np.ndarray:
        try:
            if self._coder is None:
                raise RuntimeError("no coder is at work")
            return self._coder.pass_on(table, given)
        except Exception as error:
            self._fault = error
            raise
