"""Linear autoregressions relative to a level and a scale: where a `Forecaster` begins.

In NumPy, for it is fitted in milliseconds: many of them are tried on windows at the end of the
training part, and the best says how a series is normalized (`kerasar.forecasting.choose`). Its
weights are those that the network begins with.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kerasar.forecasting.dynamics import DYNAMICS, weights_of
from kerasar.layers.level_and_scale import LEAST, PRIOR, level_lag
from kerasar.layers.relative_values import USUAL

Array = NDArray[np.float64]

#: The mixture of the noise that a forecaster begins with: weights, and scales of a variance of 1.
WEIGHTS, SCALES = (0.35, 0.5, 0.15), (0.55, 0.95, 1.7)
#: The penalty of the weights of covariates, where no others are learned.
_RIDGE_OF_COVARIATES = 10.0
#: Powers of these scales that are tried: from normal errors to such with heavy tails.
_TAILS = (0.05, 0.5, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class Design:
    """What a linear autoregression sees, and relative to what; steps as in `Forecaster`.

    Attributes:
        normalization, season, memory, support: as in `Relative`.
        lags, seasons, cycles: as in `Forecaster`.
        ridge: the penalty of what is learned beyond `dynamics`, the squared weights of standardized
            features; infinite: nothing is.
        dynamics: what follows from earlier distances before anything is learned (`DYNAMICS`).
        drift: whether steps differ from their levels by a constant, where nothing else is learned.
    """

    normalization: str
    season: int | None = None
    memory: int = 50
    support: Any = "real"
    lags: int = 12
    seasons: tuple[int, ...] = ()
    cycles: int = 2
    ridge: float = math.inf
    dynamics: str = "still"
    drift: bool = False

    @property
    def frame(self) -> tuple[Any, ...]:
        """What level and scale depend on."""
        return self.normalization, self.season, self.memory, self.support

    @property
    def complexity(self) -> int:
        """How much is found out of the series, roughly."""
        found = (
            DYNAMICS.index(self.dynamics) + int(self.drift) + 2 * int(self.support == "positive")
        )
        if math.isinf(self.ridge):
            return found
        # A level that stays is of no use without what is learned.
        return found + len(self.seasons) + (1 if self.normalization in ("none", "window") else 3)

    @property
    def far_lags(self) -> list[int]:
        """The lags around earlier seasons, beyond the recent ones."""
        steps = {
            k * s + d for s in self.seasons for k in range(1, self.cycles + 1) for d in (-1, 0, 1)
        }
        return sorted(lag for lag in steps if lag > self.lags)

    @property
    def reach(self) -> int:
        """The largest lag."""
        return max([self.lags, self.season or 0, *self.far_lags])


@dataclass
class _State:
    """What is carried along a series: one number for each of the rows that go on."""

    last: Array
    total: Array
    weight: Array
    squares: Array

    def take(self, rows: Any) -> "_State":
        return _State(self.last[rows], self.total[rows], self.weight[rows], self.squares[rows])


@dataclass
class LinearForecaster:
    """A linear autoregression, fitted to a series by least squares.

    Attributes:
        design: what it sees.
        center, unit, spread: as in `Relative`.
        weights: of the features, in the order of the network's layers: `(2 * lags)` from the oldest
            step to the last, value and mask in turn; then three of the frame, and two for each of
            the far lags; then those of covariates, and the constant.
        sigma: the standard deviation of its errors, in scales.
        tails: how far the errors are from normal ones: 0 is normal.
    """

    design: Design
    center: float = 0.0
    unit: float = 1.0
    spread: float = 1.0
    weights: Array = field(default_factory=lambda: np.zeros(0))
    sigma: float = 1.0
    tails: float = 1.0

    @property
    def num_beside(self) -> int:
        """The weights of covariates."""
        return len(self.weights) - 2 * self.design.lags - 3 - 2 * len(self.design.far_lags) - 1

    @property
    def scales(self) -> Array:
        """The scales of the mixture of errors, for a variance of 1."""
        return _scales(self.tails)

    @classmethod
    def fit(
        cls,
        x: Array,
        design: Design,
        known: dict[Any, Any] | None = None,
        covariates: Array | None = None,
    ) -> Self:
        """Fits it to a series `(steps,)`, in which NaN is missing.

        Args:
            x: the series.
            design: what it sees.
            covariates: standardized, `(steps or more, covariates)`.
            known: where is kept what other designs for the same series need, too.
        """
        known = {} if known is None else known
        line = _to_line(x, design.support)
        seen = line[np.isfinite(line)]
        unit = float(seen.std()) or 1.0
        found = cls(design, float(seen.mean()), unit)
        units = (line - found.center) / found.unit
        key = (len(x), design.frame)
        if key not in known:
            found.spread = _spread(units, design)
            known[key] = found.spread, found._pass(units)
        found.spread, passed = known[key]
        beside = found._relative_covariates(covariates, len(x))
        features, z, observed = found._features(passed, beside)
        rows = observed.copy()
        rows[: min(design.season or 1, len(z) // 3)] = False
        start = _start(features[rows], z[rows], design)
        rest = z[rows] - features[rows] @ start
        weights, found.sigma = _ridge(features[rows], rest, design, beside.shape[1])
        found.weights = start + weights
        found.tails = _tails((rest - features[rows] @ weights) / found.sigma)
        return found

    def simulate(
        self,
        x: Array,
        origins: Any,
        steps: int,
        paths: int,
        seed: int = 0,
        known: dict[Any, Any] | None = None,
        covariates: Array | None = None,
    ) -> Array:
        """Paths from each of several origins of a series, `(origins, paths, steps)`.

        An origin is the number of steps that are known; `known` and `covariates` as for `fit`, the
        latter also for the steps ahead.
        """
        known = {} if known is None else known
        units = (_to_line(x, self.design.support) - self.center) / self.unit
        key = (len(x), self.design.frame, self.center, self.unit, self.spread)
        if key not in known:
            known[key] = self._pass(units)
        passed = known[key]
        origins = np.asarray(origins)
        rows = np.repeat(np.arange(len(origins)), paths)
        rng = np.random.default_rng(seed)
        shape = (len(rows), steps)
        scale = self.scales[rng.choice(len(WEIGHTS), p=WEIGHTS, size=shape)]
        noise = self.sigma * scale * rng.normal(size=shape)
        reach, start = self.design.reach, origins[rows]
        beside = self._relative_covariates(covariates, int(origins.max()) + steps)
        past = start[:, None] - np.arange(reach, 0, -1)  # indices, oldest first
        inside, past = past >= 0, np.maximum(past, 0)
        u = np.where(inside, units[past], np.nan)
        z = np.where(inside, passed.z[past], 0.0)
        o = inside & passed.observed[past]
        u, z, o = (np.pad(part, ((0, 0), (0, steps))) for part in (u, z, o))
        state = passed.states.take(start)
        drawn = np.empty(shape)
        for step in range(steps):
            t = reach + step
            season = self.design.season
            lagged = np.full(len(rows), np.nan) if season is None else u[:, t - season]
            level, log_scale, mean = self._frame(state, lagged)
            frame = level, log_scale, mean, state.last
            feats = self._row(z[:, :t], o[:, :t], *frame, beside[start + step])
            value = feats @ self.weights + noise[:, step]
            drawn[:, step] = u[:, t] = self._possible(level + np.exp(log_scale) * value)
            z[:, t] = _squashed((u[:, t] - level) * np.exp(-log_scale))
            o[:, t] = True
            self._update(state, u[:, t], np.ones(len(rows), bool), level)
        line = drawn * self.unit + self.center
        return _from_line(line, self.design.support).reshape(len(origins), paths, steps)

    def _possible(self, units: Array) -> Array:
        """What is drawn, as counts where they are such."""
        if self.design.support != "counts":
            return units
        counts = np.maximum(np.round(units * self.unit + self.center), 0)
        return (counts - self.center) / self.unit

    # The frame, step by step, as `LevelAndScale` has it.

    def _frame(self, state: _State, lagged: Array) -> tuple[Array, Array, Array]:
        """Level, log scale and running mean of the next step."""
        mean, kind = state.total / state.weight, self.design.normalization
        if kind == "none":
            flat = np.zeros_like(mean)
            return flat, flat + math.log(self.spread), mean
        square = state.squares / state.weight + (LEAST * self.spread) ** 2
        level = {"window": mean, "difference": state.last}.get(kind)
        if level is None:
            level = np.where(np.isfinite(lagged), lagged, state.last)
        return level, 0.5 * np.log(square), mean

    def _update(self, state: _State, u: Array, seen: Any, level: Array) -> None:
        fade = np.where(seen, 1 - 1 / self.design.memory, 1.0)
        value = np.where(seen, u, 0.0)
        state.squares = fade * state.squares + np.where(seen, (value - level) ** 2, 0.0)
        state.last = np.where(seen, value, state.last)
        state.total = fade * state.total + value
        state.weight = fade * state.weight + seen

    def _pass(self, units: Array) -> "_Passed":
        """The frame of each step and of the one after the last, and the state before it.

        What `LevelAndScale` computes, in plain numbers, for arrays of one take ten times as long.
        """
        design, fade = self.design, 1 - 1 / self.design.memory
        kind, season, least = design.normalization, design.season or 0, (LEAST * self.spread) ** 2
        last, total, weight, squares = 0.0, 0.0, PRIOR, PRIOR * self.spread**2
        rows, values, begun = [], units.tolist(), False
        for t in range(len(values) + 1):
            mean, level = total / weight, last
            if kind == "seasonal" and t >= season and values[t - season] == values[t - season]:
                level = values[t - season]
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
        level, log_scale, mean, *state = np.array(rows).T
        observed = np.isfinite(units)
        z = (np.nan_to_num(units) - level[:-1]) * np.exp(-log_scale[:-1])
        return _Passed(_squashed(observed * z), observed, level, log_scale, mean, _State(*state))

    def _relative_covariates(self, covariates: Array | None, steps: int) -> Array:
        """Covariates and how they differ from those of the level, `(steps, 2 * covariates)`."""
        if covariates is None:
            return np.zeros((steps, 0))
        found, lag = covariates[:steps], level_lag(self.design.normalization, self.design.season)
        if lag is None:
            return found
        before = np.concatenate([np.zeros_like(found[:lag]), found])[:steps]
        return np.concatenate([found, found - before], axis=1)

    def _features(self, passed: "_Passed", beside: Array) -> tuple[Array, Array, Any]:
        """The features of each step, `(steps, features)`, and the values and masks."""
        z, o = passed.z, passed.observed
        reach = self.design.reach
        both = [np.pad(part.astype(float), (reach, 0)) for part in (z, o)]
        windows = [np.lib.stride_tricks.sliding_window_view(p, reach)[: len(z)] for p in both]
        found = self._row(
            windows[0], windows[1], passed.level[:-1], passed.log_scale[:-1], passed.mean[:-1],
            passed.states.last[:-1], beside,
        )  # fmt: skip
        return found, z, o

    def _row(
        self,
        z: Array,
        o: Any,
        level: Array,
        log_scale: Array,
        mean: Array,
        last: Array,
        beside: Array,
    ) -> Array:
        """Features of a step from the values and masks before it, `(rows, steps)`."""
        lags = self.design.lags
        recent = np.stack([z[:, -lags:], o[:, -lags:]], -1).reshape(len(z), -1)
        narrow = np.exp(-log_scale)
        frame = [log_scale, _squashed((mean - level) * narrow), _squashed((last - level) * narrow)]
        far = [part[:, -lag] for lag in self.design.far_lags for part in (z, o)]
        return np.column_stack([recent, *frame, *far, beside, np.ones(len(z))])


@dataclass
class _Passed:
    z: Array
    observed: Any
    level: Array
    log_scale: Array
    mean: Array
    states: _State


def _spread(units: Array, design: Design) -> float:
    """The root mean square of the distances from the level."""
    plain = LinearForecaster(design)
    passed = plain._pass(units)
    apart = (units - passed.level[:-1])[min(design.season or 1, len(units) // 3) :]
    apart = apart[np.isfinite(apart)]
    return max(float(np.sqrt(np.mean(apart**2))), 1e-6) if len(apart) else 1.0


def _start(features: Array, z: Array, design: Design) -> Array:
    """The weights of the dynamics with the least error of the next step."""
    if design.dynamics == "still":
        return np.zeros(features.shape[1])
    tried = weights_of(design.dynamics, design.season, design.reach)
    found = np.zeros((len(tried), features.shape[1]))
    recent = np.arange(design.lags)
    found[:, 2 * recent] = tried[:, design.lags - 1 - recent]
    for i, lag in enumerate(design.far_lags):
        found[:, 2 * design.lags + 3 + 2 * i] = tried[:, lag - 1]
    rest = z[:, None] - features @ found.T
    best: Array = found[int(np.argmin(np.mean((rest - design.drift * rest.mean(axis=0)) ** 2, 0)))]
    return best


def _ridge(features: Array, z: Array, design: Design, beside: int) -> tuple[Array, float]:
    """Weights, and the standard deviation of errors of new data; the last are of covariates."""
    count, ridge = features.shape[1], design.ridge
    if math.isinf(ridge) and beside:
        # What covariates say is learned in any case.
        own = np.arange(count - 1 - beside, count - 1 + int(design.drift))
        weights = np.zeros(count)
        learned = replace(design, ridge=_RIDGE_OF_COVARIATES)
        weights[own], sigma = _ridge(features[:, own], z, learned, 0)
        return weights, sigma
    if math.isinf(ridge):
        weights = np.zeros(count)
        weights[-1] = design.drift * z.mean()
        return weights, max(float(np.sqrt(np.mean((z - weights[-1]) ** 2))), 1e-2)
    scale = features.std(axis=0) + 1e-3
    if (features[:, -1] == 1).all():  # the constant
        scale[-1] = 1.0
    standard = features / scale
    gram = standard.T @ standard
    penalized = gram + ridge * np.eye(count)
    weights = np.linalg.solve(penalized, standard.T @ z)
    free = min(float(np.trace(np.linalg.solve(penalized, gram))), 0.8 * len(z))
    errors = np.mean((z - standard @ weights) ** 2)
    # The errors of data that were not fitted are larger (Akaike's final prediction error).
    errors *= (len(z) + free) / (len(z) - free)
    return weights / scale, max(float(np.sqrt(errors)), 1e-2)


def _scales(tails: float) -> Array:
    found = np.asarray(SCALES) ** tails
    scaled: Array = found / np.sqrt(np.sum(np.asarray(WEIGHTS) * found**2))
    return scaled


def _tails(errors: Array) -> float:
    """The tails with which errors of variance 1 are likeliest."""

    def log_likelihood(tails: float) -> float:
        scales = _scales(tails)
        each = np.asarray(WEIGHTS) / scales * np.exp(-0.5 * (errors[:, None] / scales) ** 2)
        return float(np.log(each.sum(axis=1) + 1e-300).sum())

    return max(_TAILS, key=log_likelihood) if len(errors) else 1.0


def _squashed(z: Array) -> Array:
    found: Array = z / np.sqrt(1 + (z / USUAL) ** 2)
    return found


def _to_line(x: Array, support: Any) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        if support in ("real", "counts"):
            line = x
        elif support == "positive":
            line = np.log(x)
        else:
            line = np.log(x - support[0]) - np.log(support[1] - x)
    return np.where(np.isfinite(line), line, np.nan)


def _from_line(y: Array, support: Any) -> Array:
    if support in ("real", "counts"):
        return y
    y = np.clip(y, -80, 80)
    if support == "positive":
        found: Array = np.exp(y)
        return found
    return support[0] + (support[1] - support[0]) / (1 + np.exp(-y))
