"""Forecasts: continuations of a series, drawn many times, and their quantiles."""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from kerasar.arguments import checks_arguments
from kerasar.causality import receptive_field
from kerasar.checks import check_count, check_kind, check_memory, user_path
from kerasar.data import SeriesData
from kerasar.data.plain_text import csv_cell
from kerasar.distributions.likelihoods import Likelihood
from kerasar.statistics import quantiles
from kerasar.typing import Shape


class SequenceModel(Protocol):
    """An `AutoregressiveModel` of sequences: a protocol, for the class is a floor above."""

    name: str
    network: keras.Model
    likelihood: Likelihood
    data_shape: Shape

    def sample(self, num_samples: int = 1, seed: int = 0, **options: Any) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)  # eq=False: comparing arrays gives no single truth
class Forecast:
    """Possible futures of a series, in its own units.

    Attributes:
        past: what was given, `(steps,)` or `(steps, variables)`.
        paths: `(num_paths, steps)` or `(num_paths, steps, variables)`.
        columns: the name of each variable.
    """

    past: NDArray[Any]
    paths: NDArray[Any]
    columns: tuple[str, ...]

    @checks_arguments
    def quantiles(self, probabilities: Sequence[float]) -> NDArray[np.float64]:
        """The value below which the series stays with each probability, at each step.

        Returns:
            `(probabilities, steps)` or `(probabilities, steps, variables)`.
        """
        for p in probabilities:
            if not 0 < p < 1:
                raise ValueError(f"probabilities must lie between 0 and 1, but one of them is {p}.")
        found: NDArray[np.float64] = quantiles(self.paths, list(probabilities))
        return found

    def write_paths(self, path: str | os.PathLike[str]) -> None:
        """Writes a CSV file: a row for each path and step, counted from 1; a column a variable."""
        flat = self.paths.reshape(*self.paths.shape[:2], -1)
        rows = (
            [path_index, step, *map(float, values)]
            for path_index, steps in enumerate(flat, 1)
            for step, values in enumerate(steps, 1)
        )
        _write(path, ["path", "step", *self.columns], rows)

    @checks_arguments
    def write_quantiles(
        self,
        path: str | os.PathLike[str],
        probabilities: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
    ) -> None:
        """Writes a CSV file: a row for each step; a column for each variable and probability."""
        found = self.quantiles(probabilities)
        flat = found.reshape(*found.shape[:2], -1)  # (probabilities, steps, variables)
        names = [f"{name} {p:g}" for name in self.columns for p in probabilities]
        rows = (
            [step, *flat[:, step - 1].T.reshape(-1).tolist()]
            for step in range(1, flat.shape[1] + 1)
        )
        _write(path, ["step", *names], rows)


@checks_arguments
def forecast(
    model: SequenceModel,
    past: Any,
    steps: int,
    num_paths: int = 200,
    seed: int = 0,
    series: SeriesData | None = None,
    context: int | None = None,
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
            the variables, too.
        context: int. How many of the last steps of `past` the model gets to see. None takes what
            it can use: the reach of its receptive field, at most what fits into its length.
        **options: `temperature`, `condition`, `method` and so on, as for `model.sample`.

    Returns:
        A `Forecast`.

    Raises:
        ValueError, TypeError: for arguments that do not fit, before any work is done.

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
    kept = encoded[-_context(model, context, steps, len(encoded)) :]
    size = {"length": len(kept) + steps} if model.data_shape[0] is None else {}
    drawn = model.sample(num_paths, seed=seed, prompt=kept, **size, **options)[:, len(kept) :]
    columns = tuple(str(i) for i in range(encoded.shape[1] if encoded.ndim == 2 else 1))
    if series is not None:
        drawn, columns = series.decode(drawn), series.columns
    return Forecast(given, drawn, columns)


def _context(model: SequenceModel, context: int | None, steps: int, time: int) -> int:
    """How many of the last steps of the past the model gets."""
    length = model.data_shape[0]
    if length is not None:
        if not 0 < length - steps <= time:
            raise ValueError(
                f"Model '{model.name}' is built for sequences of {length} steps, past and forecast "
                f"together, but got steps={steps} and a past of {time}. Build it with an open "
                "length (None), which has no such bounds."
            )
        return int(length) - steps
    if context is not None:
        return check_count(context, "context", most=None)
    try:
        reach = receptive_field(model.network, model.likelihood.event_rank).reach
    except ValueError:  # a layer that does not declare what it sees
        reach = None
    return time if reach is None else max(reach, 1)


def _write(path: str | os.PathLike[str], header: Sequence[str], rows: Any) -> None:
    with open(user_path(path), "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(map(csv_cell, header))
        csv.writer(file).writerows(rows)
