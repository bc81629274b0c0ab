"""The mean of several linear autoregressions of one frame, which is one again.

Where several designs forecast windows about as well, which of them is best there is chance; their
mean is hardly ever far from the best and often better (Bates & Granger. The Combination of
Forecasts. Operational Research Quarterly 20, 1969. https://doi.org/10.1057/jors.1969.103).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kerasar.forecasting.linear import Array, Design, LinearForecaster

#: Designs of one frame, and the share of each.
Mix = tuple[tuple[Design, float], ...]


def fit_blend(
    x: Array,
    mix: Mix,
    known: dict[Any, Any] | None = None,
    covariates: Array | None = None,
) -> LinearForecaster:
    """The mean of what several designs learn of a series.

    Arguments as for `LinearForecaster.fit`.
    """
    known = {} if known is None else known
    models = [LinearForecaster.fit(x, design, known, covariates) for design, _ in mix]
    return blend(models, [share for _, share in mix])


def blend(models: Sequence[LinearForecaster], shares: Sequence[float]) -> LinearForecaster:
    """The mean of models of one series whose levels and scales are the same.

    Args:
        models: fitted to one series, with designs of one frame.
        shares: of each, positive, with a sum of 1.
    """
    if len(models) == 1:
        return models[0]
    design = blended([model.design for model in models])
    weights = sum(
        share * _spread_out(model, design) for model, share in zip(models, shares, strict=True)
    )
    mean = np.dot(shares, [model.sigma for model in models])
    tails = float(np.dot(shares, [model.tails for model in models]))
    widths = np.zeros(max(len(model.widths) for model in models))
    for model, share in zip(models, shares, strict=True):
        widths[: len(model.widths)] += share * model.widths
    found = replace(models[0], design=design, weights=np.asarray(weights), sigma=mean)
    dispersion = float(np.dot(shares, [model.dispersion for model in models]))
    return replace(found, tails=tails, widths=widths, dispersion=dispersion)


def blended(designs: Sequence[Design]) -> Design:
    """What sees all that some designs see."""
    seasons = sorted({season for design in designs for season in design.seasons})
    return replace(
        designs[0],
        lags=max(design.lags for design in designs),
        seasons=tuple(seasons),
        cycles=max(design.cycles for design in designs),
        ridge=min(design.ridge for design in designs),
    )


def _spread_out(model: LinearForecaster, design: Design) -> Array:
    """The weights of a model in the order of a design that sees more."""
    own = model.design
    pairs = {own.lags - i: model.weights[2 * i : 2 * i + 2] for i in range(own.lags)}
    frame = model.weights[2 * own.lags : 2 * own.lags + 3]
    rest = model.weights[2 * own.lags + 3 :]
    pairs |= {lag: rest[2 * i : 2 * i + 2] for i, lag in enumerate(own.far_lags)}
    lags = [*range(design.lags, 0, -1), *design.far_lags]
    found = np.concatenate([pairs.get(lag, np.zeros(2)) for lag in lags])
    beside = rest[2 * len(own.far_lags) :]
    cut = 2 * design.lags
    return np.concatenate([found[:cut], frame, found[cut:], beside])
