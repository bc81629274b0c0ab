"""Gives a `Forecaster` the weights of linear autoregressions, to begin its training with."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasar.distributions import GaussianMixture, Independent
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
    for variable, linear in enumerate(fitted):
        columns = _Columns.of(inside, variable)
        lags = linear.design.lags
        own = [variable, count + variable]  # value and mask
        for means in columns.means:
            near[:, own, means] = linear.weights[: 2 * lags].reshape(lags, 2)
            # The known features are blocks of all variables, each in the order of `_row`.
            far[variable::count, means] = linear.weights[2 * lags : -1]
            bias[means] = linear.weights[-1]
        several = len(columns.logits) == len(SCALES)
        for k, logit in enumerate(columns.logits):
            bias[logit] = math.log(WEIGHTS[k]) if several else 0.0
            scale = linear.sigma * (float(linear.scales[k]) if several else 1.0)
            bias[columns.log_scales[k]] = math.log(scale)
    recent.kernel.assign(near)
    known.kernel.assign(far)
    known.bias.assign(bias)


class _Columns:
    """Which parameters of a likelihood are those of one variable, an index for each component."""

    def __init__(self, logits: list[int], means: list[int], log_scales: list[int]) -> None:
        self.logits, self.means, self.log_scales = logits, means, log_scales

    @classmethod
    def of(cls, likelihood: Any, variable: int) -> "_Columns":
        if isinstance(likelihood, Independent):
            own = cls.of(likelihood.likelihood, 0)
            first = variable * likelihood.likelihood.num_parameters()
            parts = (own.logits, own.means, own.log_scales)
            return cls(*([first + i for i in part] for part in parts))
        if not isinstance(likelihood, GaussianMixture):
            raise TypeError(
                "A start from linear autoregressions is for a GaussianMixture, or an Independent "
                f"of such, but the likelihood is a {type(likelihood).__name__}."
            )
        components, width = likelihood.num_components, likelihood.num_variables or 1
        each = [k * width + variable for k in range(components)]
        return cls(
            list(range(components)),
            [components + i for i in each],
            [components + components * width + i for i in each],
        )
