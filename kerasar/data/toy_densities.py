"""Toy densities for flows: shapes in the plane, and the lecture's mixture on the line.

All are drawn from a seed. The density of the mixture is known, so the result of a model can be
compared with the best possible one (Fleuret, Deep Learning course, lecture on flows,
https://fleuret.org/dlc/); the shapes are those that papers on flows show.
"""

import difflib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count, check_memory, check_values

Points = NDArray[np.float32]

#: The lecture's mixture of two normal distributions: weights, means, their standard deviation.
_WEIGHTS, _MEANS, _DEVIATION = (0.3, 0.7), (-0.5, 0.5), 0.2


def _mixture(n: int, noise: float, rng: np.random.Generator) -> NDArray[Any]:
    means = np.where(rng.random(n) < _WEIGHTS[0], *_MEANS)
    return (means + noise * rng.normal(size=n))[:, None]


def _moons(n: int, noise: float, rng: np.random.Generator) -> NDArray[Any]:
    """Two half circles of radius 1, one about (0, 0), the other upside down about (1, 0.5)."""
    angle, lower = np.pi * rng.random(n), rng.random(n) < 0.5
    x = np.where(lower, 1 - np.cos(angle), np.cos(angle))
    y = np.where(lower, 0.5 - np.sin(angle), np.sin(angle))
    return _blurred(x, y, noise, rng)


def _circles(n: int, noise: float, rng: np.random.Generator) -> NDArray[Any]:
    """Two circles about (0, 0), of radius 1 and 0.5."""
    angle, radius = 2 * np.pi * rng.random(n), np.where(rng.random(n) < 0.5, 0.5, 1.0)
    return _blurred(radius * np.cos(angle), radius * np.sin(angle), noise, rng)


def _spirals(n: int, noise: float, rng: np.random.Generator) -> NDArray[Any]:
    """Two arms of one and a half turns that reach the radius 3."""
    turn = np.sqrt(rng.random(n))
    side = np.where(rng.random(n) < 0.5, -1, 1)
    angle, radius = 3 * np.pi * turn, 3 * turn * side
    return _blurred(-radius * np.cos(angle), radius * np.sin(angle), noise, rng)


def _pinwheel(n: int, noise: float, rng: np.random.Generator) -> NDArray[Any]:
    """Five blades; `noise` is their width across."""
    blade = rng.integers(5, size=n)
    along, across = 1 + 0.3 * rng.normal(size=n), noise * rng.normal(size=n)
    angle = 2 * np.pi * blade / 5 + 0.25 * np.exp(along)
    cosine, sine = np.cos(angle), np.sin(angle)
    return 2 * np.stack([along * cosine - across * sine, along * sine + across * cosine], axis=-1)


def _checkerboard(n: int, noise: float, rng: np.random.Generator) -> NDArray[Any]:
    """The eight dark fields of a board of 4 × 4 fields on [-4, 4]²."""
    column, row = rng.integers(4, size=n), 2 * rng.integers(2, size=n)
    row = row + column % 2
    x, y = (2 * (place + rng.random(n)) - 4 for place in (column, row))
    return _blurred(x, y, noise, rng)


def _blurred(
    x: NDArray[Any], y: NDArray[Any], noise: float, rng: np.random.Generator
) -> NDArray[Any]:
    points = np.stack([x, y], axis=-1)
    return points + noise * rng.normal(size=points.shape)


_Draw = Callable[[int, float, np.random.Generator], NDArray[Any]]
#: Name -> how to draw it, and its default noise.
_SHAPES: dict[str, tuple[_Draw, float]] = {
    "mixture": (_mixture, _DEVIATION),
    "moons": (_moons, 0.05),
    "circles": (_circles, 0.05),
    "spirals": (_spirals, 0.1),
    "pinwheel": (_pinwheel, 0.05),
    "checkerboard": (_checkerboard, 0.0),
}

#: Name -> number of dimensions.
TOY_DENSITIES: Mapping[str, int] = MappingProxyType(
    {name: 1 if name == "mixture" else 2 for name in _SHAPES}
)


@checks_arguments
def toy_density(name: str, n: int, noise: float | None = None, seed: int = 0) -> Points:
    """Draws points from a toy density.

    Args:
        name: "mixture" (on the line), "moons", "circles", "spirals", "pinwheel" or
            "checkerboard" (in the plane).
        n: int, at least 1. The number of points.
        noise: standard deviation of the normal noise about the shape; by default that of the shape:
            0.05 (moons, circles, pinwheel), 0.1 (spirals), 0 (checkerboard), 0.2 (mixture, whose
            known density holds for 0.2 only).
        seed: int, at least 0. The same seed gives the same points.

    Returns:
        float32, `(n, 1)` or `(n, 2)`.

    Raises:
        ValueError: for an unknown name, or arguments out of range.
    """
    if name not in _SHAPES:
        near = difflib.get_close_matches(str(name), _SHAPES, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ValueError(
            f"A toy density is one of {', '.join(_SHAPES)}, but got name={name!r}.{hint}"
        )
    check_count(n, "n, the number of points,")
    check_memory("n", n, (n, 2))
    check_count(seed, "seed", least=0, most=None)
    draw, own_noise = _SHAPES[name]
    noise = own_noise if noise is None else noise
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise is a standard deviation, at least 0, but got {noise}.")
    return draw(n, noise, np.random.default_rng(seed)).astype("float32")


def mixture_log_prob(x: Any) -> NDArray[np.float64]:
    """The log density, in nats, of points `x` `(n, 1)` under the toy density "mixture"; `(n,)`."""
    x = check_values(x, "x").astype("float64")
    if x.ndim != 2 or x.shape[1] != 1:
        raise ValueError(f"x must have shape (n, 1), but its shape is {x.shape}.")
    scaled = (x - np.array(_MEANS)) / _DEVIATION
    terms = np.log(_WEIGHTS) - 0.5 * scaled**2 - np.log(_DEVIATION * np.sqrt(2 * np.pi))
    return np.logaddexp(*terms.T)


def mixture_entropy() -> float:
    """The differential entropy of the toy density "mixture" in nats, by quadrature."""
    x = np.linspace(-4, 4, 80001)[:, None]
    log_prob = mixture_log_prob(x)
    return float(-np.sum(np.exp(log_prob) * log_prob) * (x[1, 0] - x[0, 0]))
