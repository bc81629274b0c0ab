"""Single steps of a sequence as functions on tensors: the state goes in, and comes out."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from kerasar.causality.graph import Edge
from kerasar.distributions.frequency_table import frequency_table
from kerasar.function_cache import OpenBatchFunction
from kerasar.noise import uniforms
from kerasar.sampling.models import SampledAutoregressive
from kerasar.sampling.options import Options, apply_options
from kerasar.sampling.sequence_step import Choice, SequenceStep, StepExecution
from kerasar.stepwise.axis_execution import AxisState
from kerasar.stepwise.own_steps import OwnSteps
from kerasar.stepwise.rings import BatchRing
from kerasar.stepwise.sequence_steps import SequenceExecution, SequenceProgram
from kerasar.typing import Tensor


class Memory(NamedTuple):
    """What is passed from step to step; the first axis of every tensor holds the batch.

    Attributes:
        last: the data of the step before, `(batch, 1, …)`.
        axis: the state of the network's steps.
    """

    last: Tensor
    axis: AxisState

    def by_name(self) -> dict[str, Tensor]:
        """The tensors by name, in the order of `tf.nest`."""
        parts = {"last": [self.last]}
        for name, part in self.axis._asdict().items():
            parts[name] = tf.nest.flatten(part)
        return {
            f"{name}_{i}": tensor for name, part in parts.items() for i, tensor in enumerate(part)
        }


class StreamSteps:
    """The steps of a model's streams as graphs, traced once for batches of any size.

    Args:
        model: an `AutoregressiveDensity`.
        program: the checked step form of its network.
        length: how many steps there are at most.
    """

    def __init__(self, model: SampledAutoregressive, program: SequenceProgram, length: int) -> None:
        self.model, self.program, self.length = model, program, length
        self.step = SequenceStep(model, program)
        self._read: list[Edge] = []
        #: From `(examples, condition)` to what does not depend on the data, and the memory.
        self.begin = OpenBatchFunction(self.compute_begin)
        #: From `(known, memory, x), t` to the log-probabilities, `(batch,)`, and the memory.
        self.score = OpenBatchFunction(self.compute_score)
        #: From `(known, memory, seeds, examples), t, options` to the values and the memory.
        self.draw = OpenBatchFunction(self.compute_draw)
        #: From `(known, memory, x), t` to the parameters of the step.
        self.parameters = OpenBatchFunction(self.compute_parameters)

    @functools.cached_property
    def memory(self) -> Memory:
        """A memory as symbolic tensors, in which the size of a batch is open."""
        conditions = {
            name: tf.TensorSpec((None, *shape), self.model.conditions.dtypes[name])
            for name, shape in self.model.conditions.shapes.items()
        }
        batch = tf.TensorSpec((None,), tf.int32), conditions or None
        begin = tf.function(self.compute_begin, autograph=False)
        memory: Memory = begin.get_concrete_function(batch).structured_outputs[1]
        return memory

    @functools.cached_property
    def folds(self) -> dict[str, int]:
        """Where several rows of a tensor belong to one sequence: how many, by its name."""
        plans = self.program.axis_program.caches.values()
        return {f"caches_{i}": plan.fold for i, plan in enumerate(plans)}

    @property
    def size(self) -> int:
        """How many values the memory of one sequence holds."""
        return sum(
            math.prod(tensor.shape[1:]) * self.folds.get(name, 1)
            for name, tensor in self.memory.by_name().items()
        )

    def compute_begin(self, batch: tuple[Tensor, Any]) -> tuple[list[Tensor], Memory]:
        """What does not depend on the data, and the memory before the first step."""
        examples, condition = batch
        rows = tf.shape(examples)[0]
        given = self.model.conditions.tensors(condition)
        known = self.program.analysis.compute_conditions(given, rows)
        self._read = self.program.read_edges(known)
        execution = self.program.bind_known(rows, self.length, known, BatchRing)
        x = self.program.graph.x
        last = tf.zeros(tf.stack([rows, 1, *x.shape[2:]]), x.dtype)
        state = execution.initial().with_slots_swapped()
        return [tf.identity(known[edge]) for edge in self._read], Memory(last, state)

    def compute_score(
        self, batch: tuple[list[Tensor], Memory, Tensor], t: Tensor
    ) -> tuple[Tensor, Memory]:
        """The log-probability of a step, `(batch,)`, and the memory after it."""
        known, memory, x = batch
        return self.score_with(self._execution(known, memory), memory, x, t)

    def compute_draw(
        self, batch: tuple[list[Tensor], Memory, Tensor, Tensor], t: Tensor, options: Options
    ) -> tuple[Tensor, Memory]:
        """The drawn values of a step, and the memory after it."""
        known, memory, seeds, examples = batch
        execution = self._execution(known, memory)
        return self.draw_with(execution, memory, (seeds, examples), t, options)

    def compute_parameters(self, batch: tuple[list[Tensor], Memory, Tensor], t: Tensor) -> Tensor:
        """The parameters of a step's events."""
        known, memory, x = batch
        return self._run(self._execution(known, memory), memory, t, self._given(x))[1]

    def tables_with(self, execution: StepExecution, memory: Memory, x: Tensor, t: Tensor) -> Tensor:
        """How often each value occurs among 2²⁴, as `frequency_table` counts, of each in a step.

        Args:
            execution: as for `score_with`.
            memory: the memory before the step.
            x: the values of the step; each is told by those before it alone.
            t: as for `score_with`.

        Returns:
            int32, `(batch, *step, levels)`.
        """
        parameters = self._run(execution, memory, t, self._given(x))[1]
        likelihood, levels = self.model.likelihood, int(self.model.data_levels or 0)
        if not likelihood.event_rank:
            return frequency_table(likelihood.log_prob_table(parameters, levels))
        tables = [
            likelihood.log_prob_table(parameters, levels, x, variable)
            for variable in range(x.shape[-1])
        ]
        return frequency_table(tf.stack(tables, axis=-2))

    def own_steps(self, condition: Any) -> OwnSteps:
        """What runs each sequence at a step of its own, for `score_with` and `draw_with`."""
        return OwnSteps(self.program, self.length, self.model.conditions.tensors(condition))

    def score_with(
        self, execution: StepExecution, memory: Memory, x: Tensor, t: Tensor
    ) -> tuple[Tensor, Memory]:
        """As `compute_score`; `t` is a scalar, or `(batch,)` with `own_steps`."""
        _, parameters, memory = self._run(execution, memory, t, self._given(x))
        terms = self.model.likelihood.log_prob(parameters, x)
        return tf.reduce_sum(terms, axis=list(range(1, terms.shape.rank))), memory

    def draw_with(
        self,
        execution: StepExecution,
        memory: Memory,
        addresses: tuple[Tensor, Tensor],
        t: Tensor,
        options: Options,
    ) -> tuple[Tensor, Memory]:
        """As `compute_draw`; `addresses` holds seeds and examples, `t` is as for `score_with`."""
        likelihood = self.model.likelihood

        def choose(parameters: Tensor, event: int) -> Tensor:
            parameters = apply_options(likelihood, parameters, options)
            position = t * self.step.events + event
            count = likelihood.num_uniforms(parameters.shape[-1])
            noise = likelihood.noise(uniforms(*addresses, position, count))
            return tf.cast(likelihood.sample(parameters, noise), self.value_dtype)

        values, _, memory = self._run(execution, memory, t, choose)
        return values, memory

    @property
    def value_dtype(self) -> str:
        """What values are drawn in, as the samplers draw them."""
        return "float32" if self.model.data_levels is None else "int32"

    def _given(self, x: Tensor) -> Choice:
        """Gives each event of a step its value in `x`."""
        return lambda _, event: x[:, event] if self.step.by_value else x

    def _run(
        self, execution: StepExecution, memory: Memory, t: Tensor, choose: Callable[..., Tensor]
    ) -> tuple[Tensor, Tensor, Memory]:
        """One step: the values, their parameters, and the memory after it."""
        last, before = memory
        extent = execution.extent(tf.reduce_max(t) + 1)
        values, parameters, after = self.step.run(
            execution, t, last, before.with_slots_swapped(), choose, extent
        )
        last = tf.reshape(tf.cast(values, last.dtype), tf.shape(last))
        state = tf.nest.map_structure(
            lambda new, old: tf.ensure_shape(new, old.shape), after.with_slots_swapped(), before
        )
        return values, parameters, Memory(last, state)

    def _execution(self, known: list[Tensor], memory: Memory) -> SequenceExecution:
        named = dict(zip(self._read, known, strict=True))
        return self.program.bind_known(tf.shape(memory.last)[0], self.length, named, BatchRing)
