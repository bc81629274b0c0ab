"""What all recurrences over images share: a state of some units, and the order of colors."""

import keras
import numpy as np
from numpy.typing import NDArray

from kerasar.checks import check_count
from kerasar.typing import Config, Shape


class ImageRecurrence(keras.layers.Layer):
    """Base of layers whose input is all that a state takes of its pixel, made by another layer.

    Args:
        units: int. Channels of a state, and of the output.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.
    """

    def __init__(self, units: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        check_count(units, f"units of layer '{self.name}'")
        self.units = units

    @property
    def splits(self) -> int:
        """Of how many parts the input's channels consist: a gate and the content, at the least."""
        return 2

    def connects(self) -> NDArray[np.bool_]:
        """At the present pixel, a unit reads its own channel of each part."""
        return np.tile(np.eye(self.units, dtype=bool), (self.splits, 1))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> Config:
        return {**super().get_config(), "units": self.units}
