"""Forecasts: continuations of a series, drawn many times."""

from collections.abc import Sequence
from typing import Any, Protocol

import keras
import numpy as np

from kerasar.arguments import checks_arguments
from kerasar.causality import receptive_field
from kerasar.checks import check_choice, check_count, check_kind, check_memory
from kerasar.data import SeriesData
from kerasar.distributions.likelihoods import Likelihood
from kerasar.forecasting.gaps import missing_at_end
from kerasar.forecasting.paths import Forecast
from kerasar.forecasting.runaway import Limits, keep_within
from kerasar.typing import Shape


class SequenceModel(Protocol):
    """An `AutoregressiveModel` of sequences: a protocol, for the class is a floor above."""

    name: str
    network: keras.Model
    likelihood: Likelihood
    data_shape: Shape
    data_levels: int | None
    trained_length: int | None
    conditions: Any

    def get_weights(self) -> list[Any]: ...

    def set_weights(self, weights: list[Any]) -> None: ...

    def sample(self, num_samples: int = 1, seed: int = 0, **options: Any) -> np.ndarray: ...


@checks_arguments
def forecast(
    model: SequenceModel,
    past: Any,
    steps: int,
    num_paths: int = 200,
    seed: int = 0,
    series: SeriesData | None = None,
    context: int | None = None,
    on_runaway: str = "error",
    covariates: Any = None,
    **options: Any,
) -> Forecast:
    """Draws `num_paths` continuations of a series.

    Args:
        model: an `AutoregressiveModel` of sequences, best of open length.
        past: the series up to now, `(time,)` or `(time, variables)`.
        steps: int. How many steps to go on.
        num_paths: int. How many paths to draw.
        seed: as for `model.sample`.
        series: the data that the model was trained on, if `past` is in the units of its file and
            was quantized for training: values become levels, and what is drawn values again. Names
            the variables, too, and dates the steps if `past` is the whole of it.
        context: int. How many of the last steps of `past` the model gets to see. None takes what
            it can use: the reach of its receptive field, at most what it was trained on and what
            fits into its length.
        on_runaway: "error" or "clip": what happens if a path is not finite, or leaves a range ten
            times as wide as that of the data. "clip" holds it at the ends of that range, and a
            value that is no number at the one before; `clipped` of the result counts such paths.
        covariates: `(time + steps, covariates)` or longer, of a model that has some: a row for each
            step of `past`, and for each ahead. None takes those of `series`.
        **options: `temperature`, `condition`, `method` and so on, as for `model.sample`.

    Returns:
        A `Forecast`.

    Raises:
        ValueError, TypeError: for arguments that do not fit, before any work is done.
        FloatingPointError: if paths run away; the message says which, where and how many.

    Example:
        >>> import keras, kerasar
        >>> likelihood = kerasar.distributions.GaussianMixture()
        >>> model = kerasar.models.CausalConvNet(None, levels=None, likelihood=likelihood)
        >>> found = kerasar.forecast(model, past=[0.1, 0.4, 0.2], steps=4, num_paths=100)
        >>> found.paths.shape, found.quantiles([0.05, 0.95]).shape
        ((100, 4), (2, 4))
    """
    check_count(steps, "steps")
    check_count(num_paths, "num_paths")
    check_choice(on_runaway, "on_runaway", ("error", "clip"))
    check_memory("num_paths", num_paths, (num_paths, steps))
    if len(model.data_shape) == 3:
        raise ValueError("A forecast goes on with a sequence, but this model draws images.")
    given = check_kind(past, "past")
    encoded = given if series is None else series.encode(given)
    if encoded.ndim != len(model.data_shape) or not len(encoded):
        raise ValueError(
            f"past must be one series of shape {('time', *model.data_shape[1:])}, with at least "
            f"one step, but its shape is {encoded.shape}."
        )
    kept = encoded[-context_of(model, context, steps, [encoded]) :]
    size = {"length": len(kept) + steps} if model.data_shape[0] is None else {}
    if covariates is None and series is not None:
        covariates = series.covariates_of(len(encoded) + steps)
    rows = covariate_rows(model, covariates, [len(encoded)], len(kept), steps)
    if rows is not None:
        options["condition"] = np.repeat(rows, num_paths, axis=0)
    drawn = model.sample(num_paths, seed=seed, prompt=kept, **size, **options)[:, len(kept) :]
    columns = tuple(str(i) for i in range(encoded.shape[1] if encoded.ndim == 2 else 1))
    if series is not None:
        columns = series.columns
    clipped = 0
    if model.data_levels is None:
        known = [encoded] if series is None else [encoded, series.train, series.test]
        parts = [part.reshape(len(part), -1) for part in known if len(part)]
        limits = Limits.of(model.likelihood, *parts)
        paths = drawn.reshape(*drawn.shape[:2], -1)
        paths, clipped = keep_within(paths, limits, columns, on_runaway, model.name)
        drawn = paths.reshape(drawn.shape)
    if series is None:
        return Forecast(given, drawn, columns, clipped)
    return Forecast(given, series.decode(drawn), columns, clipped, series.times_after(given, steps))


def covariate_rows(
    model: SequenceModel, covariates: Any, origins: Sequence[int], kept: int, steps: int
) -> np.ndarray | None:
    """The covariates of the steps that a model sees and draws, `(origins, kept + steps, …)`.

    Args:
        model: which has the condition `covariates`, or not.
        covariates: from the first step of the series on.
        origins: how many steps are known, of each forecast.
        kept: how many of these the model sees.
        steps: ahead.

    Raises:
        ValueError: if they are missing, superfluous, not finite or end before the forecast.
    """
    takes = model.conditions.shapes.get("covariates")
    if takes is None:
        if covariates is not None:
            raise ValueError(
                f"Model '{model.name}' takes no covariates, but got some. Leave them out, or build "
                "a kerasar.models.Forecaster with covariates=…."
            )
        return None
    if covariates is None:
        raise ValueError(
            f"Model '{model.name}' takes {takes[-1]} covariates of each step, ahead as well. Pass "
            "covariates=…."
        )
    array = check_kind(covariates, "covariates").astype("float32")
    if array.ndim != 2 or array.shape[1] != takes[-1]:
        raise ValueError(
            f"covariates must have the shape (time + steps, {takes[-1]}), but theirs is "
            f"{array.shape}."
        )
    last = max(origins) + steps
    if len(array) < last:
        raise ValueError(
            f"A forecast of {steps} steps behind {max(origins)} needs the covariates of {last} "
            f"steps, but there are {len(array)}. Add rows for the steps ahead, or ask for "
            f"{max(len(array) - max(origins), 0)} steps."
        )
    found = np.stack([array[origin - kept : origin + steps] for origin in origins])
    if not np.isfinite(found).all():
        step = int(np.argwhere(~np.isfinite(found))[0][1]) + origins[0] - kept
        raise ValueError(
            f"covariates must be finite, but are not near step {step}. Fill in what is missing."
        )
    return found


def context_of(
    model: SequenceModel, context: int | None, steps: int, pasts: Sequence[np.ndarray]
) -> int:
    """How many of the last steps of each past the model gets, at most the steps of the longest.

    What is missing at the end of a past comes besides, for it is drawn as the steps ahead are.
    """
    length = model.data_shape[0]
    if length is not None:
        time = min(map(len, pasts))
        if not 0 < length - steps <= time:
            raise ValueError(
                f"Model '{model.name}' is built for sequences of {length} steps, past and forecast "
                f"together, but got steps={steps} and a past of {time}. Build it with an open "
                "length (None), which has no such bounds."
            )
        return int(length) - steps
    time = max(map(len, pasts))
    if context is None:
        seen = longest_context(model)
    else:
        seen = check_count(context, "context", most=None)
    return time if seen is None else min(seen + max(map(missing_at_end, pasts)), time)


def longest_context(model: SequenceModel) -> int | None:
    """How many steps of the past a model of open length can use; None: all.

    The reach of its receptive field, at most what it was trained on.
    """
    try:
        reach = receptive_field(model.network, model.likelihood.event_rank).reach
    except ValueError:  # a layer that does not declare what it sees
        reach = None
    known = [max(reach, 1)] if reach is not None else []
    known += [] if model.trained_length is None else [model.trained_length]
    return min(known, default=None)
