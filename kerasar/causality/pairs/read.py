"""Reads the operations that the rules for positions on the first axes do not cover."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kerasar.causality.dependence import Dependence
from kerasar.causality.graph import Edge, Graph, Node
from kerasar.causality.pairs.moves import MOVES
from kerasar.causality.pairs.placed import Placed
from kerasar.causality.pairs.untainted import KnownValues
from kerasar.causality.pairs.use import PAIR_RULES, PairUse, Ruled
from kerasar.causality.pairs.values import UNKNOWN, flat
from kerasar.causality.rules.pointwise import is_array
from kerasar.keras_internals import replaces_methods
from kerasar.memory import available_memory, in_gib

#: The most that is held for a pair of positions while an operation is read.
_BYTES_OF_A_PAIR = 84


class PairReader:
    """Finds what operations see whose tensors have positions on other axes, or on two.

    Args:
        graph: of the network.
        sizes: of the data along its position axes; None where open.
    """

    def __init__(self, graph: Graph, sizes: tuple[int | None, ...]) -> None:
        self.graph, self.sizes = graph, sizes
        self.known = KnownValues(graph)
        #: The tensors whose positions are not on the first axes.
        self.placed: dict[Edge, Placed] = {}
        self._standard: dict[Edge, Placed] = {}

    def covers(self, node: Node) -> bool:
        """Whether there is a rule for the operation."""
        return type(node.operation) in PAIR_RULES and not replaces_methods(node.operation)

    def read(self, node: Node, dependences: Mapping[Edge, Dependence]) -> Ruled | str | None:
        """What an operation does, as its rule sees it.

        Args:
            node: a use of the operation, with its constants lifted.
            dependences: of the tensors whose positions are on the first axes.
        """
        if not self.covers(node):
            return None
        if any(size is None or size < 2 for size in self.sizes[:1]) or None in self.sizes:
            return None
        self._check_memory(node)
        placed = {}
        for edge in node.inputs:
            if edge in self.placed:
                placed[edge] = self.placed[edge]
            elif edge in dependences:
                if edge.shape[1 : 1 + len(self.sizes)] != self.sizes:
                    return f"it joins positions of another length ({edge.shape})"
                placed[edge] = self._standard.get(edge) or Placed(
                    {1: dependences[edge].offsets},
                    flat(UNKNOWN, len(edge.shape)),
                    grid=len(self.sizes) == 2,
                )
        sizes: tuple[int, ...] = tuple(int(size or 1) for size in self.sizes)
        return PAIR_RULES[type(node.operation)](PairUse(node, placed, self.known, sizes))

    def _check_memory(self, node: Node) -> None:
        """Raises a ValueError if an operation on all pairs of positions is too large to be read."""
        count = math.prod(size or 1 for size in self.sizes)
        if not any(edge.shape.count(count) > 1 for edge in node.outputs):
            return
        needed, available = _BYTES_OF_A_PAIR * count**2, available_memory()
        if needed > available:
            raise ValueError(
                f"Layer '{node.name}' computes a value for each pair of {count:,} positions: to "
                f"find out what it sees takes {in_gib(needed)}, and {in_gib(available)} of memory "
                "are available. Take fewer positions, or let each attend to a few others only, "
                "along rows and columns or in windows."
            )

    def record(self, node: Node, ruled: Ruled) -> dict[Edge, Dependence]:
        """Keeps what the outputs see; returns those whose positions are on the first axes."""
        bounds = tuple((1 - size, size - 1) for size in self.sizes if size)
        standard = {}
        for edge, placed in zip(node.outputs, ruled.outputs, strict=True):
            axes = {axis: offsets.clipped(bounds) for axis, offsets in placed.axes.items()}
            placed = dataclasses.replace(placed, axes=axes)
            if _is_standard(placed, len(self.sizes)):
                standard[edge] = Dependence(axes[1])
                self._standard[edge] = placed
            else:
                self.placed[edge] = placed
        return standard

    def lift(self, node: Node) -> tuple[Node, dict[Edge, Any]]:
        """The node with the constants of its call as edges, which are cut step by step."""
        if type(node.operation) in MOVES:
            return node, {}
        lifted = {key for key, _ in node.slots}
        slots, constants = list(node.slots), {}
        for part in filter(is_array, keras.tree.flatten(node.constants)):
            if id(part) not in lifted and np.prod(part.shape) > 1:
                dtype = keras.backend.standardize_dtype(part.dtype)
                edge = Edge(tuple(part.shape), dtype, f"{node.name}_constant")
                constants[edge] = part
                slots.append((id(part), edge))
        self.known.add(constants)
        inputs = (*node.inputs, *constants)
        return dataclasses.replace(node, inputs=inputs, slots=tuple(slots)), constants


def _is_standard(placed: Placed, position_rank: int) -> bool:
    return set(placed.axes) == {1} and placed.fold == 1 and placed.grid == (position_rank == 2)
