"""The step form of a sequence network: one time step at a time, nothing computed twice."""

from typing import Any

import tensorflow as tf

from kerasar.causality.analysis import Analysis
from kerasar.causality.graph import Edge
from kerasar.layers.protocol import Taps
from kerasar.stepwise.attention_plan import plan_attention
from kerasar.stepwise.axis_execution import AxisExecution, AxisState, StepResult
from kerasar.stepwise.axis_program import AxisProgram, Part, Step
from kerasar.stepwise.rings import Rings, clipped, first_slots, while_loop
from kerasar.typing import Tensor


class SequenceProgram:
    """A causal sequence network, ready to be run step by step.

    Args:
        analysis: of a network that `check_causal` accepts, with no unknown layer.
    """

    def __init__(self, analysis: Analysis) -> None:
        self.analysis, self.graph = analysis, analysis.graph
        plan = plan_attention(analysis)
        steps = []
        for node, declared in analysis.declarations.items():
            if declared is None:
                raise ValueError(f"layer '{node.name}' declares nothing")
            offsets = declared.offsets if isinstance(declared, Taps) else ()
            taps = tuple((tap, offset[0]) for tap, offset in enumerate(offsets))
            parts, ahead = plan.parts.get(node, ()), plan.ahead.get(node, 0)
            steps.append(Step(node, declared, taps, parts, ahead))
        changes = {edge: sizes[0] for edge, sizes in analysis.length_changes().items()}
        #: Whether a step reads its own data: the values that are drawn before others of the step.
        self.sees_present = analysis.dependences[self.graph.output].offsets.has((0,))
        self.axis_program = AxisProgram(
            steps,
            self.graph.x,
            [self.graph.output],
            changes,
            position_rank=1,
            source_lead=0 if self.sees_present else -1,
            caches=plan.caches,
            step_axis=plan.step_axis,
            folds=plan.folds,
            placed=analysis.placed,
        )

    @property
    def has_caches(self) -> bool:
        """Whether tensors are kept for all positions, as attention needs it."""
        return bool(self.axis_program.caches)

    @property
    def look_ahead(self) -> int:
        """How many steps further on an output may read tensors that look ahead."""
        return -self.axis_program.start

    @property
    def depends_on_length(self) -> bool:
        """Whether a step reads tensors beyond the end of the data, where there is padding."""
        changes = self.axis_program.length_changes
        return any(lead > changes.get(e, 0) for e, lead in self.axis_program.lead.items())

    def bind(
        self, batch: Tensor, length: Tensor, conditions: list[Tensor], rings: Rings
    ) -> "SequenceExecution":
        """Everything that is computed once: conditions, weights; call it outside the loop."""
        known = self.analysis.compute_conditions(conditions, batch)
        return self.bind_known(batch, length, known, rings)

    def bind_known(
        self, batch: Tensor, length: Tensor, known: dict[Edge, Tensor], rings: Rings
    ) -> "SequenceExecution":
        """The same, from what does not depend on the data; steps need what `read_edges` names."""
        execution = AxisExecution(self.axis_program, batch, length, rings)
        return SequenceExecution(self.graph.x, self.graph.output, execution, known)

    def read_edges(self, known: dict[Edge, Tensor]) -> list[Edge]:
        """Which of the tensors that do not depend on the data the steps read."""
        read = {edge for step in self.axis_program.steps for edge in step.node.inputs}
        return [edge for edge in known if edge in read]


class SequenceExecution:
    """One run of the step form; only the state changes from step to step."""

    def __init__(
        self, x: Edge, output: Edge, execution: AxisExecution, known: dict[Edge, Tensor]
    ) -> None:
        self.x, self.output = x, output
        self.execution, self.external = execution, _Conditions(known)

    @property
    def has_caches(self) -> bool:
        """Whether tensors are kept for all positions."""
        return bool(self.execution.program.caches)

    def extent(self, stop: Tensor) -> Tensor:
        """How many positions of what is kept whole are read by the steps before `stop`."""
        return self.execution.extent(stop)

    def grown(self, state: AxisState, extent: int) -> AxisState:
        """The state with room in its caches for more positions."""
        return state._replace(caches=self.execution.grown(state.caches, extent))

    def initial(self, extent: Tensor | None = None) -> AxisState:
        """The state at step 0, after the steps that readers ahead need.

        Args:
            extent: for how many positions caches have room; None: for all.
        """
        state = self.execution.initial(self.external.known, extent=extent)
        start = self.execution.program.start
        if start == 0:
            return state
        nothing = tf.zeros(tf.stack([self.execution.batch, 1, *self.x.shape[2:]]), self.x.dtype)
        _, state = while_loop(
            lambda t, _: t < 0,
            lambda t, state: (t + 1, self._run(t, state, nothing, extent).state),
            (tf.constant(start), state),
        )
        return state

    def step(
        self, t: Tensor, state: Any, x: Tensor, extent: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """One step.

        Args:
            t: the step.
            state: of the step before.
            x: the data at t - 1, or at t where a step sees its own data; `(batch, 1, …)`.
            extent: how many positions of what is kept whole are read; None: all.

        Returns:
            The network's output at `t`, `(batch, 1, …)`, and the state.
        """
        result = self._run(t, state, x, extent)
        return result.values[self.output], result.state

    def _run(self, t: Tensor, state: Any, x: Tensor, extent: Tensor | None = None) -> StepResult:
        state = self.execution.flush(t, state)
        return self.execution.run(t, state, x, self.external, extent)


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

    def slot(self, index: Tensor) -> Tensor:
        return index

    def part(self, part: Part, index: Tensor, extent: Tensor) -> Tensor:
        return cut_part(self.known[part.edge], part, index, extent)

    def taps(self, step: Step, index: Tensor) -> dict[int, Tensor]:
        return {}

    def row_part(self, step: Step, index: Tensor) -> None:
        return None


def cut_part(value: Tensor, part: Part, slot: Tensor, extent: Tensor) -> Tensor:
    """Of what does not depend on the data: a position's slice, and the keys before `extent`."""
    if part.cut is not None:
        value = slice_at(value, part.edge, part.cut, slot)
    for axis in part.whole:
        value = first_slots(value, axis, extent)
    return value


def slice_at(value: Tensor, edge: Edge, axis: int, index: Tensor) -> Tensor:
    """The slice at an index of a position axis; tensors of size 1 there hold for all positions."""
    if len(edge.shape) <= axis or edge.shape[axis] == 1:
        return value
    return tf.gather(value, tf.reshape(clipped(index, value, axis), (1,)), axis=axis)
