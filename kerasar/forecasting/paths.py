"""What a forecast gives: paths into the future, their quantiles, and files of them."""

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.arguments import checks_arguments
from kerasar.checks import user_path
from kerasar.data.frequency import Times, time_text
from kerasar.data.plain_text import csv_cell
from kerasar.statistics import quantiles


@dataclass(frozen=True, eq=False)  # eq=False: comparing arrays gives no single truth
class Forecast:
    """Possible futures of a series, in its own units.

    Attributes:
        past: what was given, `(steps,)` or `(steps, variables)`.
        paths: `(num_paths, steps)` or `(num_paths, steps, variables)`.
        columns: the name of each variable.
        clipped: how many paths ran away and are held at the ends of what is possible.
        times: of the steps ahead, `datetime64[s]`, where they are known.
    """

    past: NDArray[Any]
    paths: NDArray[Any]
    columns: tuple[str, ...]
    clipped: int = 0
    times: Times | None = None

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
        """Writes a CSV file: a row for each path and step, counted from 1; a column a variable.

        Where times are known they are a column behind that of the steps.
        """
        _write(path, *self.path_rows())

    @checks_arguments
    def write_quantiles(
        self,
        path: str | os.PathLike[str],
        probabilities: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
    ) -> None:
        """Writes a CSV file: a row for each step; a column for each variable and probability."""
        _write(path, *self.quantile_rows(probabilities))

    def path_rows(self) -> tuple[list[str], Iterator[list[Any]]]:
        """The header and the rows of `write_paths`."""
        flat = self.paths.reshape(*self.paths.shape[:2], -1)
        moments = self._moments()
        rows = (
            [path_index, step, *moments[step - 1], *map(float, values)]
            for path_index, steps in enumerate(flat, 1)
            for step, values in enumerate(steps, 1)
        )
        return ["path", "step", *self._time_name(), *self.columns], rows

    def quantile_rows(
        self, probabilities: Sequence[float]
    ) -> tuple[list[str], Iterator[list[Any]]]:
        """The header and the rows of `write_quantiles`."""
        found = self.quantiles(probabilities)
        flat = found.reshape(*found.shape[:2], -1)  # (probabilities, steps, variables)
        names = [f"{name} {p:g}" for name in self.columns for p in probabilities]
        moments = self._moments()
        rows = (
            [step, *moments[step - 1], *flat[:, step - 1].T.reshape(-1).tolist()]
            for step in range(1, flat.shape[1] + 1)
        )
        return ["step", *self._time_name(), *names], rows

    def _moments(self) -> list[list[str]]:
        """The time of each step as cells: one, or none where it is not known."""
        if self.times is None:
            return [[]] * self.paths.shape[1]
        return [[time_text(moment)] for moment in self.times]

    def _time_name(self) -> list[str]:
        return [] if self.times is None else ["time"]


def _write(path: str | os.PathLike[str], header: Sequence[str], rows: Any) -> None:
    with open(user_path(path), "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(map(csv_cell, header))
        csv.writer(file).writerows(rows)
