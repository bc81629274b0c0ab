"""A graph along one axis, planned: when each tensor is computed, and what is kept for later.

A program runs a graph one index at a time. Each tensor has a fixed *lead* over the loop's index: at
step t it is computed at index t + lead. Leads are found from the output backwards, as late as the
readers allow, so paddings in front, crops and shifts cost nothing. What is read again later waits
in ring buffers:

    step t of a network whose first convolution has a dilation of 2

          index    t-4   t-3   t-2   t-1    t
                    .     .     |     |     |
    x, lead -1      .     .     .     x     .      the value just drawn
                                |     |
    conv1, lead 0   o-----------+-----+---> o      reads x at t-1 and, from its ring, at t-3
                    ^ring       ^ring
    out, lead 0                             o      computed last, predicts the value at t

A ring has one slot for each step and `depth` slots in all; slot t holds the tensors of one shape
as of step t:

    slot  (t-3) % 3   (t-2) % 3   (t-1) % 3
          [oldest] -> [       ] -> [newest]  <- written first thing in step t, then read

A step begins by writing the slot of the step before and then reads what it needs. Every read
follows the write, so compilers update the rings in place (written at the end of a step, a ring of
30 MB was copied whole). Rings are passed from step to step; layers keep no state, so a served model
can be called concurrently.
"""

import dataclasses
from collections.abc import Container, Iterator, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from kerasar.causality.graph import Edge, Node
from kerasar.layers.protocol import Declaration, Pointwise, Recurrence, RowRecurrence, Taps
from kerasar.stepwise.caches import CachePlan
from kerasar.typing import Tensor


class NotSteppable(ValueError):
    """The network is causal, but the engine cannot run it step by step."""


class Part(NamedTuple):
    """How one input of an operation is read in a step.

    Attributes:
        edge: the input.
        kept: the axis of its positions, if it is read whole from its cache; else None.
        cut: the axis of which the step's own slice is taken, where no data are on it.
        whole: the axes that hold the positions of keys.
    """

    edge: Edge
    kept: int | None = None
    cut: int | None = None
    whole: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """One node of a program: how it reads along the program's axis.

    Attributes:
        node: the operation.
        declared: what it sees.
        taps: (index of the tap, offset along the axis) of the taps that read this axis.
        parts: how an operation of attention reads its inputs.
        ahead: how far beyond its own position it reads what is kept whole.
    """

    node: Node
    declared: Declaration
    taps: tuple[tuple[int, int], ...] = ()
    parts: tuple[Part, ...] = ()
    ahead: int = 0

    @property
    def moves(self) -> bool:
        """Whether it reads other positions than its own, and so meets the ends of the axis."""
        declared = self.declared
        return isinstance(declared, Taps) or (
            isinstance(declared, Recurrence) and declared.offset != 0
        )

    def takes_whole(self, edge: Edge) -> bool:
        """Whether an input has no positions."""
        return takes_whole(self.node, self.declared, edge)

    def tap_matrix(self) -> Tensor:
        """The weight matrices of the taps that read this axis, on top of each other."""
        return tap_matrix(self.declared, [tap for tap, _ in self.taps])


@dataclasses.dataclass(frozen=True)
class Read:
    """A value of `edge` from `lag` steps ago, `pad` where there is none."""

    edge: Edge
    pad: float
    lag: int


@dataclasses.dataclass
class RingPlan:
    """Values of the same shape and type; entry e of slot t holds a tensor as of step t."""

    entries: list[tuple[Edge, float]]
    depth: int
    reads: list[Read]


class AxisProgram:
    """A graph (or the part of it that is computed index by index), planned for one axis.

    Args:
        steps: the nodes on the axis, from input to output.
        source: the tensor of the data.
        outputs: tensors that must be computed, at index t, when step t ends.
        length_changes: by how much each tensor is longer than the axis.
        position_rank: number of position axes of the tensors, which have size 1 here.
        source_lead: -1 if a step begins with the data one index before it, 0 if at it.
        made: the tensors on the axis, if not all that the steps make and the source.
        caches: how tensors are kept for all positions.
        step_axis: the axis of size 1 in a step, of tensors whose positions are on other axes.
        folds: how many rows of the first axis belong to one example, where it is not one.
        placed: the tensors whose positions are not on the first axes.
    """

    def __init__(
        self,
        steps: list[Step],
        source: Edge,
        outputs: list[Edge],
        length_changes: dict[Edge, int],
        position_rank: int,
        source_lead: int = -1,
        made: set[Edge] | None = None,
        caches: Mapping[Edge, CachePlan] | None = None,
        step_axis: Mapping[Edge, int] | None = None,
        folds: Mapping[Edge, int] | None = None,
        placed: Container[Edge] = (),
    ) -> None:
        self.step_axis, self.folds, self.placed = step_axis or {}, folds or {}, placed
        self.source, self.outputs, self.position_rank = source, outputs, position_rank
        self.length_changes = length_changes
        self.made = made or {edge for step in steps for edge in step.node.outputs} | {source}
        self.lead = self._leads(steps, source_lead)
        #: The nodes that the outputs need.
        self.steps = [step for step in steps if step.node.outputs[0] in self.lead]
        #: The recurrences among them, in the order of their carries.
        self.recurrences = [
            step for step in self.steps if isinstance(step.declared, (Recurrence, RowRecurrence))
        ]
        #: How tensors are kept for all positions.
        self.caches = {e: plan for e, plan in (caches or {}).items() if e in self.lead}
        #: How many positions beyond the present one are written into caches, and read.
        self.reach = max([0, *(self.lead[edge] for edge in self.caches)])
        #: The first step: earlier indices are computed for readers that look ahead.
        self.start = -max([0, *self.lead.values()])
        self.rings = self._rings()

    def _leads(self, steps: list[Step], source_lead: int) -> dict[Edge, int]:
        lead: dict[Edge, int] = dict.fromkeys(self.outputs, 0)
        for step in reversed(steps):
            own = [lead[edge] for edge in step.node.outputs if edge in lead]
            if not own:
                continue
            for edge in step.node.outputs:
                lead[edge] = max(own)
            kept = [(part.edge, step.ahead) for part in step.parts if part.kept is not None]
            for edge, offset in kept + [(edge, offset) for edge, _, offset in self._reads(step)]:
                lead[edge] = max(lead.get(edge, -(10**9)), max(own) + offset)
        if lead.get(self.source, source_lead) > source_lead:
            # The proof knows that such positions lie behind the end of the data.
            raise NotSteppable("it looks ahead beyond the data, to where there is only padding")
        lead[self.source] = source_lead
        return lead

    def _reads(self, step: Step) -> list[tuple[Edge, float, int]]:
        """(tensor, padding, offset) of each tap on the axis, or of each input on the axis."""
        declared, inputs = step.declared, step.node.inputs
        if isinstance(declared, Taps):
            return [
                (inputs[declared.source(tap)], declared.pad, offset) for tap, offset in step.taps
            ]
        if step.parts:
            present = [part.edge for part in step.parts if part.kept is None]
            return [(edge, 0.0, 0) for edge in present if edge in self.made]
        offset = declared.offset if isinstance(declared, Recurrence) else 0
        return [(edge, 0.0, offset) for edge in inputs if edge in self.made]

    def reads(self, step: Step) -> Iterator[Read]:
        """What a step reads on the axis, with the number of steps since it was computed."""
        lead = self.lead[step.node.outputs[0]]
        for edge, pad, offset in self._reads(step):
            yield Read(edge, pad, self.lead[edge] - lead - offset)

    def _rings(self) -> list[RingPlan]:
        rings: dict[tuple[Any, ...], RingPlan] = {}
        for step in self.steps:
            for read in self.reads(step):
                if read.lag <= 0:
                    continue
                if read.edge in self.placed:
                    raise ValueError("positions on other axes are read in a later step")
                shape = (read.edge.shape[1 + self.position_rank :], read.edge.dtype)
                ring = rings.setdefault(shape, RingPlan([], 0, []))
                ring.depth = max(ring.depth, read.lag)
                if (read.edge, read.pad) not in ring.entries:
                    ring.entries.append((read.edge, read.pad))
                if read not in ring.reads:
                    ring.reads.append(read)
        return list(rings.values())


def takes_whole(node: Node, declared: Declaration | None, edge: Edge) -> bool:
    """Whether an input of a node has no positions and is handed over as it is."""
    if isinstance(declared, Pointwise) and declared.whole is not None:
        return node.inputs.index(edge) in declared.whole
    if isinstance(declared, Recurrence):
        return node.inputs.index(edge) in declared.given
    # A vector beside a sequence, as Keras' merges take it, holds for all of it.
    return len(edge.shape) < max(len(part.shape) for part in node.inputs)


def tap_matrix(declared: Declaration, taps: list[int]) -> Tensor:
    """The weight matrices of some taps on top of each other."""
    if not isinstance(declared, Taps) or declared.matrices is None:
        raise ValueError("only linear maps have weight matrices")
    matrices = declared.matrices()
    if len(taps) == 1:
        return matrices[taps[0]]
    return tf.concat([matrices[tap] for tap in taps], 0)
