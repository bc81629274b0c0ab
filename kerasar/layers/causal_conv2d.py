"""What the vertical and the horizontal convolution share: `Conv2D` with padding on chosen sides."""

import keras
import numpy as np
from keras import ops

from kerasar.layers.linear_taps import linear_taps
from kerasar.layers.protocol import Taps
from kerasar.typing import Config, Shape, Tensor


class CausalConv2D(keras.layers.Conv2D):
    """A stride-1, channels-last `Conv2D` whose output keeps the input's size.

    A subclass says by `padding_sides` how many zeros go above, below, left and right.
    Weights are those of `Conv2D`: `kernel` `(height, width, in, filters)` and `bias`.
    """

    #: Settings of `Conv2D` that causality fixes, so that they are no arguments here.
    _FIXED = ("strides", "padding", "data_format", "groups")

    def __init__(
        self,
        filters: int,
        kernel_size: tuple[int, int],
        dilation_rate: int | tuple[int, int] = 1,
        **kwargs: object,
    ) -> None:
        for name in self._FIXED:
            if name in kwargs:
                raise TypeError(
                    f"{type(self).__name__} fixes '{name}' to stay causal, but got "
                    f"{name}={kwargs[name]!r}. Leave it out, or use keras.layers.Conv2D."
                )
        super().__init__(
            filters,
            kernel_size,
            padding="valid",
            data_format="channels_last",
            dilation_rate=dilation_rate,
            **kwargs,
        )

    def padding_sides(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Zeros `(above, below), (left, right)`."""
        raise NotImplementedError(f"{type(self).__name__} must define padding_sides()")

    def call(self, inputs: Tensor) -> Tensor:
        return super().call(ops.pad(inputs, ((0, 0), *self.padding_sides(), (0, 0))))

    def taps(self, position_rank: int) -> Taps:
        (above, _), (left, _) = self.padding_sides()
        offsets = tuple(
            (row * self.dilation_rate[0] - above, column * self.dilation_rate[1] - left)
            for row, column in np.ndindex(*self.kernel_size)
        )
        return linear_taps(self, offsets)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> Config:
        config = super().get_config()
        return {key: value for key, value in config.items() if key not in self._FIXED}
