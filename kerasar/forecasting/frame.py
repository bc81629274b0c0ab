"""Level and scale of each step in NumPy: what `kerasar.layers.LevelAndScale` computes.

In plain numbers along a series that is known, for arrays of one take ten times as long; and of many
paths at once, step by step, where they are drawn.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kerasar.layers.level_and_scale import LEAST, PRIOR

Array = NDArray[np.float64]


class Frame(NamedTuple):
    """What is known of steps before them, one value for each."""

    level: Array
    log_scale: Array
    mean: Array
    last: Array
    own: NDArray[np.bool_]
    """Whether the level is what it is meant to be, not what stands for it."""
    log_usual: Array
    """The log of the scale that the series usually has; 0 where all series share one."""

    def take(self, rows: Any) -> "Frame":
        """Some of the steps."""
        return Frame(
            self.level[rows],
            self.log_scale[rows],
            self.mean[rows],
            self.last[rows],
            self.own[rows],
            self.log_usual[rows],
        )


class Known(NamedTuple):
    """What a series says: the frame of each step and of that after the last, and states."""

    frame: Frame
    states: Array
    """`(steps + 1, …)`: what is carried along, before each step and behind the last."""


def with_last_seasons(units: Array, season: int | None) -> Array:
    """A series whose missing values are those of the last season that has one, if there is any.

    A season later they are what `kerasar.layers.LastSeason` puts out.
    """
    found = units.copy()
    if season:
        for t in np.flatnonzero(np.isnan(units[season:])):
            found[season + t] = found[t]
    return found


class SharedScale:
    """The frame of `LevelAndScale`.

    Args:
        normalization, season, memory: as in `Relative`.
        spread: as there.
    """

    def __init__(self, normalization: str, season: int | None, memory: int, spread: float) -> None:
        self.normalization, self.season = normalization, season or 0
        self.memory, self.spread, self.fade = memory, spread, 1 - 1 / memory

    def along(self, units: Array) -> Known:
        """What a series in units says, `(steps,)`; NaN is missing."""
        kind, season, least = self.normalization, self.season, (LEAST * self.spread) ** 2
        last, total, weight, squares = 0.0, 0.0, PRIOR, PRIOR * self.spread**2
        rows, values, begun, fade = [], units.tolist(), False, self.fade
        lagged = with_last_seasons(units, season).tolist()
        for t in range(len(values) + 1):
            mean, level = total / weight, last
            if kind == "seasonal" and t >= season and lagged[t - season] == lagged[t - season]:
                level = lagged[t - season]
            elif kind == "window":
                level = mean
            elif kind == "none":
                level = 0.0
            square = self.spread**2 if kind == "none" else squares / weight + least
            rows.append((level, 0.5 * math.log(square), mean, last, total, weight, squares))
            if t < len(values) and values[t] == values[t]:  # not NaN
                judged = begun or kind in ("none", "window")  # before the first is no last value
                squares = fade * squares + judged * (values[t] - level) ** 2
                begun = True
                last, total, weight = values[t], fade * total + values[t], fade * weight + 1
        found = np.array(rows)
        level, log_scale, mean, last_values = found[:, :4].T
        nothing = np.zeros(len(found))
        frame = Frame(level, log_scale, mean, last_values, nothing == 0, nothing)
        return Known(frame, found[:, 3:])

    def ahead(self, states: Array, lagged: Array) -> Frame:
        """The frame of the next step of each path, whose value a season before is `lagged`."""
        last, total, weight, squares = states.T
        mean, flat = total / weight, np.zeros(len(states))
        if self.normalization == "none":
            log_scale = flat + math.log(self.spread)
            return Frame(flat, log_scale, mean, last, flat == 0, flat)
        square = squares / weight + (LEAST * self.spread) ** 2
        return Frame(
            self._level(mean, last, lagged), 0.5 * np.log(square), mean, last, flat == 0, flat
        )

    def behind(self, states: Array, u: Array, frame: Frame) -> Array:
        """The states behind a value of each path."""
        _, total, weight, squares = states.T
        squares = self.fade * squares + (u - frame.level) ** 2
        return np.column_stack([u, self.fade * total + u, self.fade * weight + 1, squares])

    def _level(self, mean: Array, last: Array, lagged: Array) -> Array:
        if self.normalization == "seasonal":
            return np.where(np.isfinite(lagged), lagged, last)
        return mean if self.normalization == "window" else last


class OwnScale(SharedScale):
    """The frame of `LevelAndOwnScale`; arguments are those of `SharedScale`."""

    def along(self, units: Array) -> Known:
        kind, season, fade, values = self.normalization, self.season, self.fade, units.tolist()
        last, total, weight, begun = 0.0, 0.0, 0.0, False
        squares, count, sums, sum_count, other, other_count = (0.0,) * 6
        lagged = with_last_seasons(units, season).tolist()
        rows = []
        for t in range(len(values) + 1):
            mean, level, own = total / weight if begun else 0.0, last, kind != "seasonal"
            if kind == "seasonal" and t >= season and lagged[t - season] == lagged[t - season]:
                level, own = lagged[t - season], True
            elif kind == "window":
                level = mean
            usual = self.spread**2
            if sums > 0:
                usual = sums / sum_count
            elif other > 0:
                usual = other / other_count
            square = (squares + PRIOR * usual) / (count + PRIOR) + LEAST**2 * usual
            rows.append(
                (level, 0.5 * math.log(square), mean, 0.5 * math.log(usual), float(own), last,
                 total, weight, squares, count, sums, sum_count, other, other_count)
            )  # fmt: skip
            if t < len(values) and values[t] == values[t]:
                if begun:
                    apart = (values[t] - level) ** 2
                    if own:
                        sums, sum_count = sums + apart, sum_count + 1
                    else:
                        other, other_count = other + apart, other_count + 1
                    squares = fade * squares + own * apart
                    count = fade * count + own
                else:
                    squares, count = fade * squares, fade * count
                begun = True
                last, total, weight = values[t], fade * total + values[t], fade * weight + 1
        found = np.array(rows)
        level, log_scale, mean, log_usual, is_own, last_values = found[:, :6].T
        frame = Frame(level, log_scale, mean, last_values, is_own > 0, log_usual)
        return Known(frame, found[:, 5:])

    def ahead(self, states: Array, lagged: Array) -> Frame:
        last, total, weight, squares, count, sums, sum_count, other, other_count = states.T
        mean = total / np.maximum(weight, 1e-30)
        own = np.isfinite(lagged) | (self.normalization != "seasonal")
        usual = np.full(len(states), self.spread**2)
        usual = np.where(other > 0, other / np.maximum(other_count, 1), usual)
        usual = np.where(sums > 0, sums / np.maximum(sum_count, 1), usual)
        square = (squares + PRIOR * usual) / (count + PRIOR) + LEAST**2 * usual
        level = self._level(mean, last, lagged)
        return Frame(level, 0.5 * np.log(square), mean, last, own, 0.5 * np.log(usual))

    def behind(self, states: Array, u: Array, frame: Frame) -> Array:
        _, total, weight, squares, count, sums, sum_count, other, other_count = states.T
        begun = weight > 0
        apart, own, another = (u - frame.level) ** 2, frame.own & begun, ~frame.own & begun
        return np.column_stack(
            [u, self.fade * total + u, self.fade * weight + 1,
             self.fade * squares + own * apart, self.fade * count + own,
             sums + own * apart, sum_count + own,
             other + another * apart, other_count + another]
        )  # fmt: skip
