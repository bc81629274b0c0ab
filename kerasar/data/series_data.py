"""The result of the reader of series: a part to train on, and the part after it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.checks import as_array
from kerasar.data.calendar import calendar_columns
from kerasar.data.frequency import Frequency, Times
from kerasar.data.mean_and_scale import mean_and_scale
from kerasar.data.quantizer import Quantizer


@dataclass(frozen=True, eq=False)  # eq=False: comparing arrays gives no single truth
class SeriesData:
    """A series in its order, cut once into a training and a test part.

    Attributes:
        name: the name of the data.
        train: `(steps,)` for one variable, `(steps, variables)` for several; float32, or int32
            codes in `[0, levels)` for a quantized series.
        test: the steps after those.
        columns: the name of each variable.
        quantizer: what determines the levels, None for real values.
        times: of all steps, `datetime64[s]`; None if the file has none.
        frequency: the time from one step to the next, if there are times.
        left_out: columns of numbers that only count the rows.
        covariates: columns that are known of each step before it comes, `(steps or more,
            covariates)`, float32: those of steps ahead come behind.
        covariate_columns: their names.
        calendar: whether the calendar gives covariates, too.
        statics: what holds for the whole series, `(statics,)`: covariates that never change.
        undated: where there are no times, a column that is called as if it held such, and what it
            holds.
    """

    name: str
    train: NDArray[Any]
    test: NDArray[Any]
    columns: tuple[str, ...]
    quantizer: Quantizer | None = None
    times: Times | None = None
    frequency: Frequency | None = None
    left_out: tuple[str, ...] = ()
    covariates: NDArray[Any] | None = None
    covariate_columns: tuple[str, ...] = ()
    calendar: bool = False
    statics: NDArray[np.float32] | None = None
    undated: tuple[str, str] | None = None

    @property
    def levels(self) -> int | None:
        """The number of values of a variable; None for real values."""
        return None if self.quantizer is None else self.quantizer.levels

    @property
    def num_variables(self) -> int | None:
        """The number of variables of a step; None if a step is a scalar."""
        return None if self.train.ndim == 1 else int(self.train.shape[1])

    @property
    def mean(self) -> Any:
        """The mean of the training part: a float, or one for each variable."""
        return self._units[0]

    @property
    def scale(self) -> Any:
        """The standard deviation of the training part: a float, or one for each variable."""
        return self._units[1]

    @property
    def whole(self) -> NDArray[Any]:
        """The whole series in the units of the file, float32."""
        return self.decode(np.concatenate([self.train, self.test]))

    def covariates_of(self, steps: int) -> NDArray[np.float32] | None:
        """All covariates of the first steps, `(steps, covariates)`, or of as many as are known.

        None if the series has no covariates.
        """
        found = []
        if self.covariate_columns and self.covariates is not None:
            found.append(self.covariates[:steps])
        if self.calendar and self.times is not None and self.frequency is not None:
            ahead = self.frequency.after(self.times[-1], max(steps - len(self.times), 0))
            times = np.concatenate([self.times, ahead])[:steps]
            found.append(calendar_columns(times, self.frequency)[1])
        if self.statics is not None and len(self.statics):
            found.append(np.repeat(self.statics[None], min(map(len, found), default=steps), axis=0))
        if not found:
            return None
        rows = min(map(len, found))
        joined: NDArray[np.float32] = np.concatenate([part[:rows] for part in found], axis=1)
        return joined

    def times_after(self, past: NDArray[Any], steps: int) -> Times | None:
        """The times of the steps after the series, if `past` is all of it and they are known."""
        if self.times is None or self.frequency is None or len(past) != len(self.times):
            return None
        return self.frequency.after(self.times[-1], steps)

    def encode(self, values: Any) -> NDArray[Any]:
        """Values as the model takes them: float32, or levels if the series is quantized.

        Raises:
            ValueError: for values outside the quantized range.
        """
        if self.quantizer is None:
            return as_array(values, "values", "float32")
        return self.quantizer.encode(values)

    def decode(self, values: Any) -> NDArray[Any]:
        """Values of the model in the units of the file, float32."""
        if self.quantizer is None:
            return np.asarray(values, "float32")
        return self.quantizer.decode(values)

    @cached_property
    def _units(self) -> tuple[Any, Any]:
        if not np.isnan(self.train).any():
            return mean_and_scale(self.train, per_variable=self.num_variables is not None)
        columns = self.train.reshape(len(self.train), -1).T
        each = [mean_and_scale(column[~np.isnan(column)]) for column in columns]
        if self.num_variables is None:
            return each[0]
        means, scales = zip(*each, strict=True)
        return means, scales
