"""Single steps of sequences of which each is at a step of its own.

The step form runs all examples at one step, for indices are scalars: of padding, of masks, of
conditions. Here each example is a batch of one, at its own step, and `tf.vectorized_map` makes one
product of theirs again.
"""

from typing import Any

import tensorflow as tf

from kerasar.stepwise.axis_execution import AxisState
from kerasar.stepwise.rings import BatchRing
from kerasar.stepwise.sequence_steps import SequenceProgram
from kerasar.typing import Tensor


class OwnSteps:
    """One step of each example; runs as a `SequenceExecution` does, with a step for each example.

    Args:
        program: the step form of a network.
        length: how many steps there are at most.
        conditions: with one row for each example.
    """

    def __init__(self, program: SequenceProgram, length: int, conditions: list[Tensor]) -> None:
        self.program, self.length, self.conditions = program, length, conditions

    def extent(self, stop: Tensor) -> Tensor:
        """How many positions of what is kept whole are read by the steps before `stop`."""
        program = self.program.axis_program
        return tf.minimum(stop + program.reach, self.length)

    def step(
        self, t: Tensor, state: AxisState, x: Tensor, extent: Any = None
    ) -> tuple[Tensor, AxisState]:
        """One step of each.

        Args:
            t: the step of each example, `(batch,)`.
            state: of the steps before, from `BatchRing`.
            x: the data before, or at, that step; `(batch, 1, …)`.
            extent: how many positions of what is kept whole are read; None: all.

        Returns:
            The network's outputs, `(batch, 1, …)`, and the state.
        """

        # A batch of one whose size is not known: `keras.ops.add` takes what is known to have one
        # row for a bias, whose axis of size 1 the map would leave out, were there a single example.
        one = tf.minimum(tf.shape(t)[0], 1)

        def of_one(given: Any) -> Any:
            t, state, x, conditions = given
            conditions = [_as_batch(part, one) for part in conditions]
            execution = self.program.bind(one, self.length, conditions, BatchRing)
            state = _batch_of_one(state, one)
            output, state = execution.step(t, state, _as_batch(x, one), extent)
            return output[0], _without_batch(state)

        given = (t, self._by_example(state), x, self.conditions)
        if self._is_deep():
            made = self.program.graph.output
            kinds = tf.TensorSpec((1, *made.shape[2:]), made.dtype), _kinds_of_one(given[1])
            output, state = tf.map_fn(of_one, given, fn_output_signature=kinds)
        else:
            output, state = tf.vectorized_map(of_one, given)
        return output, self._in_step_order(state)

    def _is_deep(self) -> bool:
        """Whether an axis more would be one too many for TensorFlow's softmax, which takes five."""
        steps = self.program.axis_program.steps
        return max(len(edge.shape) for step in steps for edge in step.node.outputs) > 4

    def _by_example(self, state: AxisState) -> AxisState:
        """With an axis of examples first, also where several rows belong to one."""
        caches = [
            tf.reshape(kept, [-1, fold, *kept.shape[1:]])
            for kept, fold in zip(state.caches, self._folds(), strict=True)
        ]
        return state.with_slots_swapped()._replace(caches=caches)

    def _in_step_order(self, state: AxisState) -> AxisState:
        caches = [tf.reshape(kept, [-1, *kept.shape[2:]]) for kept in state.caches]
        return state.with_slots_swapped()._replace(caches=caches)

    def _folds(self) -> list[int]:
        return [plan.fold for plan in self.program.axis_program.caches.values()]


def _batch_of_one(state: AxisState, one: Tensor) -> AxisState:
    return AxisState(
        [_as_batch(ring, one) for ring in state.rings],
        [
            tf.transpose(_as_batch(slot, one), (1, 0, *range(2, slot.shape.rank + 1)))
            for slot in state.pending
        ],
        tf.nest.map_structure(lambda part: _as_batch(part, one), state.carries),
        state.caches,
    )


def _as_batch(part: Tensor, one: Tensor) -> Tensor:
    return tf.broadcast_to(part, tf.concat([[one], tf.shape(part)], 0))


def _without_batch(state: AxisState) -> AxisState:
    rings, carries = tf.nest.map_structure(lambda part: part[0], (state.rings, state.carries))
    return AxisState(rings, [slot[:, 0] for slot in state.pending], carries, state.caches)


def _kinds_of_one(state: AxisState) -> AxisState:
    return tf.nest.map_structure(lambda part: tf.TensorSpec(part.shape[1:], part.dtype), state)
