"""A linear autoregression of many series at once, each relative to its own level and scale."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasar.forecasting.blend import Mix, blend
from kerasar.forecasting.frame import Frame
from kerasar.forecasting.gaps import behind_gaps, missing_at_end
from kerasar.forecasting.linear import (
    Array,
    Design,
    LinearForecaster,
    Place,
    spread_of,
    to_line,
)

#: Steps behind the first season whose scales are not yet known well.
_WARM = 3


def fit_pooled(
    series: Sequence[Array],
    mix: Mix,
    known: dict[Any, Any] | None = None,
    covariates: Sequence[Array] | None = None,
) -> LinearForecaster:
    """The mean of what several designs learn of many series.

    Args:
        series: each `(steps,)`; NaN is missing.
        mix: designs with `own_scale`, of one frame.
        known: where is kept what other designs for the same series need, too.
        covariates: of each, standardized, `(steps or more, covariates)`.
    """
    known = {} if known is None else known
    models = [_fit(series, design, known, covariates) for design, _ in mix]
    return blend(models, [share for _, share in mix])


def warm_up(season: int | None, steps: int) -> int:
    """How many steps at the beginning of a series say what its scale is."""
    return min((season or 1) + _WARM, steps // 2)


def _fit(
    series: Sequence[Array],
    design: Design,
    known: dict[Any, Any],
    covariates: Sequence[Array] | None,
) -> LinearForecaster:
    lines = [to_line(x, design.support) for x in series]
    model = LinearForecaster(design, *_units(lines))
    units = [(line - model.center) / model.unit for line in lines]
    key = ("frames", tuple(map(len, series)), design.frame)
    if key not in known:
        spread = float(np.median([spread_of(one, design) for one in units]))
        model.spread = spread
        known[key] = spread, [model.frame.along(one) for one in units]
    model.spread, passed = known[key]
    features, targets, frames, count = [], [], [], 0
    for i, (one, along) in enumerate(zip(units, passed, strict=True)):
        beside = model.relative_covariates(None if covariates is None else covariates[i], len(one))
        found, z, observed = model.features(one, along.frame, beside)
        rows = observed.copy()
        rows[: warm_up(design.season, len(one))] = False
        features.append(found[rows])
        targets.append(z[rows])
        frames.append((series[i][rows], along.frame.take(slice(-1)).take(rows)))
        count = beside.shape[1]
    model.learn(np.concatenate(features), np.concatenate(targets), count)
    values = np.concatenate([x for x, _ in frames])
    frame = Frame(*map(np.concatenate, zip(*(each for _, each in frames), strict=True)))
    model.learn_dispersion(values, np.concatenate(features), frame)
    return model


def _units(lines: Sequence[Array]) -> tuple[float, float]:
    """A center and a unit in which numbers of most series are not far from 1."""
    center = float(np.median([np.nanmean(line) for line in lines]))
    spreads = [float(np.nanstd(line)) for line in lines]
    return center, float(np.median([spread for spread in spreads if spread > 0] or [1.0]))


def simulate_pooled(
    model: LinearForecaster,
    series: Sequence[Array],
    origins: Sequence[int],
    steps: int,
    paths: int,
    seed: int = 0,
    covariates: Sequence[Array] | None = None,
    known: Sequence[dict[Any, Any]] | None = None,
) -> Array:
    """Paths from one origin of each series, `(series, paths, steps)`.

    In `known` is kept what other models of the same frame need of each series, too.
    """
    known = [{} for _ in series] if known is None else known
    gaps = [missing_at_end(x[:origin]) for x, origin in zip(series, origins, strict=True)]
    starts = [origin - gap for origin, gap in zip(origins, gaps, strict=True)]
    steps_drawn = steps + max(gaps)
    begun = [
        model.place(
            x[:start],
            np.full(paths, start),
            steps_drawn,
            known[i],
            None if covariates is None else covariates[i],
        )
        for i, (x, start) in enumerate(zip(series, starts, strict=True))
    ]
    joined = Place(*(np.concatenate(parts) for parts in zip(*begun, strict=True)))
    drawn = model.go_on(joined, steps_drawn, np.random.default_rng(seed))
    return behind_gaps(drawn.reshape(len(series), paths, steps_drawn), gaps, steps)
