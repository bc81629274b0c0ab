"""The horizontal convolution: the present pixel and pixels to its left, in the same row only.

The lecture's `conv1v` and `conv2v`, with kernel (1, 3).
"""

import keras

from kerasar.arguments import checks_arguments
from kerasar.layers.causal_conv2d import CausalConv2D
from kerasar.layers.protocol import declares_what_it_sees
from kerasar.typing import Config


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class HorizontalConv2D(CausalConv2D):
    """Convolves over the present pixel and the pixels to its left.

    Args:
        filters: int. Channels of the output.
        kernel_size: int. Number of pixels seen, the present one included.
        dilation_rate: int. Distance between the pixels seen.
        **kwargs: as for `keras.layers.Conv2D` (`activation`, `use_bias`, `name`, …), without
            `strides`, `padding`, `data_format` and `groups`.

    Input shape:
        `(batch, height, width, channels)`; height and width may be open.

    Output shape:
        `(batch, height, width, filters)`. The output at (y, x) sees (y, x - kernel_size + 1 … x),
        without dilation.

    Raises:
        TypeError: for an argument that causality fixes.

    References:
        Van den Oord et al. Conditional Image Generation with PixelCNN Decoders. 2016, section 2.2.
        https://arxiv.org/abs/1606.05328
    """

    @checks_arguments
    def __init__(
        self, filters: int, kernel_size: int = 3, dilation_rate: int = 1, **kwargs: object
    ) -> None:
        super().__init__(filters, (1, kernel_size), dilation_rate=(1, dilation_rate), **kwargs)

    def padding_sides(self) -> tuple[tuple[int, int], tuple[int, int]]:
        return (0, 0), ((self.kernel_size[1] - 1) * self.dilation_rate[1], 0)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size[1],
            "dilation_rate": self.dilation_rate[1],
        }
