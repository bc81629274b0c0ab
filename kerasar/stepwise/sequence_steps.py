"""The step form of a sequence network: one time step at a time, nothing computed twice."""

from typing import Any

import tensorflow as tf

from kerasar.causality.analysis import Reading
from kerasar.causality.graph import Edge
from kerasar.layers.protocol import Taps
from kerasar.stepwise.line import Job, Line, sequence_jobs
from kerasar.stepwise.loops import while_loop
from kerasar.stepwise.rings import Rings
from kerasar.typing import Tensor


class SequenceProgram:
    """A causal sequence network, ready to be run step by step.

    Args:
        reading: of a network that `check_causal` accepts, with no unknown layer.
    """

    def __init__(self, reading: Reading) -> None:
        self.reading, self.graph = reading, reading.graph
        nodes = [node for node in self.graph.nodes if node in reading.declarations]
        jobs = sequence_jobs(nodes, reading.declarations)
        growth = {self.graph.x: 0}
        for job in jobs:
            source = next(edge for edge in job.node.inputs if edge in growth)
            grow = job.declared.grow if isinstance(job.declared, Taps) else None
            for edge in job.node.outputs:
                growth[edge] = growth[source] + (grow[0] if grow else 0)
        self.line = Line(jobs, self.graph.x, [self.graph.output], growth, 1)

    def bind(
        self, batch: Tensor, length: Tensor, conditions: list[Tensor], rings: Rings
    ) -> "SequenceExecution":
        """Everything that is computed once: conditions, weights; call it outside the loop."""
        return SequenceExecution(self, batch, length, untainted(self.reading, conditions), rings)


class SequenceExecution:
    """One run of the step form; only `state` changes from step to step."""

    def __init__(
        self,
        steps: SequenceProgram,
        batch: Tensor,
        length: Tensor,
        known: dict[Edge, Tensor],
        rings: Rings,
    ) -> None:
        self.steps, self.batch, self.length, self.known = steps, batch, length, known
        self.rings = rings
        self.weights = steps.line.prepare()

    def initial(self) -> Any:
        """The state at step 0, after the steps that readers ahead need."""
        line, x = self.steps.line, self.steps.graph.x
        state = line.initial(self.batch, self.rings)
        nothing = tf.zeros(tf.stack([self.batch, 1, *x.shape[2:]]), x.dtype)
        if line.start == 0:
            return state
        _, state = while_loop(
            lambda t, _: t < 0,
            lambda t, state: (t + 1, self._step(t, state, nothing)[1]),
            (tf.constant(line.start), state),
        )
        return state

    def step(self, t: Tensor, state: Any, x: Tensor) -> tuple[Tensor, Any]:
        """The network's output at step `t`, `(batch, 1, …)`, given x at t - 1, `(batch, 1, …)`."""
        values, state = self._step(t, state, x)
        return values[self.steps.graph.output], state

    def _step(self, t: Tensor, state: Any, x: Tensor) -> tuple[dict[Edge, Tensor], Any]:
        line = self.steps.line
        state = line.flush(t, state, self.rings)
        values, state, _ = line.step(
            t,
            state,
            self.rings,
            x,
            self.length,
            self.weights,
            self._outside,
            lambda index: (index,),
        )
        return values, state

    def _outside(self, job: Job, edge: Edge | None, index: Tensor) -> Tensor | None:
        if edge is None:
            return None
        return at_index(self.known[edge], edge, 1, index)


def untainted(reading: Reading, conditions: list[Tensor]) -> dict[Edge, Tensor]:
    """All tensors that do not depend on the data, computed once and in parallel."""
    known = dict(zip(reading.graph.conditions, conditions, strict=True))
    for node in reading.graph.nodes:
        if node not in reading.declarations:
            known.update(zip(node.outputs, node.run(known), strict=True))
    return known


def at_index(value: Tensor, edge: Edge, axis: int, index: Tensor) -> Tensor:
    """The slice at an index of a position axis; tensors of size 1 there hold for all positions."""
    if len(edge.shape) <= axis or edge.shape[axis] == 1:
        return value
    index = tf.clip_by_value(index, 0, tf.shape(value)[axis] - 1)
    return tf.gather(value, tf.reshape(index, (1,)), axis=axis)
