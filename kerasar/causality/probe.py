"""Causality by experiment: change the input from one event on, look which outputs change before it.

A probe is not a proof, but it needs to know nothing of the layers. Weights are drawn at random
meanwhile, for a zero would hide a leak; the network itself is neither copied nor changed. What is
found at a glance, in batches, is confirmed example by example: there equal inputs give equal bits.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.causality.condition_limits import ConditionLimits, condition_limits, open_length
from kerasar.causality.explain import BEFORE, FUTURE, PRESENT, explain_leak
from kerasar.causality.graph import Edge, Graph
from kerasar.causality.randomize import DrawnWeights
from kerasar.typing import Tensor

#: What an open size is taken to be: short and long sequences, small and larger images.
_OPEN_LENGTHS, _OPEN_SIZES = (24, 96), (5, 9)
#: Open sizes at which only a few changes are tried: what looks far ahead shows in most of them.
_FAR_LENGTH, _FAR_SIZE, _FAR_CHANGES = 1_000, 24, 16
#: How many base inputs are changed, and how many where integers or Booleans are conditions.
_BASES, _BASES_OF_KINDS = 4, 8
#: How many elements the changes of one base hold, about: of the data, and of the output.
_BUDGET, _OUTPUT_BUDGET = 1_500_000, 300_000_000
#: How many positions are changed while the network is in training mode, one example at a time.
_IN_TRAINING = 12
#: How many elements go through the network at once: of the data, and of the output or of a matrix
#: of all pairs of positions; and how many suspects are confirmed.
_AT_ONCE, _WIDE_AT_ONCE, _CONFIRMED = 65_536, 16_000_000, 16


@dataclasses.dataclass(frozen=True)
class Probe:
    """One base input and the changes of it.

    Attributes:
        base: values by edge, each `(1, …)`.
        events: number of events of an example.
        changed: for each change the first event that differs, and the data that hold it.
    """

    base: dict[Edge, np.ndarray]
    events: int
    changed: list[tuple[int, np.ndarray]]


def probe_causal(graph: Graph, num_levels: int | None = None) -> str:
    """Raises a ValueError that names the leaking layer if a change of the input shows one.

    Args:
        graph: of the network.
        num_levels: number of values of discrete data; the width of the output if None.

    Returns:
        What was tried, in words.
    """
    limits = condition_limits(graph)
    classes = limits.get(graph.x.name, ConditionLimits()).num_classes
    levels = num_levels or classes or max(2, graph.output.shape[-1] or 2)
    prober = _Prober(graph)
    fitting: dict[tuple[int, ...], bool] = {}
    for sizes, is_far in _sizes(graph, limits).items():
        fitting.setdefault(_fitting(prober, sizes, levels, limits), is_far)
    probes = [
        probe
        for sizes, is_far in fitting.items()
        for probe in _probes(graph, sizes, levels, limits, is_far)
    ]
    for probe in probes:
        prober.check(probe)
    events = {probe.events for probe in probes}
    changes = sum(len(probe.changed) for probe in probes)
    return (
        f"{changes} changes of {len(probes)} inputs of {' and '.join(map(str, sorted(events)))} "
        f"events, values below {levels}, with random weights, in inference and in training"
    )


# Inputs.


def _sizes(graph: Graph, limits: dict[str, ConditionLimits]) -> dict[tuple[int, ...], bool]:
    """The sizes of the data that are tried: the network's own, or several where they are open.

    With each, whether it is to show what looks far ahead only.
    """
    own = graph.x.shape[1 : 1 + graph.position_rank]
    if None not in own:
        return {tuple(map(int, own)): False}  # type: ignore[arg-type]
    if graph.position_rank == 1:
        lengths = [open_length(limits, length) for length in (*_OPEN_LENGTHS, _FAR_LENGTH)]
        return {(length,): length == lengths[-1] for length in lengths}
    return {
        tuple(size or least for size in own): least == _FAR_SIZE
        for least in (*_OPEN_SIZES, _FAR_SIZE)
    }


def _fitting(
    prober: "_Prober", sizes: tuple[int, ...], levels: int, limits: dict[str, ConditionLimits]
) -> tuple[int, ...]:
    """The sizes, halved until the network takes them: a table of positions has an end."""
    graph = prober.graph
    own = graph.x.shape[1 : 1 + graph.position_rank]
    while True:
        base = _base(graph, sizes, 0, levels, limits, np.random.default_rng(0))
        try:
            prober.run(base, False)
            return sizes
        except (tf.errors.InvalidArgumentError, ValueError):
            half = tuple(
                size if size == fixed else open_length(limits, size // 2)
                for size, fixed in zip(sizes, own, strict=True)
            )
            if half == sizes or 0 in half:
                raise
            sizes = half


def _probes(
    graph: Graph,
    sizes: tuple[int, ...],
    levels: int,
    limits: dict[str, ConditionLimits],
    is_far: bool,
) -> Iterator[Probe]:
    rng = np.random.default_rng(0)
    # Values are drawn one after the other where the output has parameters for each of them.
    by_value = len(graph.output.shape) == len(graph.x.shape) + 1
    of_kinds = not all(keras.backend.is_float_dtype(edge.dtype) for edge in graph.conditions)
    count = 1 if is_far else _BASES_OF_KINDS if of_kinds else _BASES
    for number in range(count):
        base = _base(graph, sizes, number, levels, limits, rng)
        values = base[graph.x][0]
        events = values.size if by_value else int(np.prod(sizes))
        if is_far:
            changes = _far_changes(values, events, levels, rng)
        else:
            most = _OUTPUT_BUDGET // (events * (graph.output.shape[-1] or 1))
            changes = _changes(values, events, levels, most, rng)
        yield Probe(base, events, list(changes))


def _base(
    graph: Graph,
    sizes: tuple[int, ...],
    number: int,
    levels: int,
    limits: dict[str, ConditionLimits],
    rng: Any,
) -> dict[Edge, np.ndarray]:
    """The data and the conditions, each `(1, …)`."""
    tail = tuple(int(size or 1) for size in graph.x.shape[1 + graph.position_rank :])
    base = {edge: _condition(edge, number, sizes, limits, rng) for edge in graph.conditions}
    base[graph.x] = _data(graph.x, (*sizes, *tail), number, levels, rng)[None]
    return base


def _data(x: Edge, shape: tuple[int, ...], number: int, levels: int, rng: Any) -> np.ndarray:
    """A base: random values, and inputs of a single value, rare or not."""
    if keras.backend.is_float_dtype(x.dtype):
        whole = rng.integers(levels, size=shape) if number % 2 else rng.normal(size=shape)
        return whole.astype(x.dtype)
    if number == 1:
        return np.full(shape, 0).astype(x.dtype)
    if number == 2:
        return np.full(shape, min(1, levels - 1)).astype(x.dtype)
    return rng.integers(levels, size=shape).astype(x.dtype)


def _far_changes(
    values: np.ndarray, events: int, levels: int, rng: Any
) -> Iterator[tuple[int, np.ndarray]]:
    """Everything from an event on changed, for a few events."""
    flat = values.reshape(events, -1)
    for start in np.unique(np.linspace(1, events - 1, _FAR_CHANGES).astype(int)).tolist():
        moved = flat.copy()
        moved[start:] = _other(moved[start:], levels, rng)
        yield start, moved.reshape(values.shape)


def _changes(
    values: np.ndarray, events: int, levels: int, most: int, rng: Any
) -> Iterator[tuple[int, np.ndarray]]:
    """One event changed, at every position; everything from an event on; every value somewhere.

    About `most` of each.
    """
    flat = values.reshape(events, -1)
    most = max(8, min(most, _BUDGET // flat.size // 3))
    starts = np.arange(events)
    if events > most:
        starts = np.union1d(rng.permutation(events)[: most - 2], [0, events - 1])
    for start in starts.tolist():
        for one_event in (True, False):
            moved = flat.copy()
            part = moved[start : start + 1] if one_event else moved[start:]
            part[...] = _other(part, levels, rng)
            yield start, moved.reshape(values.shape)
    if values.dtype.kind == "f":
        return
    # The first and the last value often mean something, such as padding or an end.
    several = [0, 0, 1, levels - 1, levels - 1]
    for value in [*several, *rng.permutation(levels)[:most].tolist()]:
        start = int(rng.integers(events))
        moved = flat.copy()
        moved[start] = value
        if (moved[start] != flat[start]).any():
            yield start, moved.reshape(values.shape)


def _other(part: np.ndarray, levels: int, rng: Any) -> np.ndarray:
    """Other values than these, everywhere."""
    if part.dtype.kind == "f":
        return part + 1 + np.abs(rng.normal(size=part.shape))
    return (part + rng.integers(1, max(levels, 2), size=part.shape)) % levels


def _condition(
    edge: Edge, number: int, sizes: tuple[int, ...], limits: dict[str, ConditionLimits], rng: Any
) -> np.ndarray:
    """A value of a condition: Booleans all False, all True, mixed; integers small or any."""
    limit = limits.get(edge.name, ConditionLimits())
    hop = limit.hop or 1
    shape = tuple(
        size or (sizes[axis] if axis < len(sizes) else sizes[-1]) // hop
        for axis, size in enumerate(edge.shape[1:])
    )
    if edge.dtype == "bool":
        found = np.full(shape, bool(number % 2)) if number < 2 else rng.random(shape) < 0.5
    elif keras.backend.is_float_dtype(edge.dtype):
        found = rng.normal(size=shape)
    else:
        count = limit.num_classes or int(np.prod(sizes)) + 1
        found = rng.integers(count, size=shape)
        if number < _BASES_OF_KINDS // 2:
            found = np.full(shape, number % count)  # such as a mode
    return np.asarray(found)[None].astype(edge.dtype)


# Running.


class _Prober:
    """Runs a network with drawn weights, each time from the same state."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.weights = DrawnWeights(node.operation for node in graph.nodes)

    def run(self, values: dict[Edge, np.ndarray], training: bool) -> dict[Edge, Tensor]:
        """All tensors of the network."""
        tensors = {edge: tf.convert_to_tensor(value) for edge, value in values.items()}
        tensors |= self.graph.constant_values()
        for _ in self.graph.run(tensors, training):
            pass
        return tensors

    def check(self, probe: Probe) -> None:
        """Raises a ValueError if an output differs between calls, or changes before its cause."""
        with self.weights.scope():
            first, second = (self.run(probe.base, False)[self.graph.output] for _ in range(2))
        if not np.array_equal(_float(first), _float(second), equal_nan=True):
            raise ValueError(
                f"Network '{self.graph.name}' gives another output when it is called again with "
                "the same data: a layer keeps a state between calls, or draws noise in inference "
                "too. A likelihood needs a function of the data."
            )
        self._confirm(probe, self._suspects(probe), training=False)
        step = max(1, len(probe.changed) // _IN_TRAINING)
        self._confirm(probe, probe.changed[::step], training=True)

    def _suspects(self, probe: Probe) -> list[tuple[int, np.ndarray]]:
        """The changes that seem to show in an output before their cause."""
        size, width = probe.base[self.graph.x].size, self.graph.output.shape[-1] or 1
        wide = max(probe.events * width, size**2)
        rows = max(1, min(_AT_ONCE // size, _WIDE_AT_ONCE // wide))
        found = []
        for first in range(0, len(probe.changed), rows):
            part = probe.changed[first : first + rows]
            batch = np.stack([probe.base[self.graph.x][0], *(data for _, data in part)])
            values = {edge: np.repeat(v, len(batch), 0) for edge, v in probe.base.items()}
            with self.weights.scope():
                output = self.run({**values, self.graph.x: batch}, False)[self.graph.output]
            flat = tf.reshape(output, (len(batch), probe.events, -1))
            other = tf.reduce_any(flat[1:] != flat[:1], axis=-1).numpy()
            for row, change in enumerate(part):
                stop = change[0] + 1
                if not other[row, :stop].any():
                    continue
                if _differ(_float(flat[0, :stop]), _float(flat[row + 1, :stop])).any():
                    found.append(change)
        return found[:: len(found) // _CONFIRMED + 1]

    def _confirm(self, probe: Probe, changes: list[tuple[int, np.ndarray]], training: bool) -> None:
        if not changes:
            return
        with self.weights.scope():
            before = self.run(probe.base, training)
        latest: dict[Edge, int] = {}
        for start, data in changes:
            with self.weights.scope():
                after = self.run({**probe.base, self.graph.x: data[None]}, training)
            for edge, when in self._latest(before, after, start, probe.events).items():
                latest[edge] = max(when, latest.get(edge, when))
        if latest.get(self.graph.output, BEFORE) != BEFORE:
            message = explain_leak(self.graph.name, self.graph.nodes, latest)
            raise ValueError(f"{message} (It does so in training.)" if training else message)

    def _latest(
        self, before: dict[Edge, Tensor], after: dict[Edge, Tensor], start: int, events: int
    ) -> dict[Edge, int]:
        """For each tensor whether a change shows before, at or after its cause."""
        rank = self.graph.position_rank
        sizes = before[self.graph.x].shape[1 : 1 + rank]
        positions = int(np.prod(sizes))
        found = {self.graph.x: PRESENT}
        for edge, value in before.items():
            if edge in after and value.shape[1 : 1 + rank] == sizes:
                cause = start * positions // events
                found |= _when(edge, value, after[edge], positions, cause)
        output = self.graph.output
        found.pop(output, None)
        return found | _when(output, before[output], after[output], events, start)


def _when(edge: Edge, before: Tensor, after: Tensor, events: int, cause: int) -> dict[Edge, int]:
    one, other = (_float(value).reshape(events, -1) for value in (before, after))
    changed = np.flatnonzero(_differ(one, other))
    if not len(changed):
        return {}
    lag = int(changed[0]) - cause
    return {edge: BEFORE if lag > 0 else PRESENT if lag == 0 else FUTURE}


def _differ(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Which events differ by more than rounding; infinities and NaN are equal to themselves."""
    with np.errstate(invalid="ignore"):
        close = np.abs(one - other) <= 1e-6 * (np.abs(one) + np.abs(other))
    same = close | (one == other) | (np.isnan(one) & np.isnan(other))
    return ~same.all(axis=-1)


def _float(value: Tensor) -> np.ndarray:
    return np.asarray(tf.cast(value, tf.float64))
