"""What a probe feeds to a network: base inputs, and changes of them.

Bases hold values of every kind that the data and the conditions may have: rare and frequent tokens,
real values near zero and far from it, modes and flags in every combination that fits a budget.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kerasar.causality.condition_limits import ConditionLimits, condition_limits, open_length
from kerasar.causality.graph import Edge, Graph

#: What an open size is taken to be: short and long sequences, small and larger images.
_OPEN_LENGTHS, _OPEN_SIZES = (24, 96), (5, 9)
#: Open sizes at which only a few changes are tried: what looks far ahead shows in most of them.
_FAR_LENGTH, _FAR_SIZE, _FAR_CHANGES = 1_000, 24, 16
#: How many base inputs are changed, and how many where integers or Booleans are conditions.
_BASES, _BASES_OF_KINDS = 4, 8
#: How many elements the changes of one base hold, about: of the data, and of the output.
_BUDGET, _OUTPUT_BUDGET = 1_500_000, 300_000_000
#: How many values of an integer, and how many combinations of conditions, are tried (fewest and
#: most); how many changes with each; and how many elements these hold, about.
_KINDS, _COMBINATIONS, _COMBINATION_CHANGES, _COMBINATION_BUDGET = 16, (16, 256), 6, 500_000
#: How far real values are moved; about how large they get; the size of conditions and some bases.
_STEPS, LARGEST, _LARGE = (1.0, 1.0, 30.0, 1_000.0), 4_000.0, 10.0


@dataclasses.dataclass(frozen=True)
class Probe:
    """One base input and the changes of it.

    Attributes:
        base: values by edge, each `(1, …)`.
        events: number of events of an example.
        changed: for each change the first event that differs, and the data that hold it.
        draw: which random weights the network has.
    """

    base: dict[Edge, np.ndarray]
    events: int
    changed: list[tuple[int, np.ndarray]]
    draw: int


class ProbeInputs:
    """Makes probes for a network.

    Args:
        graph: of the network.
        num_levels: number of values of discrete data; if None, that of the table in which they are
            looked up, or else the width of the output.
    """

    def __init__(self, graph: Graph, num_levels: int | None = None) -> None:
        self.graph = graph
        self.limits = condition_limits(graph)
        classes = self.limits.get(graph.x.name, ConditionLimits()).num_classes
        self.levels = num_levels or classes or max(2, graph.output.shape[-1] or 2)
        #: Whether the data may be any real values, not just those of the levels.
        self.real = keras.backend.is_float_dtype(graph.x.dtype)
        self.rng = np.random.default_rng(0)

    def sizes(self) -> dict[tuple[int, ...], bool]:
        """The sizes of the data that are tried: the network's own, or several where they are open.

        With each, whether it is to show what looks far ahead only.
        """
        own = self.graph.x.shape[1 : 1 + self.graph.position_rank]
        if None not in own:
            return {tuple(map(int, own)): False}  # type: ignore[arg-type]
        if self.graph.position_rank == 1:
            lengths = [open_length(self.limits, length) for length in (*_OPEN_LENGTHS, _FAR_LENGTH)]
            return {(length,): length == lengths[-1] for length in lengths}
        return {
            tuple(size or least for size in own): least == _FAR_SIZE
            for least in (*_OPEN_SIZES, _FAR_SIZE)
        }

    def halved(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """The same sizes, or half of them where they are open."""
        own = self.graph.x.shape[1 : 1 + self.graph.position_rank]
        return tuple(
            size if size == fixed else open_length(self.limits, size // 2)
            for size, fixed in zip(sizes, own, strict=True)
        )

    def base(self, sizes: tuple[int, ...], number: int) -> dict[Edge, np.ndarray]:
        """The data and the conditions, each `(1, …)`; another one for each number."""
        graph = self.graph
        tail = tuple(int(size or 1) for size in graph.x.shape[1 + graph.position_rank :])
        base = {edge: self._condition(edge, number, sizes) for edge in graph.conditions}
        return {**base, graph.x: self._data((*sizes, *tail), number)[None]}

    def probes(self, sizes: tuple[int, ...], is_far: bool) -> Iterator[Probe]:
        """The probes at these sizes."""
        floats = [keras.backend.is_float_dtype(edge.dtype) for edge in self.graph.conditions]
        count = 1 if is_far else _BASES if all(floats) else _BASES_OF_KINDS
        for number in range(count):
            base = self.base(sizes, number)
            values = base[self.graph.x][0]
            events = self._events(sizes, values)
            width = self.graph.output.shape[-1] or 1
            most = _OUTPUT_BUDGET // (events * width)
            changes = (
                self._everything_from(values, events, _FAR_CHANGES)
                if is_far
                else self._changes(values, events, most)
            )
            yield Probe(base, events, list(changes), number)

    def combinations(self, sizes: tuple[int, ...]) -> Iterator[Probe]:
        """Probes of a few changes each, with modes, flags and other conditions combined."""
        if not self.graph.conditions:
            return
        choices = [self._constants(edge, sizes) for edge in self.graph.conditions]
        size = int(np.prod(sizes)) * (_COMBINATION_CHANGES + 1)
        least, most = _COMBINATIONS
        most = max(least, min(most, _COMBINATION_BUDGET // size))
        if math.prod(map(len, choices)) <= most:
            picked = [*itertools.product(*choices)]
        else:
            picked = [tuple(self.rng.choice(part) for part in choices) for _ in range(most)]
        for number, constants in enumerate(picked):
            base = self.base(sizes, number % _BASES)
            for edge, constant in zip(self.graph.conditions, constants, strict=True):
                base[edge] = np.full_like(base[edge], constant)
            values = base[self.graph.x][0]
            events = self._events(sizes, values)
            changes = self._everything_from(values, events, _COMBINATION_CHANGES)
            yield Probe(base, events, list(changes), number * _BASES // len(picked))

    def _events(self, sizes: tuple[int, ...], values: np.ndarray) -> int:
        # Values are drawn one after the other where the output has parameters for each of them.
        by_value = len(self.graph.output.shape) == len(self.graph.x.shape) + 1
        return values.size if by_value else int(np.prod(sizes))

    # The data.

    def _data(self, shape: tuple[int, ...], number: int) -> np.ndarray:
        """A base: random values, and inputs of a single value, rare or not."""
        dtype, kind = self.graph.x.dtype, number % _BASES
        if self.real and kind in (0, 2):
            size = _LARGE if kind else 1.0
            return (size * self.rng.normal(size=shape)).astype(dtype)
        if not self.real and kind in (1, 2):
            return np.full(shape, min(kind - 1, self.levels - 1)).astype(dtype)
        return self.rng.integers(self.levels, size=shape).astype(dtype)

    def _everything_from(
        self, values: np.ndarray, events: int, most: int
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Everything from an event on changed, for a few events."""
        flat = values.reshape(events, -1)
        last = events - 1
        for start in np.unique(np.linspace(min(1, last), last, most).astype(int)).tolist():
            moved = flat.copy()
            moved[start:] = self._other(moved[start:])
            yield start, moved.reshape(values.shape)

    def _changes(
        self, values: np.ndarray, events: int, most: int
    ) -> Iterator[tuple[int, np.ndarray]]:
        """One event changed, at every position; everything from one on; every value somewhere.

        About `most` of each.
        """
        flat = values.reshape(events, -1)
        most = max(8, min(most, _BUDGET // flat.size // 3))
        starts = np.arange(events)
        if events > most:
            starts = np.union1d(self.rng.permutation(events)[: most - 2], [0, events - 1])
        for start in starts.tolist():
            for one_event in (True, False):
                moved = flat.copy()
                part = moved[start : start + 1] if one_event else moved[start:]
                part[...] = self._other(part)
                yield start, moved.reshape(values.shape)
        if self.real:
            return
        # The first and the last value often mean something, such as padding or an end.
        several = [0, 0, 1, self.levels - 1, self.levels - 1]
        for value in [*several, *self.rng.permutation(self.levels)[:most].tolist()]:
            start = int(self.rng.integers(events))
            moved = flat.copy()
            moved[start] = value
            if (moved[start] != flat[start]).any():
                yield start, moved.reshape(values.shape)

    def _other(self, part: np.ndarray) -> np.ndarray:
        """Other values than these, everywhere."""
        if self.real:
            step = self.rng.choice(_STEPS) * self.rng.choice((1.0, -1.0))
            return part + step * (1 + np.abs(self.rng.normal(size=part.shape)))
        other = self.rng.integers(1, max(self.levels, 2), size=part.shape)
        return (part.astype(int) + other) % max(self.levels, 2)

    # The conditions.

    def _constants(self, edge: Edge, sizes: tuple[int, ...]) -> list[Any]:
        """Values that a condition may have everywhere."""
        if edge.dtype == "bool":
            return [False, True]
        if keras.backend.is_float_dtype(edge.dtype):
            return [0.0, 1.0, -1.0, _LARGE, -_LARGE, 10 * _LARGE]
        return list(range(min(self._num_classes(edge, sizes), _KINDS)))

    def _num_classes(self, edge: Edge, sizes: tuple[int, ...]) -> int:
        """How many values an integer has: that of its table, or one for each length and a few."""
        limit = self.limits.get(edge.name, ConditionLimits()).num_classes
        return limit or max(int(np.prod(sizes)) + 1, _KINDS)

    def _condition(self, edge: Edge, number: int, sizes: tuple[int, ...]) -> np.ndarray:
        """A value of a condition: Booleans all False, all True, mixed; integers small or any."""
        hop = self.limits.get(edge.name, ConditionLimits()).hop or 1
        shape = tuple(
            size or (sizes[axis] if axis < len(sizes) else sizes[-1]) // hop
            for axis, size in enumerate(edge.shape[1:])
        )
        if edge.dtype == "bool":
            mixed = self.rng.random(shape) < 0.5
            found: Any = np.full(shape, bool(number % 2)) if number < 2 else mixed
        elif keras.backend.is_float_dtype(edge.dtype):
            found = (_LARGE if number % 4 == 3 else 1.0) * self.rng.normal(size=shape)
        else:
            count = self._num_classes(edge, sizes)
            found = self.rng.integers(count, size=shape)
            if number < _BASES_OF_KINDS // 2:
                found = np.full(shape, number % count)  # such as a mode
        return np.asarray(found)[None].astype(edge.dtype)
