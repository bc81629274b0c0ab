"""What the causal convolutions share, above all `Conv2D` with padding on chosen sides."""

from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from kerasar.checks import check_sizes
from kerasar.layers.linear_taps import linear_taps
from kerasar.layers.protocol import Taps, declares_what_it_sees
from kerasar.typing import Config, Shape, Tensor

#: Settings of a convolution that causality fixes, so that the causal layers do not take them.
_FIXED = ("strides", "padding", "data_format", "groups")


@declares_what_it_sees
class CausalConv2D(keras.layers.Conv2D):
    """A stride-1, channels-last `Conv2D` whose output keeps the input's size.

    A subclass defines `padding_sides`, the numbers of zeros above, below, left and right.
    Weights are those of `Conv2D`: `kernel` `(height, width, in, filters)` and `bias`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: tuple[int, int],
        dilation_rate: int | tuple[int, int] = 1,
        **kwargs: object,
    ) -> None:
        refuse_fixed(type(self).__name__, "Conv2D", kwargs)
        check_sizes(filters=filters, kernel_size=kernel_size, dilation_rate=dilation_rate)
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
        return without_fixed(super().get_config())


def refuse_fixed(layer: str, keras_layer: str, settings: Mapping[str, object]) -> None:
    """Raises a TypeError if one of a causal layer's settings is fixed."""
    for name in _FIXED:
        if name in settings:
            raise TypeError(
                f"{layer} fixes '{name}' to stay causal, but got {name}={settings[name]!r}. Leave "
                f"it out, or use keras.layers.{keras_layer}."
            )


def without_fixed(config: Config) -> Config:
    """The config of a causal layer, from that of the Keras layer it inherits from."""
    return {key: value for key, value in config.items() if key not in _FIXED}
