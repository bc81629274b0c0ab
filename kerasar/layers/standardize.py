"""Real data in their own units on the outside, near 0 and of the size of 1 on the inside.

It belongs inside the network, before anything is shifted or padded: an exported model then takes
data as they are, and a padded zero means the average.
"""

from collections.abc import Sequence

import keras
from keras import ops

from kerasar.layers.protocol import POINTWISE, Pointwise
from kerasar.layers.units import check_units
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class Standardize(keras.layers.Layer):
    """Subtracts a mean and divides by a scale, both fixed numbers that are saved in the config.

    Args:
        mean: the mean of the data, a number, or one for each variable (the last axis).
        scale: their standard deviation, likewise; above 0.
        **kwargs: `name` and `dtype`, as for `keras.layers.Layer`.

    Input shape:
        Any; real numbers. With a list of means or scales, the last axis holds as many variables.

    Output shape:
        The input shape, in the layer's compute dtype.

    Raises:
        TypeError: if `mean` or `scale` is no number and no list of numbers.
        ValueError: if one of them is not finite, a scale is not above 0, or (when built) the last
            axis has another size than the lists.
    """

    def __init__(
        self,
        mean: float | Sequence[float] = 0.0,
        scale: float | Sequence[float] = 1.0,
        **kwargs: object,
    ) -> None:
        # Else data are rounded to the compute dtype before the mean is taken away.
        super().__init__(autocast=False, **kwargs)
        self.mean = check_units(mean, "mean", type(self).__name__)
        self.scale = check_units(scale, "scale", type(self).__name__)

    def build(self, input_shape: Shape) -> None:
        for name, value in (("mean", self.mean), ("scale", self.scale)):
            if isinstance(value, tuple) and (len(input_shape) < 2 or input_shape[-1] != len(value)):
                raise ValueError(
                    f"Standardize '{self.name}' has a {name} for each of {len(value)} variables, "
                    f"so the last axis must have that size, but got input shape {input_shape}. "
                    f"Give one {name} for each variable, or a single number."
                )

    def call(self, inputs: Tensor) -> Tensor:
        # Data of more digits keep them until the mean is gone.
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        dtype = dtype if dtype == "float64" else "float32"
        mean, scale = ops.cast(self.mean, dtype), ops.cast(self.scale, dtype)
        return ops.cast((ops.cast(inputs, dtype) - mean) / scale, self.compute_dtype)

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def taps(self, position_rank: int) -> Pointwise:
        return POINTWISE

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> Config:
        return {**super().get_config(), "mean": self.mean, "scale": self.scale}
