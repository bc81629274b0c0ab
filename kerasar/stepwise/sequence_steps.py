"""The step form of a sequence network: one time step at a time, nothing computed twice."""

from typing import Any

import tensorflow as tf

from kerasar.causality.analysis import Analysis
from kerasar.causality.graph import Edge
from kerasar.layers.protocol import Taps
from kerasar.stepwise.axis_execution import AxisExecution, StepResult
from kerasar.stepwise.axis_program import AxisProgram, Step
from kerasar.stepwise.rings import Rings, while_loop
from kerasar.typing import Tensor


class SequenceProgram:
    """A causal sequence network, ready to be run step by step.

    Args:
        analysis: of a network that `check_causal` accepts, with no unknown layer.
    """

    def __init__(self, analysis: Analysis) -> None:
        self.analysis, self.graph = analysis, analysis.graph
        steps = []
        for node, declared in analysis.declarations.items():
            if declared is None:
                raise ValueError(f"layer '{node.name}' declares nothing")
            offsets = declared.offsets if isinstance(declared, Taps) else ()
            taps = tuple((tap, offset[0]) for tap, offset in enumerate(offsets))
            steps.append(Step(node, declared, taps))
        changes = {edge: sizes[0] for edge, sizes in analysis.length_changes().items()}
        #: Whether a step reads its own data: the values that are drawn before others of the step.
        self.sees_present = analysis.dependences[self.graph.output].offsets.has((0,))
        lead = 0 if self.sees_present else -1
        self.axis_program = AxisProgram(steps, self.graph.x, [self.graph.output], changes, 1, lead)

    @property
    def look_ahead(self) -> int:
        """How many steps further on an output may read tensors that look ahead."""
        return -self.axis_program.start

    def bind(
        self, batch: Tensor, length: Tensor, conditions: list[Tensor], rings: Rings
    ) -> "SequenceExecution":
        """Everything that is computed once: conditions, weights; call it outside the loop."""
        known = self.analysis.compute_conditions(conditions)
        execution = AxisExecution(self.axis_program, batch, length, rings)
        return SequenceExecution(self.graph.x, self.graph.output, execution, known)


class SequenceExecution:
    """One run of the step form; only the state changes from step to step."""

    def __init__(
        self, x: Edge, output: Edge, execution: AxisExecution, known: dict[Edge, Tensor]
    ) -> None:
        self.x, self.output = x, output
        self.execution, self.external = execution, _Conditions(known)

    def initial(self) -> Any:
        """The state at step 0, after the steps that readers ahead need."""
        state = self.execution.initial(self.external.known)
        start = self.execution.program.start
        if start == 0:
            return state
        nothing = tf.zeros(tf.stack([self.execution.batch, 1, *self.x.shape[2:]]), self.x.dtype)
        _, state = while_loop(
            lambda t, _: t < 0,
            lambda t, state: (t + 1, self._run(t, state, nothing).state),
            (tf.constant(start), state),
        )
        return state

    def step(self, t: Tensor, state: Any, x: Tensor) -> tuple[Tensor, Any]:
        """The network's output at step `t`, `(batch, 1, …)`.

        Args:
            t: the step.
            state: after the step before.
            x: the data at t - 1, or at t where a step sees its own data; `(batch, 1, …)`.
        """
        result = self._run(t, state, x)
        return result.values[self.output], result.state

    def _run(self, t: Tensor, state: Any, x: Tensor) -> StepResult:
        state = self.execution.flush(t, state)
        return self.execution.run(t, state, x, self.external)


class _Conditions:
    """What does not depend on the data, by time; every tap of a sequence is on its axis."""

    def __init__(self, known: dict[Edge, Tensor]) -> None:
        self.known = known

    def position(self, index: Tensor) -> tuple[Tensor, ...]:
        return (index,)

    def value(self, step: Step, edge: Edge, index: Tensor) -> Tensor:
        value = self.known[edge]
        return value if step.takes_whole(edge) else slice_at(value, edge, 1, index)

    def weighted_sum(self, step: Step, index: Tensor) -> None:
        return None

    def taps(self, step: Step, index: Tensor) -> dict[int, Tensor]:
        return {}

    def part(self, step: Step, index: Tensor) -> None:
        return None


def slice_at(value: Tensor, edge: Edge, axis: int, index: Tensor) -> Tensor:
    """The slice at an index of a position axis; tensors of size 1 there hold for all positions."""
    if len(edge.shape) <= axis or edge.shape[axis] == 1:
        return value
    index = tf.clip_by_value(index, 0, tf.shape(value)[axis] - 1)
    return tf.gather(value, tf.reshape(index, (1,)), axis=axis)
