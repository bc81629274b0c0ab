"""Whether training has made forecasts better than those of the start."""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kerasar.data import PanelData
from kerasar.forecasting.backtest import backtest
from kerasar.forecasting.backtest_panel import backtest_panel
from kerasar.forecasting.draw import SequenceModel, context_of, covariate_rows
from kerasar.forecasting.scores import crps

#: Places from which both forecast (twice as many on a long part), and paths of each.
_PLACES, _PATHS = 12, 100
#: How many series of a panel are forecast.
_SERIES = 100
#: How many horizons the part must have for a mean over it to be trusted; of a shorter one by how
#: many standard errors the mean must be better.
_LONG, _BEYOND = 4, 1.0
#: By what part CRPS of one series may be worse where it is a standard deviation worse than in the
#: mean: its held-out part is one time of it, such as one month of a year, and others will differ.
_RISK = 0.07


class JudgedModel(SequenceModel, Protocol):
    """An `AutoregressiveModel` of sequences."""

    def log_prob_map(self, x: Any, condition: Any = None) -> NDArray[Any]: ...


def learned_more(
    model: JudgedModel,
    start: list[Any],
    series: Any,
    horizon: int,
    first: int,
    covariates: Any = None,
) -> bool:
    """Whether a model forecasts better than with the weights of its start.

    Both forecast from the same places of a part that is in neither's training, with the same noise.
    A likelihood is that of the next step: it may rise while paths go astray. And the centers of
    paths may be better by chance, while training has made the bands too narrow, which the
    likelihood of the part punishes: neither may be worse.

    Args:
        model: a trained `Forecaster`; it keeps its weights.
        start: those of its start, as `model.get_weights()` gives them.
        series: `(steps,)` or `(steps, variables)`.
        horizon: steps of each forecast.
        first: where the part begins.
        covariates: as for `kerasar.backtest`.

    Returns:
        True if the mean log of CRPS is lower, on a short part by more than a standard error, at no
        risk of being much higher elsewhere, and the part is no less likely.
    """
    horizon = min(horizon, len(series) - first)
    is_long = len(series) - first >= _LONG * horizon
    trained = model.get_weights()
    logs, nats = [], []
    for weights in (start, trained):
        model.set_weights(weights)
        nats.append(_nats(model, series, horizon, first, covariates))
        found = backtest(
            model,
            series,
            horizon,
            (1 + is_long) * _PLACES,
            first,
            num_paths=_PATHS,
            covariates=covariates,
            verbose=False,
        )
        score = crps(np.moveaxis(found.paths, 3, 1), np.moveaxis(found.actual, 2, 1), fair=False)
        least = 1e-9 * (float(np.nanstd(series)) + 1e-30)
        logs.append(np.log(np.maximum(np.nanmean(score, axis=2), least)).mean(axis=1))
    gains = logs[0] - logs[1]
    is_better = nats[1] <= nats[0] and _is_beyond(gains, 0.0 if is_long else _BEYOND)
    return is_better and float(gains.mean() - gains.std()) > -_RISK


def _nats(model: JudgedModel, series: Any, horizon: int, first: int, covariates: Any) -> float:
    """-log p of all that follows `first`, given what is before; what is missing adds nothing."""
    kept = context_of(model, None, horizon, [series[:first]])
    rows = covariate_rows(model, covariates, [first], kept, len(series) - first)
    x = np.asarray(series, "float32")[None, first - kept :]
    return -float(model.log_prob_map(x, rows)[:, kept:].sum(dtype="float64"))


def learned_more_of_panel(
    model: SequenceModel,
    start: list[Any],
    panel: PanelData,
    horizon: int,
    held_out: Sequence[int],
) -> bool:
    """Whether a model forecasts the series of a panel better than with the weights of its start.

    Args:
        model, start, horizon: as for `learned_more`.
        panel: the series that the model was trained on.
        held_out: how many of the last steps of each training part were not in the training.

    Returns:
        True if the mean log of CRPS over series is lower by more than a standard error.
    """
    chosen = np.random.default_rng(0).permutation(len(panel))[:_SERIES]
    origins = {
        panel.series[i].name: [len(panel.series[i].train) - held_out[i]] for i in sorted(chosen)
    }
    steps = min(horizon, max(held_out[i] for i in chosen))
    trained = model.get_weights()
    logs = []
    for weights in (start, trained):
        model.set_weights(weights)
        found = backtest_panel(
            model, panel, steps, origins, num_paths=_PATHS, train_only=True, verbose=False
        )
        each = np.array([part["crps"] for part in found.by_series.values()])
        logs.append(np.log(np.maximum(each, 1e-30)))
    gains = logs[0] - logs[1]
    return _is_beyond(gains[np.isfinite(gains)], _BEYOND)


def _is_beyond(gains: NDArray[np.float64], errors: float) -> bool:
    """Whether a mean is above 0 by more than so many standard errors."""
    if len(gains) < 3 or not np.isfinite(gains).all():
        return False
    return float(gains.mean()) > errors * float(gains.std(ddof=1)) / math.sqrt(len(gains))
