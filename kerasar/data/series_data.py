"""What the reader of series hands back: the past to learn from, and what came after it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.data.mean_and_scale import mean_and_scale
from kerasar.data.quantizer import Quantizer


@dataclass(frozen=True, eq=False)  # eq=False: comparing arrays gives no single truth
class SeriesData:
    """A series in its order, cut once: what is later than the cut is for testing.

    Attributes:
        name: what the data is called.
        train: `(steps,)` for one variable, `(steps, variables)` for several; float32, or int32
            codes in `[0, levels)` for a series that was quantised.
        test: the steps after those.
        columns: the name of each variable.
        quantizer: how levels were made, None for real values.
    """

    name: str
    train: NDArray[Any]
    test: NDArray[Any]
    columns: tuple[str, ...]
    quantizer: Quantizer | None = None

    @property
    def levels(self) -> int | None:
        """How many values a variable can take; None for real values."""
        return None if self.quantizer is None else self.quantizer.levels

    @property
    def num_variables(self) -> int | None:
        """The number of variables of a step; None if a step is one number without an axis."""
        return None if self.train.ndim == 1 else int(self.train.shape[1])

    @property
    def mean(self) -> Any:
        """The mean of the training part: a float, or one for each variable."""
        return self._units[0]

    @property
    def scale(self) -> Any:
        """The standard deviation of the training part: a float, or one for each variable."""
        return self._units[1]

    def encode(self, values: Any) -> NDArray[Any]:
        """Values as the model takes them: float32, or levels if the series was quantised.

        Raises:
            ValueError: for values outside the range that was quantised.
        """
        if self.quantizer is None:
            return np.asarray(values, "float32")
        return self.quantizer.encode(values)

    def decode(self, values: Any) -> NDArray[Any]:
        """What the model gives, in the units of the file, float32."""
        if self.quantizer is None:
            return np.asarray(values, "float32")
        return self.quantizer.decode(values)

    @cached_property
    def _units(self) -> tuple[Any, Any]:
        return mean_and_scale(self.train, per_variable=self.num_variables is not None)
