"""What classical methods know of a step before anything is learned, as linear autoregressions.

Exponential smoothing, damped trends and the airline model are autoregressions on the distances of
earlier steps from their levels, with weights that follow from one to three numbers. These are found
on a grid by the least error of the next step, so that even short series can bear them.
"""

import functools
import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: "still": nothing follows from earlier distances. "persistent": what has moved the level stays:
#: simple exponential smoothing of the last values, the airline model of seasons. "damped": it
#: fades: a damped trend of the last values, a passing distance from the last season.
DYNAMICS = ("still", "persistent", "damped")

_LEVEL = (0.1, 0.2, 0.3, 0.45, 0.6, 0.8)
_SLOPE = (0.02, 0.05, 0.1, 0.2, 0.4)
_FADE = (0.8, 0.9, 0.97)
_MEAN = (0.0, 0.3, 0.5, 0.7, 0.85)


@functools.lru_cache(maxsize=32)
def weights_of(dynamics: str, season: int | None, reach: int) -> Array:
    """All that are tried, `(tried, reach)`: of the distances 1, 2, … steps before."""
    found = [autoregression(*each, reach) for each in _polynomials(dynamics, season)]
    return np.array(found).reshape(-1, reach)


def _polynomials(dynamics: str, season: int | None) -> Iterator[tuple[list[float], list[float]]]:
    """Polynomials of what goes on and of what is averaged over, from power 0 up."""
    if dynamics == "persistent" and season is None:
        for level in _LEVEL:
            yield [1.0], [1.0, level - 1]
    elif dynamics == "damped" and season is None:
        # Hyndman & Athanasopoulos, Forecasting: Principles and Practice, section 9.10: ETS(A,Ad,N)
        # is ARIMA(1,1,2).
        for level, slope, fade in itertools.product((*_LEVEL, 1.0), _SLOPE, _FADE):
            average = [1.0, level + level * slope * fade - 1 - fade, (1 - level) * fade]
            yield [1.0, -fade], average
    elif dynamics != "still":
        fades = (1.0,) if dynamics == "persistent" else (0.0, 0.3, 0.6, 0.8, 0.9)
        for fade, near, far in itertools.product(fades, _MEAN, _MEAN):
            if near < max(fade, 0.1):
                yield [1.0, -fade], np.convolve([1.0, -near], _at(season or 1, -far)).tolist()


def _at(season: int, weight: float) -> list[float]:
    return [1.0, *[0.0] * (season - 1), weight]


def autoregression(going: list[float], average: list[float], reach: int) -> Array:
    """The weights w of the expected step, Σ w_k z_{t-k}, of going(B) z = average(B) noise.

    The power series of going / average is 1 - Σ w_k B^k.

    References:
        Box & Jenkins. Time Series Analysis. 1970, section 4.2 (π weights).
    """
    series = np.zeros(reach + 1)
    series[: min(len(going), reach + 1)] = going[: reach + 1]
    nonzero = [(k, a) for k, a in enumerate(average) if k and a]
    for t in range(reach + 1):
        series[t] -= sum(a * series[t - k] for k, a in nonzero if k <= t)
    return -series[1:]
