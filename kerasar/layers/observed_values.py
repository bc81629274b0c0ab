"""Values of a series in units of their own, beside what says which of them were observed."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasar.layers.lstm_scan import wide
from kerasar.layers.output_dtype import ElementwiseLayer
from kerasar.layers.protocol import declares_what_it_sees
from kerasar.layers.support import Support
from kerasar.layers.units import check_units
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class ObservedValues(ElementwiseLayer):
    """Values on the real line, in units, and a mask: 1 where there is a value, 0 where it is NaN.

    A value that is missing is 0, the middle of the data, and its mask tells it from an observed 0.
    What is padded with zeros behind this layer is missing, too.

    Args:
        center: what is subtracted, a scalar, or one for each variable (the last axis).
        unit: what is then divided by, likewise; above 0.
        support: "real", "positive" or (low, high): values are first mapped from there to the line.
        **kwargs: `name` and `dtype`, as for `keras.layers.Layer`.

    Input shape:
        `(…, variables)`; real numbers or NaN.

    Output shape:
        `(…, 2 * variables)`: first all values, then all masks; in the layer's compute dtype.

    Raises:
        TypeError, ValueError: for a center, unit or support of another kind.
    """

    def __init__(
        self,
        center: float | Sequence[float] = 0.0,
        unit: float | Sequence[float] = 1.0,
        support: Any = "real",
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.center = check_units(center, "center", type(self).__name__)
        self.unit = check_units(unit, "scale", type(self).__name__)
        self.support = Support(support)

    def call(self, inputs: Tensor) -> Tensor:
        # float64 data keep their digits until the center is subtracted.
        x = tf.cast(inputs, wide(keras.backend.standardize_dtype(inputs.dtype)))
        line = self.support.to_line(x)
        units = (line - tf.cast(self.center, x.dtype)) / tf.cast(self.unit, x.dtype)
        observed = tf.math.is_finite(units)
        values = tf.where(observed, units, tf.zeros_like(units))
        both = tf.concat([values, tf.cast(observed, values.dtype)], -1)
        return tf.cast(both, self.compute_dtype)

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        variables = input_shape[-1]
        return (*input_shape[:-1], None if variables is None else 2 * variables)

    def get_config(self) -> Config:
        own = {"center": self.center, "unit": self.unit, "support": self.support.kind}
        return {**super().get_config(), **own}
