"""The vertical convolution: the present row and rows above, symmetric to the left and right.

The lecture's `conv1h` and `conv2h`. After a `CausalShift(axis=1)` it sees finished rows only,
so a stack of them has no blind spot (van den Oord et al. 2016b, section 2.2).
"""

import keras

from kerasar.arguments import checks_arguments
from kerasar.layers.causal_conv2d import CausalConv2D
from kerasar.layers.protocol import declares_what_it_sees


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class VerticalConv2D(CausalConv2D):
    """Convolves over the present row and the rows above, symmetrically in the columns.

    Args:
        filters: int. Channels of the output.
        kernel_size: pair of ints, (rows, columns); columns must be odd.
        dilation_rate: int or pair of ints, as for `keras.layers.Conv2D`.
        **kwargs: as for `keras.layers.Conv2D` (`activation`, `use_bias`, `name`, …), without
            `strides`, `padding`, `data_format` and `groups`.

    Input shape:
        `(batch, height, width, channels)`; height and width may be open.

    Output shape:
        `(batch, height, width, filters)`. The output at (y, x) sees rows y - rows + 1 … y, without
        dilation.

    Raises:
        TypeError: for an argument that causality fixes.
        ValueError: if the number of columns is even, so that it has no center.

    References:
        Van den Oord et al. Conditional Image Generation with PixelCNN Decoders. 2016, section 2.2.
        https://arxiv.org/abs/1606.05328
    """

    @checks_arguments
    def __init__(
        self,
        filters: int,
        kernel_size: tuple[int, int] = (3, 5),
        dilation_rate: int | tuple[int, int] = 1,
        **kwargs: object,
    ) -> None:
        super().__init__(filters, kernel_size, dilation_rate=dilation_rate, **kwargs)
        if self.kernel_size[1] % 2 == 0:
            raise ValueError(
                "VerticalConv2D is centered on its column, so the kernel's width must be odd, but "
                f"layer '{self.name}' got kernel_size={self.kernel_size}. Add or drop one column."
            )

    def padding_sides(self) -> tuple[tuple[int, int], tuple[int, int]]:
        above = (self.kernel_size[0] - 1) * self.dilation_rate[0]
        side = (self.kernel_size[1] - 1) // 2 * self.dilation_rate[1]
        return (above, 0), (side, side)
