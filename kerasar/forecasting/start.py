"""Gives a `Forecaster` the weights of linear autoregressions, to begin its training with."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kerasar.distributions import GaussianMixture, Independent, NegativeBinomial, StudentT
from kerasar.forecasting.linear import SCALES, WEIGHTS, LinearForecaster


def start_from(model: Any, fitted: Sequence[LinearForecaster]) -> None:
    """Sets the linear part of a network to linear autoregressions, one for each variable.

    The model then draws what they draw, up to rounding, with Gaussian errors of one scale if its
    mixture has one component, else of several.

    Args:
        model: of `kerasar.models.Forecaster`, with the likelihood and arguments of the `Choice`.
        fitted: the autoregressions of the `Choice`.
    """
    recent = model.network.get_layer("linear_recent")
    known = model.network.get_layer("linear_known")
    inside, count = model.likelihood.likelihood, len(fitted)
    near, far = (np.zeros(layer.kernel.shape, "float32") for layer in (recent, known))
    bias = np.zeros(known.bias.shape, "float32")
    beside = fitted[0].num_beside
    for variable, linear in enumerate(fitted):
        columns = _Columns.of(inside, variable)
        lags = linear.design.lags
        own = [variable, count + variable]  # value and mask
        for means in columns.means:
            near[:, own, means] = linear.weights[: 2 * lags].reshape(lags, 2)
            # The known features are blocks of all variables, each in the order of `_row`; those of
            # covariates are there once.
            own_known = (len(far) - beside) // count
            weights = linear.weights[2 * lags : -1]
            far[variable : count * own_known : count, means] = weights[:own_known]
            far[count * own_known :, means] = weights[own_known:]
            bias[means] = linear.weights[-1]
        for i, width in enumerate(linear.widths):  # of the last step, and of those before it
            near[lags - 1 - i, count + variable, columns.log_scales] = -width
        several = len(columns.logits) == len(SCALES)
        for k, logit in enumerate(columns.logits):
            bias[logit] = math.log(WEIGHTS[k]) if several else 0.0
        for k, place in enumerate(columns.log_scales):
            scale = linear.sigma * (float(linear.scales[k]) if several else 1.0)
            bias[place] = math.log(scale) + float(linear.widths.sum())
        for place in columns.log_dispersions:
            bias[place] = math.log(linear.dispersion)
    recent.kernel.assign(near)
    known.kernel.assign(far)
    known.bias.assign(bias)


@dataclass(frozen=True)
class _Columns:
    """Which parameters of a likelihood are those of one variable, an index for each component."""

    means: list[int]
    log_scales: list[int] = field(default_factory=list)
    logits: list[int] = field(default_factory=list)
    log_dispersions: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, likelihood: Any, variable: int) -> "_Columns":
        if isinstance(likelihood, Independent):
            own = cls.of(likelihood.likelihood, 0)
            first = variable * likelihood.likelihood.num_parameters()
            parts = (own.means, own.log_scales, own.logits, own.log_dispersions)
            return cls(*([first + i for i in part] for part in parts))
        if isinstance(likelihood, StudentT):
            return cls([0], [1])
        if isinstance(likelihood, NegativeBinomial):
            return cls([0], log_dispersions=[1])
        if not isinstance(likelihood, GaussianMixture):
            raise TypeError(
                "A start from linear autoregressions is for a GaussianMixture, a StudentT, a "
                "NegativeBinomial or an Independent of such, but the likelihood is a "
                f"{type(likelihood).__name__}."
            )
        components, width = likelihood.num_components, likelihood.num_variables or 1
        each = [k * width + variable for k in range(components)]
        return cls(
            [components + i for i in each],
            [components + components * width + i for i in each],
            list(range(components)),
        )
