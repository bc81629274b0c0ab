"""Standardization of real data inside a network, which then takes them in their own units.

It belongs before any shift or padding, so that a padded zero means the average.
"""

from collections.abc import Sequence

import keras
from keras import ops

from kerasar.layers.output_dtype import ElementwiseLayer
from kerasar.layers.protocol import declares_what_it_sees
from kerasar.layers.units import check_units
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class Standardize(ElementwiseLayer):
    """Subtracts a mean and divides by a scale, both constants that are saved in the config.

    Args:
        mean: the mean of the data, a scalar, or one for each variable (the last axis).
        scale: their standard deviation, likewise; above 0.
        **kwargs: `name` and `dtype`, as for `keras.layers.Layer`.

    Input shape:
        Any; real numbers. With a list of means or scales, the last axis has its size.

    Output shape:
        The input shape, in the layer's compute dtype.

    Raises:
        TypeError: if `mean` or `scale` is not a scalar or a list of scalars.
        ValueError: if one of them is not finite, a scale is not above 0, or (when built) the last
            axis has another size than the lists.
    """

    def __init__(
        self,
        mean: float | Sequence[float] = 0.0,
        scale: float | Sequence[float] = 1.0,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.mean = check_units(mean, "mean", type(self).__name__)
        self.scale = check_units(scale, "scale", type(self).__name__)

    def build(self, input_shape: Shape) -> None:
        for name, value in (("mean", self.mean), ("scale", self.scale)):
            if isinstance(value, tuple) and (len(input_shape) < 2 or input_shape[-1] != len(value)):
                raise ValueError(
                    f"Standardize '{self.name}' has a {name} for each of {len(value)} variables, "
                    f"so the last axis must have that size, but got input shape {input_shape}. "
                    f"Give one {name} for each variable, or a scalar."
                )

    def call(self, inputs: Tensor) -> Tensor:
        # float64 data keep their digits until the mean is subtracted.
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        dtype = dtype if dtype == "float64" else "float32"
        mean, scale = ops.cast(self.mean, dtype), ops.cast(self.scale, dtype)
        return ops.cast((ops.cast(inputs, dtype) - mean) / scale, self.compute_dtype)

    def get_config(self) -> Config:
        return {**super().get_config(), "mean": self.mean, "scale": self.scale}
