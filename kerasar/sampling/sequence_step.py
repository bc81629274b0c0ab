"""One step of a sequence: the parameters of its events, and the events that follow from them."""

from collections.abc import Callable
from typing import Any, Protocol

import tensorflow as tf

from kerasar.sampling.models import SampledAutoregressive
from kerasar.sampling.partial_batch import events_so_far
from kerasar.stepwise.sequence_steps import SequenceProgram
from kerasar.typing import Tensor

#: From the parameters of an event, `(batch, parameters)`, and its index in the step to its value.
Choice = Callable[[Tensor, int], Tensor]


class StepExecution(Protocol):
    """A run of the step form: `SequenceExecution`, or `OwnSteps`."""

    def extent(self, stop: Tensor) -> Tensor: ...
    def step(
        self, t: Tensor, state: Any, x: Tensor, extent: Tensor | None = None
    ) -> tuple[Tensor, Any]: ...


class SequenceStep:
    """How a step of a model's data falls into events, and how these are run.

    Args:
        model: an `AutoregressiveDensity`.
        program: the step form of its network.
    """

    def __init__(self, model: SampledAutoregressive, program: SequenceProgram) -> None:
        x = program.graph.x
        #: Whether the channels of a step are events of their own.
        self.by_value = len(x.shape) > 2 and model.likelihood.event_rank == 0
        self.events = int(x.shape[-1] or 1) if self.by_value else 1
        #: Whether they are drawn one after the other, for a step reads its own data.
        self.in_turn = program.sees_present

    def run(
        self,
        execution: StepExecution,
        t: Tensor,
        last: Tensor,
        state: Any,
        choose: Choice,
        extent: Tensor,
    ) -> tuple[Tensor, Tensor, Any]:
        """Runs step `t`, given the one before it.

        Args:
            execution: the run of the step form.
            t: the step.
            last: the data of the step before, `(batch, 1, …)`.
            state: of the step before.
            choose: what gives each event its value.
            extent: attention reads the positions before it.

        Returns:
            The values, `(batch, …)`, their parameters, `(batch, [events,] parameters)`, and the
            state.
        """
        run = self._run_in_turn if self.in_turn else self._run_together
        return run(execution, t, last, state, choose, extent)

    def _run_together(
        self,
        execution: StepExecution,
        t: Tensor,
        last: Tensor,
        state: Any,
        choose: Choice,
        extent: Tensor,
    ) -> tuple[Tensor, Tensor, Any]:
        """All events of a step from one run of the network, for none sees another."""
        output, state = execution.step(t, state, last, extent)
        parameters = output[:, 0]
        if not self.by_value:
            return choose(parameters, 0), parameters, state
        events = [choose(parameters[:, event], event) for event in range(self.events)]
        return tf.stack(events, -1), parameters, state

    def _run_in_turn(
        self,
        execution: StepExecution,
        t: Tensor,
        last: Tensor,
        state: Any,
        choose: Choice,
        extent: Tensor,
    ) -> tuple[Tensor, Tensor, Any]:
        """Each event given those drawn before it; the last run of the network sees them all."""
        events: list[Tensor] = []
        parameters = []
        for event in range(self.events):
            output, _ = execution.step(t, state, events_so_far(events, last), extent)
            parameters.append(output[:, 0, event])
            events.append(choose(parameters[-1], event))
        _, state = execution.step(t, state, events_so_far(events, last), extent)
        return tf.stack(events, -1), tf.stack(parameters, 1), state
