"""What each output sees, found by changing the input at every position in turn.

Gradients miss a leak through an integer or a comparison, and NaN probes one through a `where`; a
changed input misses neither. Both directions count: a response from the future is a leak, a
missing one a blind spot.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from kerasar.arguments import checks_arguments, shorten
from kerasar.checks import check_count, check_values
from kerasar.typing import Tensor

#: An index on the position axes: `(step,)` or `(row, column)`.
Position = tuple[int, ...]


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
    seen = _responses(model, x, change, positions, tolerance)
    stated = _stated(sees, positions)

    extra = np.argwhere(seen & ~stated)
    missing = np.argwhere(stated & ~seen)
    assert not len(extra) and not len(missing), "\n".join(
        [f"{_name(model)} does not see what was stated, on positions of sizes {sizes}:"]
        + _listed(extra, positions, "must not respond to input {j} but does (a leak)")
        + _listed(missing, positions, "must respond to input {j} but does not (a blind spot)")
    )


def _check_tolerance(tolerance: float) -> None:
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance must be above 0 and below 1, but got {tolerance}.")


def _responses(
    model: Callable[[Tensor], Tensor],
    x: np.ndarray,
    change: Callable[[np.ndarray], np.ndarray],
    positions: list[Position],
    tolerance: float,
) -> np.ndarray:
    """Boolean `(outputs, inputs)`: which positions of the output respond to which of the input."""
    sizes = tuple(int(n) + 1 for n in positions[-1])
    before = _run(model, x, sizes)
    scale = max(float(np.abs(before).max()), 1e-6)
    seen = np.zeros((len(positions), len(positions)), bool)
    for j, position in enumerate(positions):
        index: Any = (slice(None), *position)
        moved = x.copy()
        moved[index] = change(x[index])
        assert (moved[index] != x[index]).all(), f"`change` leaves values as they are at {position}"
        difference = np.abs(_run(model, moved, sizes) - before) > tolerance * scale
        seen[:, j] = difference.reshape(len(x), len(positions), -1).any(axis=(0, 2))
    return seen


def _run(model: Callable[[Tensor], Tensor], x: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    # float64 exceeds every type that a network puts out, bfloat16 included.
    output = np.asarray(model(x)).astype("float64")
    assert output.shape[: 1 + len(sizes)] == (len(x), *sizes), (
        f"{_name(model)} gives {output.shape} for {x.shape}: not one output for each position"
    )
    # NaN differs from nothing, not even from itself, and would hide every leak.
    assert np.isfinite(output).all(), f"{_name(model)} gives NaN or infinity"
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
