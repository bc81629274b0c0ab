"""The step form along one axis: every value once, read again from rings.

The engine runs a graph one index at a time. Each tensor has a fixed lead over the loop's index:
at step t it is computed at index t + lead. Leads are found from the output backwards, as late
as its readers allow, so paddings in front, crops and shifts cost nothing. What is read again
later goes into ring buffers. A step begins by writing the slot of the step before and then reads
what it needs: every read follows the write, so compilers update the rings in place (written at
the end of a step, a ring of 30 MB was copied whole). The engine owns the rings and hands them from
step to step; layers keep no state, so a served model can be called concurrently.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from kerasar.causality.graph import Edge, Node
from kerasar.layers.linear_taps import weighted_sum
from kerasar.layers.protocol import Declaration, Recurrence, RowRecurrence, Taps
from kerasar.stepwise.rings import Rings, masked, padding
from kerasar.typing import Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """One node of a line: how it reads along the line's axis.

    Attributes:
        node: the operation.
        declared: what it sees.
        taps: (number of the tap, offset along the line) of the taps that lie on the line.
    """

    node: Node
    declared: Declaration
    taps: tuple[tuple[int, int], ...] = ()


@dataclasses.dataclass(frozen=True)
class _Read:
    """A value of `edge` from `lag` steps ago, `pad` where there is none."""

    edge: Edge
    pad: float
    lag: int


@dataclasses.dataclass
class _Ring:
    """Values of the same shape and type; entry e of slot t holds a tensor as of step t."""

    entries: list[tuple[Edge, float]]
    depth: int
    reads: list[_Read]


class LineState(NamedTuple):
    """What goes from step to step: rings, the slots not yet written into them, carries."""

    rings: list[Any]
    pending: list[Tensor]
    carries: list[Any]


class Line:
    """A graph (or the part of it that is computed index by index) in step form.

    Args:
        jobs: the nodes on the line, from input to output.
        source: the tensor of the data.
        outputs: tensors that must be there, at index t, when step t ends.
        growth: by how much each tensor is longer than the line.
        places: number of position axes of the tensors, which have size 1 here.
        source_lead: -1 if a step begins with the data one index before it, 0 if at it.
        made: the tensors on the line, if not all that the jobs make and the source.
    """

    def __init__(
        self,
        jobs: list[Job],
        source: Edge,
        outputs: list[Edge],
        growth: dict[Edge, int],
        places: int,
        source_lead: int = -1,
        made: set[Edge] | None = None,
    ) -> None:
        self.jobs, self.source, self.outputs, self.places = jobs, source, outputs, places
        self.growth = growth
        self.made = made or {edge for job in jobs for edge in job.node.outputs} | {source}
        self.lead = self._leads(source_lead)
        #: The first step: earlier indices are computed for readers that look ahead.
        self.start = -max([0, *self.lead.values()])
        self.rings = self._rings()

    def _leads(self, source_lead: int) -> dict[Edge, int]:
        lead: dict[Edge, int] = dict.fromkeys(self.outputs, 0)
        for job in reversed(self.jobs):
            own = [lead[edge] for edge in job.node.outputs if edge in lead]
            if not own:
                continue
            for edge in job.node.outputs:
                lead[edge] = max(own)
            for edge, _, offset in self._reads(job):
                lead[edge] = max(lead.get(edge, -(10**9)), max(own) + offset)
        if lead.get(self.source, source_lead) > source_lead:
            raise ValueError("the line reads data that are not there yet: its graph is not causal")
        lead[self.source] = source_lead
        return lead

    def _reads(self, job: Job) -> list[tuple[Edge, float, int]]:
        """(tensor, padding, offset) for each tap on the line, or for each input on the line."""
        declared = job.declared
        if isinstance(declared, Taps):
            inputs = job.node.inputs
            return [
                (inputs[declared.source(number)], declared.pad, offset)
                for number, offset in job.taps
            ]
        offset = declared.offset if isinstance(declared, Recurrence) else 0
        return [(edge, 0.0, offset) for edge in job.node.inputs if edge in self.made]

    def _lags(self, job: Job) -> list[tuple[Edge, float, int]]:
        """The same with the number of steps since the value was computed."""
        lead = self.lead[job.node.outputs[0]]
        return [(edge, pad, self.lead[edge] - lead - o) for edge, pad, o in self._reads(job)]

    def _rings(self) -> list[_Ring]:
        rings: dict[tuple[Any, ...], _Ring] = {}
        for job in self.jobs:
            if job.node.outputs[0] not in self.lead:
                continue
            for edge, pad, lag in self._lags(job):
                if lag <= 0:
                    continue
                shape = (edge.shape[1 + self.places :], edge.dtype)
                ring = rings.setdefault(shape, _Ring([], 0, []))
                ring.depth = max(ring.depth, lag)
                if (edge, pad) not in ring.entries:
                    ring.entries.append((edge, pad))
                if _Read(edge, pad, lag) not in ring.reads:
                    ring.reads.append(_Read(edge, pad, lag))
        return list(rings.values())

    # Running.

    def initial(self, batch: Tensor, rings: Rings) -> LineState:
        """The state before the first step: rings full of padding, initial carries."""
        slots = []
        for ring in self.rings:
            edge = ring.entries[0][0]
            tail = list(edge.shape[1 + self.places :])
            pads = tf.stack([padding(pad, edge.dtype) for _, pad in ring.entries])
            pads = tf.reshape(pads, (-1, 1, *[1] * len(tail)))
            slot = tf.broadcast_to(pads, tf.stack([len(ring.entries), batch, *tail]))
            size = batch if isinstance(batch, int) else None
            slots.append(tf.ensure_shape(slot, (len(ring.entries), size, *tail)))
        full = [rings.full(r.depth, slot) for r, slot in zip(self.rings, slots, strict=True)]
        carries = [declared.initial(batch) for declared in self._recurrences().values()]
        return LineState(full, slots, carries)

    def _recurrences(self) -> dict[Job, Recurrence | RowRecurrence]:
        return {
            job: job.declared
            for job in self.jobs
            if isinstance(job.declared, (Recurrence, RowRecurrence))
            and job.node.outputs[0] in self.lead
        }

    def prepare(self) -> dict[Job, Tensor]:
        """The weights of linear maps, cut and joined once; call it outside the loop."""
        return {
            job: tap_matrix(job.declared, [number for number, _ in job.taps])
            for job in self.jobs
            if isinstance(job.declared, Taps) and job.declared.matrices is not None and job.taps
        }

    def flush(self, t: Tensor, state: LineState, rings: Rings) -> LineState:
        """Writes the values of step t - 1 into the rings; the first thing in step t."""
        written = [
            rings.write(held, tf.math.floormod(t - 1, ring.depth), slot)
            for ring, held, slot in zip(self.rings, state.rings, state.pending, strict=True)
        ]
        return state._replace(rings=written)

    def step(
        self,
        t: Tensor,
        state: LineState,
        rings: Rings,
        x: Tensor,
        length: Tensor,
        weights: dict[Job, Tensor],
        outside: Callable[[Job, Edge | None, Tensor], Any],
        position: Callable[[Tensor], tuple[Tensor, ...]],
    ) -> tuple[dict[Edge, Tensor], LineState, dict[Job, Any]]:
        """Computes every tensor at its index for step `t`.

        Args:
            t: the step.
            state: from `flush`.
            rings: the form of the rings.
            x: the data at index t + the source's lead, `(batch, 1, …)`.
            length: of the line.
            weights: from `prepare`.
            outside: what comes from elsewhere: `outside(job, edge, index)` gives the value of an
                input that is not on the line; `outside(job, None, index)` the weighted sum of the
                taps that are not (or their values, one for each tap), or None.
            position: turns an index on the line into the indices on all position axes.

        Returns:
            The tensors by edge, the state after the step, and what recurrences over images keep.
        """
        carries = list(state.carries)
        old = self._read_old(t, state.rings, rings)
        values: dict[Edge, Tensor] = {self.source: x}
        masked: dict[tuple[Edge, float], Tensor] = {}

        def fit(edge: Edge, pad: float) -> Tensor:
            if (edge, pad) not in masked:
                masked[edge, pad] = self._mask(values[edge], edge, pad, t, length)
            return masked[edge, pad]

        recurrences = list(self._recurrences())
        kept: dict[Job, Any] = {}
        for job in self.jobs:
            if job.node.outputs[0] not in self.lead:
                continue
            index = t + self.lead[job.node.outputs[0]]
            declared = job.declared
            # Only what reads other positions than its own meets the ends.
            moves = isinstance(declared, Taps) or (
                isinstance(declared, Recurrence) and declared.offset != 0
            )
            found = []
            for edge, pad, lag in self._lags(job):
                if lag:
                    found.append(old[_Read(edge, pad, lag)])
                else:
                    found.append(fit(edge, pad) if moves else values[edge])
            if isinstance(declared, Taps):
                made = self._combine(job, declared, found, index, weights, outside, position)
            elif isinstance(declared, (Recurrence, RowRecurrence)):
                number = recurrences.index(job)
                before, now = carries[number], found[0]
                flat = tf.squeeze(now, list(range(1, 1 + self.places)))
                if isinstance(declared, Recurrence):
                    y, after = declared.step(flat, before, index)
                else:
                    part = outside(job, None, index)
                    spot = position(index)
                    y, after, kept[job] = declared.step(flat, before, part, (spot[0], spot[1]))
                carries[number] = self._frozen(after, before, index, job)
                made = (tf.reshape(y, tf.concat([tf.shape(now)[:-1], [y.shape[-1]]], 0)),)
                made = (tf.ensure_shape(made[0], (*now.shape[:-1], y.shape[-1])),)
            else:
                given = iter(found)
                inputs = {
                    edge: next(given) if edge in self.made else outside(job, edge, index)
                    for edge in job.node.inputs
                }
                made = job.node.run(inputs)
            values.update(zip(job.node.outputs, made, strict=True))
        squeeze = list(range(1, 1 + self.places))
        pending = [
            tf.stack([tf.squeeze(fit(edge, pad), squeeze) for edge, pad in ring.entries])
            for ring in self.rings
        ]
        return values, LineState(state.rings, pending, carries), kept

    def _frozen(self, after: Any, before: Any, index: Tensor, job: Job) -> Any:
        """The carry, which does not move before the first index."""
        if self.start + self.lead[job.node.outputs[0]] >= 0:
            return after
        return tf.nest.map_structure(lambda new, old: tf.where(index >= 0, new, old), after, before)

    def _combine(
        self,
        job: Job,
        declared: Taps,
        found: list[Tensor],
        index: Tensor,
        weights: dict[Job, Tensor],
        outside: Callable[[Job, Edge | None, Tensor], Tensor | None],
        position: Callable[[Tensor], tuple[Tensor, ...]],
    ) -> tuple[Tensor, ...]:
        if declared.matrices is not None and declared.finish is not None:
            total = weighted_sum(found, weights[job]) if job.taps else None
            rest = outside(job, None, index)
            if rest is not None:
                total = rest if total is None else total + rest
            return (declared.finish(total),)
        if len(found) < len(declared.offsets):
            every = outside(job, None, index)
            numbers = {number: value for (number, _), value in zip(job.taps, found, strict=True)}
            found = [
                numbers[i] if i in numbers else every[i]  # type: ignore[index]
                for i in range(len(declared.offsets))
            ]
        if declared.combine is None:
            raise ValueError(f"layer '{job.node.name}' has no step form")
        return (declared.combine(found, position(index)),)

    def _mask(self, value: Tensor, edge: Edge, pad: float, t: Tensor, length: Tensor) -> Tensor:
        """The padding instead of the value where the index lies outside of the tensor."""
        return masked(value, pad, t, self.start, self.lead[edge], length, self.growth[edge])

    def _read_old(self, t: Tensor, held: list[Any], rings: Rings) -> dict[_Read, Tensor]:
        found: dict[_Read, Tensor] = {}
        for ring, tensor in zip(self.rings, held, strict=True):
            for read in ring.reads:
                index = tf.math.floormod(t - read.lag, ring.depth)
                value = rings.read(tensor, index, ring.entries.index((read.edge, read.pad)))
                found[read] = value[:, None] if self.places == 1 else value[:, None, None]
        return found


def tap_matrix(declared: Taps, numbers: Sequence[int]) -> Tensor:
    """The weight matrices of some taps on top of each other."""
    matrices = declared.matrices() if declared.matrices is not None else ()
    return tf.concat([matrices[number] for number in numbers], 0)


def sequence_jobs(nodes: list[Node], declarations: dict[Node, Declaration | None]) -> list[Job]:
    """The nodes of a sequence network as jobs of one line."""
    jobs = []
    for node in nodes:
        declared = declarations[node]
        if declared is None:
            raise ValueError(f"layer '{node.name}' declares nothing")
        taps = (
            tuple((i, offset[0]) for i, offset in enumerate(declared.offsets))
            if isinstance(declared, Taps)
            else ()
        )
        jobs.append(Job(node, declared, taps))
    return jobs
