"""The result of the reader of panels: many series of one kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.data.series_data import SeriesData


@dataclass(frozen=True, eq=False)  # eq=False: comparing arrays gives no single truth
class PanelData:
    """Many series of one variable, each in its order and cut into a training and a test part.

    Attributes:
        name: the name of the data.
        series: each with its own name, times and length.
        column: the name of the variable.
        static_columns: the names of what holds for whole series.
        categories: the values of those of them that are texts, by name.
    """

    name: str
    series: tuple[SeriesData, ...]
    column: str
    static_columns: tuple[str, ...] = ()
    categories: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.series)

    @property
    def names(self) -> list[str]:
        """The name of each series."""
        return [one.name for one in self.series]

    @property
    def train(self) -> list[NDArray[Any]]:
        """The training part of each, `(steps,)`."""
        return [one.train for one in self.series]

    @property
    def whole(self) -> dict[str, NDArray[Any]]:
        """All steps of each, by name."""
        return {one.name: one.whole for one in self.series}

    def covariates_of(self, train_only: bool = False) -> list[NDArray[np.float32]] | None:
        """The covariates of each series, of all steps that are known; None if there are none."""
        found = []
        for one in self.series:
            steps = len(one.train) + (0 if train_only else len(one.test))
            known = one.covariates_of(steps)
            if known is None:
                return None
            found.append(known)
        return found
