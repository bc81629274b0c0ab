"""Causality by experiment: change the input from one event on, look which outputs change before it.

A probe is not a proof, but it needs to know nothing of the layers. Weights are drawn at random
meanwhile, for a zero would hide a leak; the network itself is neither copied nor changed. What is
found at a glance, in batches, is confirmed example by example: there equal inputs give equal bits.
"""

import numpy as np
import tensorflow as tf

from kerasar.causality.explain import BEFORE, FUTURE, PRESENT, explain_leak
from kerasar.causality.graph import Edge, Graph
from kerasar.causality.probe_inputs import LARGEST, Probe, ProbeInputs
from kerasar.causality.randomize import DrawnWeights
from kerasar.typing import Tensor

#: How many positions are changed while the network is in training mode, one example at a time.
_IN_TRAINING = 12
#: How many elements go through the network at once: of the data, and of the output or of a matrix
#: of all pairs of positions; and how many suspects are confirmed.
_AT_ONCE, _WIDE_AT_ONCE, _CONFIRMED = 65_536, 16_000_000, 16
#: What a network raises for values that it does not take, such as classes beyond its table.
_REFUSALS = (tf.errors.InvalidArgumentError, ValueError)


def probe_causal(graph: Graph, num_levels: int | None = None) -> str:
    """Raises a ValueError that names the leaking layer if a change of the input shows one.

    Args:
        graph: of the network.
        num_levels: number of values of discrete data; the width of the output if None.

    Returns:
        What was tried, in words.
    """
    inputs, prober = ProbeInputs(graph, num_levels), _Prober(graph)
    prober.fit_values(inputs)
    fitting: dict[tuple[int, ...], bool] = {}
    for sizes, is_far in inputs.sizes().items():
        fitting.setdefault(prober.fitting(inputs, sizes), is_far)
    combined = [*inputs.combinations(next(iter(fitting)))]
    prober.check_combined(combined)
    probes = [probe for sizes, far in fitting.items() for probe in inputs.probes(sizes, far)]
    probes = [probe for probe in probes if prober.check(probe)]
    events = {probe.events for probe in probes}
    changes = sum(len(probe.changed) for probe in [*probes, *combined])
    values = "real values" if inputs.real else f"values below {inputs.levels}"
    combinations = f" with {len(combined)} combinations of conditions" if combined else ""
    return (
        f"{changes} changes of {len(probes)} inputs of {' and '.join(map(str, sorted(events)))} "
        f"events{combinations}, {values}, with random weights, in inference and in training"
    )


class _Prober:
    """Runs a network with drawn weights, each time from the same state."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.drawn = -1
        self._draw(0)

    def _draw(self, draw: int) -> None:
        if draw != self.drawn:
            self.drawn = draw
            self.weights = DrawnWeights((node.operation for node in self.graph.nodes), draw)

    def run(self, values: dict[Edge, np.ndarray], training: bool) -> dict[Edge, Tensor]:
        """All tensors of the network."""
        tensors = {edge: tf.convert_to_tensor(value) for edge, value in values.items()}
        tensors |= self.graph.constant_values()
        for _ in self.graph.run(tensors, training):
            pass
        return {**tensors, self.graph.output: self.output(values, training)}

    def output(self, values: dict[Edge, np.ndarray], training: bool) -> Tensor:
        """What the network puts out: by its own call, in which Keras' masks go along."""
        named = {edge.name: tf.convert_to_tensor(value) for edge, value in values.items()}
        given = [named[tensor.name] for tensor in self.graph.network.inputs]
        return self.graph.network(given if len(given) > 1 else given[0], training=training)

    def fit_values(self, inputs: ProbeInputs) -> None:
        """Keeps to values that the network takes: it may look them up in a table."""
        sizes, x = self.fitting(inputs, next(iter(inputs.sizes()))), self.graph.x
        base = inputs.base(sizes, 1)

        def takes(value: float) -> bool:
            return self._takes({**base, x: np.full_like(base[x], value)})

        while inputs.levels > 2 and not takes(inputs.levels - 1):
            inputs.levels -= inputs.levels // 2
        inputs.real = inputs.real and all(map(takes, (0.5, -LARGEST, LARGEST)))

    def fitting(self, inputs: ProbeInputs, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """The sizes, halved until the network takes them: a table of positions has an end."""
        x = self.graph.x
        while True:
            base = inputs.base(sizes, 0)
            try:
                with self.weights.scope():
                    self.output({**base, x: np.zeros_like(base[x])}, False)
                return sizes
            except _REFUSALS:
                half = inputs.halved(sizes)
                if half == sizes or 0 in half:
                    raise
                sizes = half

    def _takes(self, base: dict[Edge, np.ndarray]) -> bool:
        try:
            with self.weights.scope():
                self.output(base, False)
            return True
        except _REFUSALS:
            return False

    def check(self, probe: Probe) -> bool:
        """Raises a ValueError if an output differs between calls, or changes before its cause.

        Returns:
            Whether the probe has values that the network takes.
        """
        self._draw(probe.draw)
        if not self._takes(probe.base):
            return False
        with self.weights.scope():
            first, second = (self.output(probe.base, False) for _ in range(2))
        if not np.array_equal(_float(first), _float(second), equal_nan=True):
            raise ValueError(
                f"Network '{self.graph.name}' gives another output when it is called again with "
                "the same data: a layer keeps a state between calls, or draws noise in inference "
                "too. A likelihood needs a function of the data."
            )
        self._check_examples(probe)
        self._confirm(probe, self._suspects(probe), training=False)
        step = max(1, len(probe.changed) // _IN_TRAINING)
        self._confirm(probe, probe.changed[::step], training=True)
        return True

    def check_combined(self, probes: list[Probe]) -> None:
        """The same for many probes of a few changes, several of them in a batch."""
        for draw in dict.fromkeys(probe.draw for probe in probes):
            self._draw(draw)
            group = [probe for probe in probes if probe.draw == draw]
            rows = self._rows_at_once(group[0]) // (1 + len(group[0].changed)) + 1
            for first in range(0, len(group), rows):
                self._check_group(group[first : first + rows])

    def _check_group(self, probes: list[Probe]) -> None:
        x = self.graph.x
        counts = [1 + len(probe.changed) for probe in probes]
        values = {
            edge: np.repeat(np.concatenate([probe.base[edge] for probe in probes]), counts, axis=0)
            for edge in probes[0].base
        }
        values[x] = np.stack(
            [data for p in probes for data in (p.base[x][0], *(data for _, data in p.changed))]
        )
        try:
            with self.weights.scope():
                output = self.output(values, False)
        except _REFUSALS:
            if len(probes) > 1:  # some of the values are not taken
                for probe in probes:
                    self._check_group([probe])
            return
        flat = tf.reshape(output, (len(output), probes[0].events, -1))
        for probe, part in zip(probes, tf.split(flat, counts), strict=True):
            self._confirm(probe, _early(part, probe.changed), training=False)

    def _check_examples(self, probe: Probe) -> None:
        """Raises a ValueError if an example's output depends on the others of its batch."""
        x, changed = self.graph.x, [data[None] for _, data in probe.changed[-3:]]
        if len(changed) < 3:
            return
        outputs = []
        for before, after in (changed[:2], changed[1:]):
            # Between the others, for an example may depend on those before it only.
            batch = np.concatenate([before, probe.base[x], after])
            with self.weights.scope():
                values = {**_repeated(probe.base, len(batch)), x: batch}
                outputs.append(_float(self.output(values, False))[1:2])
        if _differ(*(output.reshape(1, -1) for output in outputs)).any():
            raise ValueError(
                f"Network '{self.graph.name}' mixes the examples of a batch: the output of one "
                "changes with the others, so it has no likelihood of its own. Look for a mean, a "
                "reshape or a normalization over axis 0."
            )

    def _suspects(self, probe: Probe) -> list[tuple[int, np.ndarray]]:
        """The changes that seem to show in an output before their cause."""
        rows, found = self._rows_at_once(probe), []
        for first in range(0, len(probe.changed), rows):
            part = probe.changed[first : first + rows]
            batch = np.stack([probe.base[self.graph.x][0], *(data for _, data in part)])
            values = {**_repeated(probe.base, len(batch)), self.graph.x: batch}
            with self.weights.scope():
                output = self.output(values, False)
            found += _early(tf.reshape(output, (len(batch), probe.events, -1)), part)
        return found[:: len(found) // _CONFIRMED + 1]

    def _rows_at_once(self, probe: Probe) -> int:
        size, width = probe.base[self.graph.x].size, self.graph.output.shape[-1] or 1
        wide = max(probe.events * width, size**2)
        return max(1, min(_AT_ONCE // size, _WIDE_AT_ONCE // wide))

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


def _early(output: Tensor, changed: list[tuple[int, np.ndarray]]) -> list[tuple[int, np.ndarray]]:
    """The changes that show before their cause in the rows after the first."""
    other = tf.reduce_any(output[1:] != output[:1], axis=-1).numpy()
    found = []
    for row, change in enumerate(changed):
        stop = change[0] + 1
        if not other[row, :stop].any():
            continue
        if _differ(_float(output[0, :stop]), _float(output[row + 1, :stop])).any():
            found.append(change)
    return found


def _repeated(base: dict[Edge, np.ndarray], count: int) -> dict[Edge, np.ndarray]:
    """The same example several times."""
    return {edge: np.repeat(value, count, 0) for edge, value in base.items()}


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
