"""One use of an operation on tensors whose positions lie on any axes, as its rule sees it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from kerasar.causality.graph import Edge, Node
from kerasar.causality.offsets import Offsets
from kerasar.causality.pairs.placed import Placed, pair_offsets
from kerasar.causality.pairs.untainted import KnownValues
from kerasar.causality.pairs.values import as_values, operands
from kerasar.layers.protocol import Aligned


class PairUse(NamedTuple):
    """One use of an operation.

    Attributes:
        node: of the graph.
        placed: what its inputs that depend on the data see.
        known: what is known of the others.
        sizes: of the data along its position axes.
    """

    node: Node
    placed: Mapping[Edge, Placed]
    known: KnownValues
    sizes: tuple[int, ...]

    @property
    def rank(self) -> int:
        """The rank of the (first) output."""
        return len(self.node.outputs[0].shape)

    def values(self, part: Any) -> np.ndarray:
        """What is known of an argument of the call, as an array that broadcasts against it."""
        slots = dict(self.node.slots)
        if id(part) not in slots:
            return as_values(part)
        return self.edge_values(slots[id(part)])

    def edge_values(self, edge: Edge) -> np.ndarray:
        """What is known of an input, as an array that broadcasts against it."""
        if edge in self.placed:
            return self.placed[edge].values
        return self.known.of(edge)

    def operand_edges(self) -> list[Edge] | None:
        """The inputs in the order of the call's arguments; None if others are among these."""
        slots = dict(self.node.slots)
        parts = [part for part in operands(self.node) if not isinstance(part, (int, float))]
        found = [slots.get(id(part)) for part in parts]
        return None if None in found else found  # type: ignore[return-value]

    def in_input_order(self, by_operand: list[Any]) -> tuple[Any, ...]:
        """What belongs to each operand, in the order of the node's inputs."""
        left = list(zip(self.operand_edges() or (), by_operand, strict=True))
        ordered = []
        for edge in self.node.inputs:
            found = next(pair for pair in left if pair[0] is edge)
            left.remove(found)
            ordered.append(found[1])
        return tuple(ordered)

    def aligned_axes(self) -> tuple[dict[int, int | str], ...]:
        """Which axis of the output each axis of the inputs is, where these are broadcast."""
        shifts = [self.rank - len(edge.shape) for edge in self.node.inputs]
        return tuple(
            {axis: axis + shift for axis in range(len(edge.shape))}
            for edge, shift in zip(self.node.inputs, shifts, strict=True)
        )

    def none(self) -> Offsets:
        """No offsets: of an axis that is a mere index."""
        return Offsets.of(len(self.sizes), [])

    def offsets(self, seen: np.ndarray) -> Offsets:
        """The offsets from the position of each row to those of its columns that are seen."""
        return pair_offsets(seen, self.sizes)


class Ruled(NamedTuple):
    """What a rule found: how the axes go through the operation, and what its outputs see."""

    declared: Aligned
    outputs: tuple[Placed, ...]


def unite(axes: dict[Any, Offsets], place: Any, offsets: Offsets) -> None:
    """Adds offsets to those that are seen through an axis."""
    axes[place] = axes[place] | offsets if place in axes else offsets


def last_lag(pairs: Offsets) -> int:
    """The largest offset along a sequence; in an image 0 if the present pixel is read, else -1."""
    if pairs.rank == 1:
        return pairs.latest()[0] if pairs else 0
    return 0 if pairs.has((0, 0)) else -1


#: A reason says why an operation mixes positions; None means that nothing is known of it.
PairRule = Callable[[PairUse], Ruled | str | None]
PAIR_RULES: dict[type, PairRule] = {}


def pair_rule(*kinds: Any) -> Callable[[PairRule], PairRule]:
    """Registers the rule of some kinds of operations."""

    def register(rule: PairRule) -> PairRule:
        PAIR_RULES.update(dict.fromkeys(kinds, rule))
        return rule

    return register
