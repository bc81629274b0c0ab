"""What each output sees, found by changing the input at every position in turn.

Gradients miss a leak through an integer or a comparison, and NaN probes one through a `where`; a
changed input misses neither. Both directions count: a response from the future is a leak, a
missing one a blind spot.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np

from kerasar.arguments import checks_arguments, shorten
from kerasar.checks import check_count, check_values
from kerasar.keras_internals import takes_training
from kerasar.typing import Tensor

#: How many examples a network or layer takes at once.
_AT_ONCE = 512

#: An index on the position axes: `(step,)` or `(row, column)`.
Position = tuple[int, ...]

#: From how many positions on everything is changed.
_STARTS = 12


@checks_arguments
def check_causal_by_probe(
    model: Callable[[Tensor], Tensor],
    x: np.ndarray,
    change: Callable[[np.ndarray], np.ndarray],
    sees: Iterable[Any] | Callable[[Any, Any], bool],
    position_axes: int | None = None,
    tolerance: float = 1e-5,
) -> None:
    """Output i must respond to input j exactly where `sees` says so, for all positions i and j.

    Every position is changed in turn, once and twice over, and everything from a position on, for
    what may look at several of them. A layer or model is called in training too, where it must not
    see more; equal calls must give equal outputs, and examples must not depend on each other.

    Randomize the weights first (`kerasar.testing.randomize`), and take several examples and
    channels enough: behind a ReLU, a few weights may well be deaf by chance.

    Args:
        model: a network, a layer, or any function from data to something whose first axes are the
            positions of the data. A conditional network is a function too:
            `lambda x: network([x, condition])`.
        x: data, `(batch, *positions, …)`.
        change: function from the values at one position, `(batch, …)`, to others; for integers
            `lambda v: (v + 1) % levels`.
        sees: the stated set. Either offsets of the seen inputs, negative for earlier ones: `{-1,
            -2}` for sequences, `{(-1, 0), (0, -1)}` (rows, columns) for images; or a function
            `sees(output, input)` of two positions, each an int or a (row, column).
        position_axes: how many axes of `x`, after the first, are positions: by default 2 for
            images (rank 4), else 1. With 3, the channels of an image are positions as well.
        tolerance: the smallest change that counts as a response, relative to the largest output.
            Fast convolutions mix neighbours on the level of rounding, so this cannot be 0.

    Raises:
        AssertionError: if an output responds to what it must not see, or does not respond to what
            it must; up to five of each are listed.
    """
    x = check_values(x, "x")
    if position_axes is not None:
        check_count(position_axes, "position_axes", most=max(x.ndim - 1, 1))
    axes = position_axes or (2 if x.ndim == 4 else 1)
    if x.ndim <= axes:
        raise ValueError(f"x must be (batch, *positions, …), but its shape is {x.shape}.")
    _check_tolerance(tolerance)
    sizes = x.shape[1 : 1 + axes]
    positions = [tuple(map(int, index)) for index in np.ndindex(*sizes)]
    stated = _stated(sees, positions)
    probe = _Probe(model, x, change, positions, tolerance)
    probe.check_calls()
    # A function may know how many examples there are, of its conditions.
    at_once = _AT_ONCE if isinstance(model, keras.Layer) else 1
    _check(probe, probe.responses(at_once), stated, "does not see what was stated")

    far = probe.responses_from()
    # What follows a position may be seen where any of it may.
    _check(probe, far & ~_any_after(stated), None, "sees several positions together")
    if isinstance(model, keras.layers.Layer) and takes_training(model):
        trained = _Probe(_in_training(model), x, change, positions, tolerance, _name(model))
        more = trained.responses(_AT_ONCE) & ~stated
        if more.any():  # noise may differ within a batch, but not between equal calls
            more = trained.responses() & ~stated
        _check(trained, more, None, "sees more in training")


def _check(probe: "_Probe", seen: np.ndarray, stated: np.ndarray | None, fault: str) -> None:
    """Nothing but what is stated may be seen, and all of it; None: nothing may."""
    missing = np.argwhere(stated & ~seen) if stated is not None else np.zeros((0, 2), int)
    extra = np.argwhere(seen if stated is None else seen & ~stated)
    assert not len(extra) and not len(missing), "\n".join(
        [f"{probe.name} {fault}, on positions of sizes {probe.sizes}:"]
        + _listed(extra, probe.positions, "must not respond to input {j} but does (a leak)")
        + _listed(missing, probe.positions, "must respond to input {j} but does not (a blind spot)")
    )


def _check_tolerance(tolerance: float) -> None:
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance must be above 0 and below 1, but got {tolerance}.")


def _any_after(stated: np.ndarray) -> np.ndarray:
    """Boolean `(outputs, inputs)`: whether an output may see the input or one after it."""
    return np.logical_or.accumulate(stated[:, ::-1], axis=1)[:, ::-1]


def _in_training(model: Any) -> Callable[[Tensor], Tensor]:
    """The model in training, each time with the same noise and from the same state."""

    def call(x: Tensor) -> Tensor:
        with keras.StatelessScope():
            return model(x, training=True)

    return call


class _Probe:
    """A model and the changes of its input.

    Args:
        model, x, change, tolerance: as for `check_causal_by_probe`.
        positions: all of them, in order.
        name: what messages call the model.
    """

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        x: np.ndarray,
        change: Callable[[np.ndarray], np.ndarray],
        positions: list[Position],
        tolerance: float,
        name: str | None = None,
    ) -> None:
        self.model, self.x, self.change, self.positions = model, x, change, positions
        self.sizes = tuple(int(n) + 1 for n in positions[-1])
        self.name = name or _name(model)
        self.changed = self._all_changed()
        self.before = self._run(x)
        self.least = tolerance * max(float(np.abs(self.before).max()), 1e-6)

    def _all_changed(self) -> np.ndarray:
        """The input with every position changed."""
        changed = self.x.copy()
        for position in self.positions:
            index: Any = (slice(None), *position)
            changed[index] = self.change(self.x[index])
            assert (changed[index] != self.x[index]).all(), (
                f"`change` leaves values as they are at {position}"
            )
        return changed

    def check_calls(self) -> None:
        """Equal calls must give equal outputs, and an example its own whatever the others are."""
        assert not self._moved(self.x).any(), (
            f"{self.name} gives another output when it is called again with the same input: it "
            "keeps a state between calls, or draws noise"
        )
        one, others = len(self.x) // 2, self.changed.copy()
        others[one] = self.x[one]
        gap = np.abs(self._run(others) - self.before)[one]
        assert not (gap > self.least).any(), (
            f"{self.name} mixes the examples of a batch: the output of one changes with the others"
        )

    def responses(self, at_once: int = 1) -> np.ndarray:
        """Boolean `(outputs, inputs)`: which outputs respond to which position of the input.

        Args:
            at_once: how many examples the model takes, if those of one position are fewer.
        """
        count = len(self.positions)
        seen = np.zeros((count, count), bool)
        together = max(at_once // len(self.x), 1)
        for first in range(0, count, together):
            for moved in self._changes(self.positions[first : first + together]):
                seen[:, first : first + together] |= self._moved_each(moved)
        return seen

    def _changes(self, positions: list[Position]) -> Iterator[list[np.ndarray]]:
        """For each position an input that is changed there, and again if there are more values."""
        once, again = [], []
        for position in positions:
            index: Any = (slice(None), *position)
            once.append(self.x.copy())
            once[-1][index] = self.changed[index]
            again.append(once[-1].copy())
            again[-1][index] = self.change(once[-1][index])
        yield once
        if any((moved != self.x).any() for moved in again):
            yield again

    def _moved_each(self, inputs: list[np.ndarray]) -> np.ndarray:
        """Boolean `(outputs, inputs)`: which positions of the output differ for each input."""
        outputs = self._run(np.concatenate(inputs)).reshape(len(inputs), *self.before.shape)
        difference = np.abs(outputs - self.before) > self.least
        shape = (len(inputs), len(self.x), len(self.positions), -1)
        return difference.reshape(shape).any(axis=(1, 3)).T

    def responses_from(self) -> np.ndarray:
        """The same for everything from a position on."""
        count = len(self.positions)
        seen = np.zeros((count, count), bool)
        for j in np.unique(np.linspace(0, count - 1, _STARTS).astype(int)).tolist():
            moved = self.x.copy()
            for position in self.positions[j:]:
                index: Any = (slice(None), *position)
                moved[index] = self.changed[index]
            seen[:, j] = self._moved(moved)
        return seen

    def _moved(self, x: np.ndarray) -> np.ndarray:
        """Which positions of the output differ from those for the unchanged input."""
        difference = np.abs(self._run(x) - self.before) > self.least
        return difference.reshape(len(x), len(self.positions), -1).any(axis=(0, 2))

    def _run(self, x: np.ndarray) -> np.ndarray:
        # float64 exceeds every type that a network puts out, bfloat16 included.
        output = np.asarray(self.model(x)).astype("float64")
        assert output.shape[: 1 + len(self.sizes)] == (len(x), *self.sizes), (
            f"{self.name} gives {output.shape} for {x.shape}: not one output for each position"
        )
        # NaN differs from nothing, not even from itself, and would hide every leak.
        assert np.isfinite(output).all(), f"{self.name} gives NaN or infinity"
        return output


def _stated(
    sees: Iterable[Any] | Callable[[Any, Any], bool], positions: list[Position]
) -> np.ndarray:
    if not callable(sees) and not isinstance(sees, (set, frozenset, list, tuple)):
        raise TypeError(f"sees must be a set of offsets or a function, but got {shorten(sees)}.")
    if callable(sees):
        names = [index[0] if len(index) == 1 else index for index in positions]
        return np.array([[bool(sees(i, j)) for j in names] for i in names])
    offsets = {offset if isinstance(offset, tuple) else (offset,) for offset in sees}
    rank = len(positions[0])
    for offset in offsets:
        whole = all(isinstance(part, (int, np.integer)) for part in offset)
        if len(offset) != rank or not whole:
            raise ValueError(
                f"sees must hold offsets of {rank} integer(s) each, one for each position axis, "
                f"but one of them is {offset}."
            )
    differences = np.array(positions)[None] - np.array(positions)[:, None]  # input - output
    return np.array([[tuple(map(int, d)) in offsets for d in row] for row in differences])


def _listed(pairs: np.ndarray, positions: list[Position], fault: str) -> list[str]:
    lines = [
        f"  output {positions[i]} {fault.format(j=positions[j])}"
        for i, j in ((int(i), int(j)) for i, j in pairs[:5])
    ]
    return lines + ([f"  … and {len(pairs) - 5} more"] if len(pairs) > 5 else [])


def _name(model: Callable[[Tensor], Tensor]) -> str:
    if inspect.isroutine(model):
        return f"Function '{model.__name__}'"
    return f"{type(model).__name__} '{getattr(model, 'name', '')}'"
