"""Linear autoregressions relative to a level and a scale: where a `Forecaster` begins.

In NumPy, for it is fitted in milliseconds: many of them are tried on windows at the end of the
training part, and the best says how a series is normalized (`kerasar.forecasting.choose`). Its
weights are those that the network begins with.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from kerasar.distributions.likelihoods.negative_binomial import FLOOR
from kerasar.forecasting.dynamics import DYNAMICS, weights_of
from kerasar.forecasting.frame import Frame, OwnScale, SharedScale, with_last_seasons
from kerasar.forecasting.gaps import behind_gaps, missing_at_end
from kerasar.layers.level_and_scale import level_lag
from kerasar.layers.relative_values import USUAL

Array = NDArray[np.float64]

#: The mixture of the noise that a forecaster begins with: weights, and scales of a variance of 1.
WEIGHTS, SCALES = (0.35, 0.5, 0.15), (0.55, 0.95, 1.7)
#: The penalty of the weights of covariates, where no others are learned.
_RIDGE_OF_COVARIATES = 10.0
#: Powers of these scales that are tried: from normal errors to such with heavy tails.
_TAILS = (0.05, 0.5, 1.0, 1.5, 2.0)


#: The largest mean of counts, and the bounds of their dispersion.
_MOST, _DISPERSIONS = 1e9, (0.002, 10.0)
#: How many of the last steps may widen errors where they are missing, and how often they must be.
#: Those before the last matter most where that is missing, too, which a sum over masks cannot say.
_GAPS, _OFTEN = 1, 20
#: Squares of errors beyond this are taken for it there, and the largest change of a log of squares.
_FAR, _WIDEST = 25.0, 3.0


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
        own_scale: as in `Relative`.
        gapless: whether what is learned are the weights of a series without gaps. Paths have none.
            Weights that make up for missing steps are better for the next step, and where they
            count the same twice, as several lags may, they lead paths astray.
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
    own_scale: bool = False
    gapless: bool = False

    @property
    def frame(self) -> tuple[Any, ...]:
        """What level and scale depend on."""
        return self.normalization, self.season, self.memory, self.support, self.own_scale

    @property
    def complexity(self) -> int:
        """How much is found out of the series, roughly."""
        found = DYNAMICS.index(self.dynamics) + int(self.drift) + int(self.gapless)
        found += 2 * int(self.support == "positive")
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
    def settled(self) -> int:
        """Steps behind which the scale is that of distances from the level.

        In a first season there is no earlier one: distances from the last value count there.
        """
        return (self.season or 0) + 8 * self.memory if self.normalization == "seasonal" else 0

    @property
    def reach(self) -> int:
        """The largest lag."""
        return max([self.lags, self.season or 0, *self.far_lags])


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
        widths: by what the log of their deviation is larger where one of the last steps is missing,
            the last one first; empty: by nothing.
        dispersion: of counts, as in `NegativeBinomial`.
    """

    design: Design
    center: float = 0.0
    unit: float = 1.0
    spread: float = 1.0
    weights: Array = field(default_factory=lambda: np.zeros(0))
    sigma: float = 1.0
    tails: float = 1.0
    widths: Array = field(default_factory=lambda: np.zeros(0))
    dispersion: float = 1.0

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
        line = to_line(x, design.support)
        seen = line[np.isfinite(line)]
        unit = float(seen.std()) or 1.0
        found = cls(design, float(seen.mean()), unit)
        units = (line - found.center) / found.unit
        key = (len(x), design.frame)
        if key not in known:
            found.spread = spread_of(units, design)
            known[key] = found.spread, found.frame.along(units)
        found.spread, passed = known[key]
        beside = found.relative_covariates(covariates, len(x))
        features, z, observed = found.features(units, passed.frame, beside)
        rows = observed.copy()
        rows[: min(design.season or 1, len(z) // 3)] = False
        found.learn(features[rows], z[rows], beside.shape[1])
        found.learn_dispersion(x[rows], features[rows], passed.frame.take(slice(-1)).take(rows))
        return found

    @property
    def frame(self) -> SharedScale:
        """What gives each step its level and scale."""
        design = self.design
        make = OwnScale if design.own_scale else SharedScale
        return make(design.normalization, design.season, design.memory, self.spread)

    def learn(self, features: Array, z: Array, beside: int) -> None:
        """Fits weights, scale and tails to steps that are observed."""
        start = _start(features, z, self.design)
        rest = z - features @ start
        there = np.ones(features.shape)
        if self.design.gapless:
            there = _there(features, self.design)
        weights, self.sigma = _ridge(features, rest, self.design, beside, there)
        self.weights = start + weights
        errors = (rest - features @ weights) / self.sigma
        last = (
            2 * self.design.lags - 1
        )  # the mask of the last step; two columns back: of that before
        gone = 1 - features[:, [last - 2 * i for i in range(min(self.design.lags, _GAPS))]]
        self.widths, narrow = _widths(gone, errors)
        self.sigma *= narrow
        self.tails = _tails(errors / narrow * np.exp(-_sum(gone, self.widths)))

    def learn_dispersion(self, x: Array, features: Array, frame: Frame) -> None:
        """Fits the dispersion of counts: that with which all of them vary as much as they do."""
        if self.design.support == "counts":
            mean = self._mean(frame.level + np.exp(frame.log_scale) * (features @ self.weights))
            found = float(np.sum((x - mean) ** 2 - mean) / np.sum(mean**2))
            self.dispersion = min(max(found, _DISPERSIONS[0]), _DISPERSIONS[1])

    def widen(self, factor: float) -> None:
        """Multiplies the deviation of what is drawn; of counts, of those of the usual size."""
        self.sigma *= factor
        usual = max(self.center, 0.1)
        found = factor**2 * self.dispersion + (factor**2 - 1) / usual
        self.dispersion = min(max(found, _DISPERSIONS[0]), _DISPERSIONS[1])

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
        origins = np.asarray(origins)
        gaps = np.array([missing_at_end(x[:origin]) for origin in origins])
        starts = origins - gaps
        steps_drawn = steps + int(gaps.max())
        place = self.place(x, np.repeat(starts, paths), steps_drawn, known, covariates)
        drawn = self.go_on(place, steps_drawn, np.random.default_rng(seed))
        return behind_gaps(drawn.reshape(len(origins), paths, steps_drawn), gaps.tolist(), steps)

    def place(
        self, x: Array, starts: Any, steps: int, known: dict[Any, Any], covariates: Array | None
    ) -> "Place":
        """Where paths of one series begin."""
        units = (to_line(x, self.design.support) - self.center) / self.unit
        key = (len(x), self.design.frame, self.center, self.unit, self.spread)
        if key not in known:
            known[key] = self.frame.along(units)
        passed, reach = known[key], self.design.reach
        z, observed = _relative(units, passed.frame)
        past = starts[:, None] - np.arange(reach, 0, -1)  # indices, oldest first
        inside, past = past >= 0, np.maximum(past, 0)
        beside = self.relative_covariates(covariates, int(starts.max()) + steps)
        # Paths behind longer gaps go on beyond what is asked of others.
        ahead = np.minimum(np.arange(steps) + starts[:, None], len(beside) - 1)
        return Place(
            np.where(inside, with_last_seasons(units, self.design.season)[past], np.nan),
            np.where(inside, z[past], 0.0),
            inside & observed[past],
            passed.states[starts],
            beside[ahead],
        )

    def go_on(self, place: "Place", steps: int, rng: np.random.Generator) -> Array:
        """Paths from there, `(paths, steps)`."""
        frame, reach, season = self.frame, self.design.reach, self.design.season
        shape = (len(place.states), steps)
        counts = self.design.support == "counts"
        noise = np.zeros(shape)
        if not counts:
            scale = self.scales[rng.choice(len(WEIGHTS), p=WEIGHTS, size=shape)]
            noise = self.sigma * scale * rng.normal(size=shape)
        u, z, o = (np.pad(part, ((0, 0), (0, steps))) for part in place[:3])
        states, nothing = place.states, np.full(len(place.states), np.nan)
        drawn = np.empty(shape)
        for step in range(steps):
            t = reach + step
            now = frame.ahead(states, nothing if season is None else u[:, t - season])
            feats = self._row(z[:, :t], o[:, :t], now, place.beside[:, step])
            wider = np.exp(_sum(1 - o[:, t - len(self.widths) : t][:, ::-1], self.widths))
            value = feats @ self.weights + wider * noise[:, step]
            found = now.level + np.exp(now.log_scale) * value
            drawn[:, step] = u[:, t] = self._count(found, rng) if counts else found
            z[:, t] = _squashed((u[:, t] - now.level) * np.exp(-now.log_scale))
            o[:, t] = True
            states = frame.behind(states, u[:, t], now)
        line = drawn * self.unit + self.center
        return _from_line(line, self.design.support)

    def _count(self, units: Array, rng: np.random.Generator) -> Array:
        """Counts around means, as a `NegativeBinomial` draws them: Poisson, of a gamma rate."""
        rate = rng.gamma(1 / self.dispersion, self.dispersion * self._mean(units))
        counts: Array = rng.poisson(np.minimum(rate, _MOST)).astype("float64")
        return (counts - self.center) / self.unit

    def _mean(self, units: Array) -> Array:
        """The mean of counts for which a network puts this out."""
        mean = np.clip(units * self.unit + self.center, -_MOST, _MOST)
        positive: Array = 0.5 * (mean + np.sqrt(mean**2 + FLOOR**2))
        return positive

    def relative_covariates(self, covariates: Array | None, steps: int) -> Array:
        """Covariates and how they differ from those of the level, `(steps, 2 * covariates)`."""
        if covariates is None:
            return np.zeros((steps, 0))
        found, lag = covariates[:steps], level_lag(self.design.normalization, self.design.season)
        if lag is None:
            return found
        before = np.concatenate([np.zeros_like(found[:lag]), found])[:steps]
        return np.concatenate([found, found - before], axis=1)

    def features(self, units: Array, frame: Frame, beside: Array) -> tuple[Array, Array, Any]:
        """The features of each step, `(steps, features)`, and the values and masks."""
        z, o = _relative(units, frame)
        reach = self.design.reach
        both = [np.pad(part.astype(float), (reach, 0)) for part in (z, o)]
        windows = [np.lib.stride_tricks.sliding_window_view(p, reach)[: len(z)] for p in both]
        return self._row(windows[0], windows[1], frame.take(slice(-1)), beside), z, o

    def _row(self, z: Array, o: Any, frame: Frame, beside: Array) -> Array:
        """Features of a step from the values and masks before it, `(rows, steps)`."""
        lags = self.design.lags
        recent = np.stack([z[:, -lags:], o[:, -lags:]], -1).reshape(len(z), -1)
        narrow = np.exp(-frame.log_scale)
        moves = [_squashed((part - frame.level) * narrow) for part in (frame.mean, frame.last)]
        far = [part[:, -lag] for lag in self.design.far_lags for part in (z, o)]
        log_scale = frame.log_scale - frame.log_usual
        return np.column_stack([recent, log_scale, *moves, *far, beside, np.ones(len(z))])


class Place(NamedTuple):
    """Where paths begin: the steps behind them, the oldest first, and what is known ahead.

    Attributes:
        units, z, observed: `(paths, reach)`.
        states: of the frame.
        beside: covariates of the steps ahead, `(paths, steps, …)`.
    """

    units: Array
    z: Array
    observed: Any
    states: Array
    beside: Array


def _relative(units: Array, frame: Frame) -> tuple[Array, Any]:
    """The distances of steps from their levels in scales, 0 where missing; and masks."""
    observed = np.isfinite(units)
    z = (np.nan_to_num(units) - frame.level[:-1]) * np.exp(-frame.log_scale[:-1])
    return _squashed(observed * z), observed


def spread_of(units: Array, design: Design) -> float:
    """The root mean square of the distances from the level."""
    passed = LinearForecaster(design).frame.along(units)
    apart = (units - passed.frame.level[:-1])[min(design.season or 1, len(units) // 3) :]
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


def _there(features: Array, design: Design) -> Array:
    """1 where a feature is there, 0 where it is of a step that is missing."""
    values = 2 * np.arange(design.lags + len(design.far_lags))
    values[design.lags :] += 3  # those of the frame are between
    found = np.ones(features.shape)
    found[:, values] = features[:, values + 1]
    # Without gaps the last value that was observed is that of the last step.
    found[:, 2 * design.lags + 2] = features[:, 2 * design.lags - 1]
    return found


def _ridge(
    features: Array, z: Array, design: Design, beside: int, there: Array
) -> tuple[Array, float]:
    """Weights, and the standard deviation of errors of new data; the last are of covariates.

    The moments of features are those over the steps at which they are there.
    """
    count, ridge = features.shape[1], design.ridge
    if math.isinf(ridge) and beside:
        # What covariates say is learned in any case.
        own = np.arange(count - 1 - beside, count - 1 + int(design.drift))
        weights = np.zeros(count)
        learned = replace(design, ridge=_RIDGE_OF_COVARIATES)
        weights[own], sigma = _ridge(features[:, own], z, learned, 0, there[:, own])
        return weights, sigma
    if math.isinf(ridge):
        weights = np.zeros(count)
        weights[-1] = design.drift * z.mean()
        return weights, max(float(np.sqrt(np.mean((z - weights[-1]) ** 2))), 1e-2)
    share = np.maximum(there.mean(axis=0), 1 / len(z))
    scale = (there * features).std(axis=0) / np.sqrt(share) + 1e-3
    if (features[:, -1] == 1).all():  # the constant
        scale[-1] = 1.0
    standard = features / scale
    some = there * standard
    gram, moments = some.T @ some, some.T @ z / share
    if (share < 1).any():
        gram = _positive(gram * len(z) / np.maximum(there.T @ there, 1))
    penalized = gram + ridge * np.eye(count)
    weights = np.linalg.solve(penalized, moments)
    free = min(float(np.trace(np.linalg.solve(penalized, gram))), 0.8 * len(z))
    errors = np.mean((z - standard @ weights) ** 2)
    # The errors of data that were not fitted are larger (Akaike's final prediction error).
    errors *= (len(z) + free) / (len(z) - free)
    return weights / scale, max(float(np.sqrt(errors)), 1e-2)


def _positive(gram: Array) -> Array:
    """The nearest matrix of moments: those of different steps need not be any."""
    values, vectors = np.linalg.eigh(gram)
    found: Array = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return found


def _widths(gone: Array, errors: Array) -> tuple[Array, float]:
    """By what errors are wider behind missing steps, and narrower behind none.

    A regression of their squares with a log link (gamma, iterated least squares).
    """
    gone = gone[:, np.cumprod(gone.sum(axis=0) >= _OFTEN) > 0]
    if not gone.shape[1] or (gone.sum(axis=0) == len(gone)).any():
        return np.zeros(0), 1.0
    x, squares = np.column_stack([np.ones(len(gone)), gone]), np.minimum(errors**2, _FAR)
    found = np.zeros(x.shape[1])
    for _ in range(10):
        expected = np.exp(np.clip(x @ found, -5, 5))
        found = np.linalg.lstsq(x, x @ found + squares / expected - 1, rcond=None)[0]
        found = np.clip(found, -_WIDEST, _WIDEST)
    return found[1:] / 2, math.exp(found[0] / 2)


def _sum(gone: Array, widths: Array) -> Array:
    """By what the log of each deviation is larger."""
    found: Array = gone[:, : len(widths)] @ widths
    return found


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


def to_line(x: Array, support: Any) -> Array:
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
