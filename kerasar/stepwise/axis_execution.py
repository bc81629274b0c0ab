"""One run of an `AxisProgram`: the arithmetic of a single step.

What a step needs from outside of the axis (conditions; for images the rows above) comes through
`ExternalInputs`, so that sequences and rows of an image run the same code.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from kerasar.causality.graph import Edge
from kerasar.causality.pairs.moves import BROADCASTS, RESHAPES
from kerasar.layers.linear_taps import weighted_sum
from kerasar.layers.protocol import Aligned, Recurrence, RowRecurrence, Taps
from kerasar.stepwise.axis_program import AxisProgram, Part, Read, Step
from kerasar.stepwise.caches import Cache
from kerasar.stepwise.rings import Rings, masked, padding
from kerasar.typing import Tensor


class AxisState(NamedTuple):
    """What is passed on: rings, the slots not yet written into them, carries, caches."""

    rings: list[Any]
    pending: list[Tensor]
    carries: list[Any]
    caches: list[Tensor]

    def with_slots_swapped(self) -> "AxisState":
        """With the batch as the first axis of the slots, `(entries, batch, …)`; or back."""
        swapped = [tf.transpose(slot, (1, 0, *range(2, slot.shape.rank))) for slot in self.pending]
        return self._replace(pending=swapped)


class ExternalInputs(Protocol):
    """What a step reads that is not on the axis."""

    def position(self, index: Tensor) -> tuple[Tensor, ...]:
        """The indices on all position axes, given the index on this one."""

    def value(self, step: Step, edge: Edge, index: Tensor) -> Tensor:
        """The value of an input of a step that is not on the axis."""

    def weighted_sum(self, step: Step, index: Tensor) -> Tensor | None:
        """The weighted sum of a linear map's other taps; None if there are none."""

    def taps(self, step: Step, index: Tensor) -> dict[int, Tensor]:
        """The values that other taps read, by tap."""

    def slot(self, index: Tensor) -> Tensor:
        """The number of the position at that index among all of them; else something negative."""

    def part(self, part: Part, index: Tensor, extent: Tensor) -> Tensor:
        """What an operation of attention reads that is not on the axis."""

    def row_part(self, step: Step, index: Tensor) -> Any:
        """What a recurrence over an image made of the finished rows, at this index."""


class StepResult(NamedTuple):
    """The tensors of a step, the state after it, and what recurrences over images keep."""

    values: dict[Edge, Tensor]
    state: AxisState
    kept: dict[Step, Any]


class AxisExecution:
    """Weights and sizes of a run, fixed outside of the loop; only the state changes in it.

    Args:
        program: the plan.
        batch: number of examples.
        length: of the axis.
        rings: the form of the rings.
        slots: number of all positions, if the axis is a part of them; else None.
    """

    def __init__(
        self,
        program: AxisProgram,
        batch: Tensor,
        length: Tensor,
        rings: Rings,
        slots: Tensor | None = None,
    ) -> None:
        self.program, self.batch, self.length, self.rings = program, batch, length, rings
        self.slots = length if slots is None else slots
        self.caches = {edge: Cache(plan, batch, rings) for edge, plan in program.caches.items()}
        self.weights = {
            step: step.tap_matrix()
            for step in program.steps
            if isinstance(step.declared, Taps) and step.declared.matrices is not None and step.taps
        }

    def initial(
        self,
        known: Mapping[Edge, Tensor] | None = None,
        caches: list[Tensor] | None = None,
        extent: Tensor | None = None,
    ) -> AxisState:
        """The state before the first step: rings full of padding, initial carries.

        Args:
            known: the tensors that do not depend on the data, among them given initial states.
            caches: of the positions before, if there are any.
            extent: for how many positions other caches have room; None: for all.
        """
        slots = []
        for ring in self.program.rings:
            edge = ring.entries[0][0]
            tail = list(edge.shape[1 + self.program.position_rank :])
            pads = tf.stack([padding(pad, edge.dtype) for _, pad in ring.entries])
            pads = tf.reshape(pads, (-1, 1, *[1] * len(tail)))
            slot = tf.broadcast_to(pads, tf.stack([len(ring.entries), self.batch, *tail]))
            size = self.batch if isinstance(self.batch, int) else None
            slots.append(tf.ensure_shape(slot, (len(ring.entries), size, *tail)))
        full = [
            self.rings.full(ring.depth, slot)
            for ring, slot in zip(self.program.rings, slots, strict=True)
        ]
        carries = [self._carry(step, known or {}) for step in self.program.recurrences]
        return AxisState(full, slots, carries, self.no_caches(extent) if caches is None else caches)

    def extent(self, stop: Tensor) -> Tensor:
        """How many positions are kept and read by the steps before `stop`."""
        reached = stop + self.program.reach
        if isinstance(reached, int) and isinstance(self.slots, int):
            return min(reached, self.slots)
        return tf.minimum(reached, self.slots) if self.program.reach else reached

    def no_caches(self, extent: Tensor | None = None) -> list[Tensor]:
        """Caches in which nothing is kept yet, with room for some positions; None: for all."""
        slots = self.slots if extent is None else extent
        return [cache.empty(slots) for cache in self.caches.values()]

    def grown(self, caches: list[Tensor], extent: int) -> list[Tensor]:
        """The same caches with room for more positions."""
        pairs = zip(self.caches.values(), caches, strict=True)
        return [cache.grown(kept, extent) for cache, kept in pairs]

    def _carry(self, step: Step, known: Mapping[Edge, Tensor]) -> Any:
        """The state of a recurrence before its first step."""
        declared = step.declared
        given = declared.given if isinstance(declared, Recurrence) else ()
        states = [known[step.node.inputs[index]] for index in given]
        return declared.initial(self.batch, *states)  # type: ignore[union-attr]

    def flush(self, t: Tensor, state: AxisState) -> AxisState:
        """Writes the values of step t - 1 into the rings; the first thing in step t."""
        written = [
            self.rings.write(held, tf.math.floormod(t - 1, ring.depth), slot)
            for ring, held, slot in zip(self.program.rings, state.rings, state.pending, strict=True)
        ]
        return state._replace(rings=written)

    def run(
        self,
        t: Tensor,
        state: AxisState,
        x: Tensor,
        external: ExternalInputs,
        extent: Tensor | None = None,
    ) -> StepResult:
        """Computes every tensor at its index for step `t`.

        Args:
            t: the step.
            state: from `flush`.
            x: the data at index t + the source's lead, `(batch, 1, …)`.
            external: what comes from outside of the axis.
            extent: how many positions of what is kept whole are read; None: all.
        """
        extent = self.slots if extent is None else extent
        return _RunningStep(self, t, state, x, external, extent).result()


class _RunningStep:
    """The values of one step while they are computed."""

    def __init__(
        self,
        execution: AxisExecution,
        t: Tensor,
        state: AxisState,
        x: Tensor,
        external: ExternalInputs,
        extent: Tensor,
    ) -> None:
        self.extent = extent
        self.caches = dict(zip(execution.caches, state.caches, strict=True))
        self.execution, self.program = execution, execution.program
        self.t, self.state, self.external = t, state, external
        self.carries = list(state.carries)
        self.kept: dict[Step, Any] = {}
        self.values: dict[Edge, Tensor] = {self.program.source: x}
        self.old = self._read_rings()
        self._masked: dict[tuple[Edge, float], Tensor] = {}
        #: What layers share, made once a step.
        self._indices: dict[int, Tensor] = {0: t}
        self._parts: dict[tuple[Part, int], Tensor] = {}
        self._places: dict[int, Tensor] = {}

    def result(self) -> StepResult:
        self._keep(self.program.source)
        for step in self.program.steps:
            index = self._index(self.program.lead[step.node.outputs[0]])
            found = [self._read(read, step.moves) for read in self.program.reads(step)]
            if isinstance(step.declared, Taps):
                made: Sequence[Tensor] = (self._combine(step, step.declared, found, index),)
            elif isinstance(step.declared, (Recurrence, RowRecurrence)):
                made = self._recur(step, found, index)
            elif isinstance(step.declared, Aligned):
                made = self._attend(step, step.declared, found, index)
            else:
                made = self._run_node(step, found, index)
            self.values.update(zip(step.node.outputs, made, strict=True))
            for edge in step.node.outputs:
                self._keep(edge)
        caches = list(self.caches.values())
        state = AxisState(self.state.rings, self._pending(), self.carries, caches)
        return StepResult(self.values, state, self.kept)

    # Reading.

    def _index(self, lead: int) -> Tensor:
        """The index at which what leads so far is computed."""
        if lead not in self._indices:
            self._indices[lead] = self.t + lead
        return self._indices[lead]

    def _read_rings(self) -> dict[Read, Tensor]:
        rings, found = self.execution.rings, {}
        for ring, held in zip(self.program.rings, self.state.rings, strict=True):
            for read in ring.reads:
                index = tf.math.floormod(self.t - read.lag, ring.depth)
                value = rings.read(held, index, ring.entries.index((read.edge, read.pad)))
                is_sequence = self.program.position_rank == 1
                found[read] = tf.expand_dims(value, 1) if is_sequence else value[:, None, None]
        return found

    def _read(self, read: Read, moves: bool) -> Tensor:
        if read.lag:
            return self.old[read]
        # Only what reads other positions than its own meets the ends of the axis.
        return self._fitted(read.edge, read.pad) if moves else self.values[read.edge]

    def _fitted(self, edge: Edge, pad: float) -> Tensor:
        """The present value, or padding where the index lies outside of the tensor."""
        if (edge, pad) not in self._masked:
            start, lead = self.program.start, self.program.lead[edge]
            length, change = self.execution.length, self.program.length_changes[edge]
            value = self.values[edge]
            self._masked[edge, pad] = masked(value, pad, self.t, start, lead, length, change)
        return self._masked[edge, pad]

    def _pending(self) -> list[Tensor]:
        """The slots of this step, which the next one writes into the rings."""
        positions = list(range(1, 1 + self.program.position_rank))
        return [
            tf.stack([tf.squeeze(self._fitted(*entry), positions) for entry in ring.entries])
            for ring in self.program.rings
        ]

    # Computing.

    def _combine(self, step: Step, declared: Taps, found: list[Tensor], index: Tensor) -> Tensor:
        if declared.matrices is not None and declared.finish is not None:
            total = weighted_sum(found, self.execution.weights[step]) if step.taps else None
            rest = self.external.weighted_sum(step, index)
            if rest is not None:
                total = rest if total is None else total + rest
            return declared.finish(total)
        if len(found) < len(declared.offsets):
            others = self.external.taps(step, index)
            own = {tap: value for (tap, _), value in zip(step.taps, found, strict=True)}
            found = [own[i] if i in own else others[i] for i in range(len(declared.offsets))]
        if declared.combine is None:
            raise ValueError(f"layer '{step.node.name}' has no step form")
        return declared.combine(found, self.external.position(index))

    def _recur(self, step: Step, found: list[Tensor], index: Tensor) -> list[Tensor]:
        declared, number = step.declared, self.program.recurrences.index(step)
        before = self.carries[number]
        positions = list(range(1, 1 + self.program.position_rank))
        given = declared.given if isinstance(declared, Recurrence) else ()
        running = [edge for n, edge in enumerate(step.node.inputs) if n not in given]
        xs = [tf.squeeze(x, positions) for x in self._inputs(step, running, found, index)]
        x = xs[0] if len(xs) == 1 else xs
        if isinstance(declared, RowRecurrence):
            part = self.external.row_part(step, index)
            row, column = self.external.position(index)
            y, after, self.kept[step] = declared.step(x, before, part, (row, column))
        else:
            y, after = declared.step(x, before, index)  # type: ignore[union-attr]
        self.carries[number] = self._unless_early(step, after, before, index)
        head = (slice(None), *[None] * len(positions))
        return [made[head] for made in (y if isinstance(y, (list, tuple)) else [y])]

    def _unless_early(self, step: Step, after: Any, before: Any, index: Tensor) -> Any:
        """The carry, which does not move before the first index."""
        if self.program.start + self.program.lead[step.node.outputs[0]] >= 0:
            return after
        return tf.nest.map_structure(lambda new, old: tf.where(index >= 0, new, old), after, before)

    def _run_node(self, step: Step, found: list[Tensor], index: Tensor) -> tuple[Tensor, ...]:
        edges = step.node.inputs
        values = self._inputs(step, edges, found, index)
        return step.node.run(dict(zip(edges, values, strict=True)))

    def _inputs(
        self, step: Step, edges: Sequence[Edge], found: list[Tensor], index: Tensor
    ) -> list[Tensor]:
        """Inputs of a step: those on the axis were found, the others are known at its index."""
        own = iter(found)
        return [
            next(own) if edge in self.program.made else self.external.value(step, edge, index)
            for edge in edges
        ]

    # Attention.

    def _keep(self, edge: Edge) -> None:
        """Writes a position into the cache of its tensor."""
        if edge not in self.caches or edge not in self.values:
            return
        lead = self.program.lead[edge]
        if lead not in self._places:
            slot = self.external.slot(self._index(lead))
            self._places[lead] = self.execution.rings.place(slot, self.execution.slots)
        is_inside = lead == self.program.start == 0
        cache = self.execution.caches[edge]
        self.caches[edge] = cache.written(
            self.caches[edge], self._places[lead], self.values[edge], is_inside
        )

    def _attend(
        self, step: Step, declared: Aligned, found: list[Tensor], index: Tensor
    ) -> tuple[Tensor, ...]:
        """An operation on tensors whose positions lie on any axes."""
        own = iter(found)
        values = []
        for part in step.parts:
            if part.kept is not None:
                cache = self.execution.caches[part.edge]
                value = cache.read(self.caches[part.edge], self.extent)
                if part.cut is not None:
                    slot = tf.reshape(self.external.slot(index), (1,))
                    value = tf.gather(value, slot, axis=part.cut)
                values.append(value)
            elif part.edge in self.program.made:
                values.append(next(own))
            else:
                lead = self.program.lead[step.node.outputs[0]]
                if (part, lead) not in self._parts:
                    self._parts[part, lead] = self.external.part(part, index, self.extent)
                values.append(self._parts[part, lead])
        if type(step.node.operation) in RESHAPES:
            return (self._reshaped(step, declared, values[0]),)
        return step.node.run_each(values)

    def _reshaped(self, step: Step, declared: Aligned, value: Tensor) -> Tensor:
        """A reshape, whose arguments name sizes that a step does not have."""
        (made,) = step.node.outputs
        sizes = [self.execution.batch * self.program.folds.get(made, 1), *made.shape[1:]]
        (part,) = step.parts
        is_grid = self.program.position_rank == 2 and made not in self.program.placed
        for axis in (1, 2) if is_grid else (self.program.step_axis.get(made, 1),):
            sizes[axis] = 1
        for axis in part.whole:
            sizes[int(declared.axes[0][axis])] = self.extent
        if type(step.node.operation) in BROADCASTS:
            return tf.broadcast_to(value, tf.stack(sizes))
        return tf.reshape(value, tf.stack(sizes))
