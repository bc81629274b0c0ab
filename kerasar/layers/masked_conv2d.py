"""The masked convolution of PixelCNN: the kernel is zero at pixels of the future.

Rows below the center are not stored at all. Weights to the right of it, and for colors of the
present pixel that are not known yet, are masked in every call, so no update can unmask them.
"""

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kerasar.arguments import checks_arguments
from kerasar.checks import check_sizes
from kerasar.layers.causal_conv2d import CausalConv2D
from kerasar.layers.linear_taps import linear_taps
from kerasar.layers.protocol import Taps, declares_what_it_sees
from kerasar.typing import Config, Shape, Tensor

#: A color of the present pixel sees earlier colors (A), or also itself (B).
_MASKS = ("A", "B")


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class MaskedConv2D(CausalConv2D):
    """Convolves over the pixels before the present one, and the allowed channels of that itself.

    With `color_groups` above 1 the channels of inputs and outputs are divided into that many groups
    of equal size, in order: R, then G, then B. With mask "A" a group sees the groups before it of
    the present pixel (the first sees none), with mask "B" also itself. With one group, mask "A"
    hides the present pixel and mask "B" does not.

    Args:
        filters: int. Channels of the output.
        kernel_size: int or pair of ints, (rows, columns), both odd. Size of the unmasked kernel.
        mask: "A" for the first layer on the data, "B" for all later ones.
        color_groups: int. Number of groups of channels.
        output_splits: int. Number of equal parts of the output, each of which is divided into the
            groups: 2 for a convolution before a gate.
        **kwargs: as for `keras.layers.Conv2D` (`activation`, `use_bias`, `dilation_rate`, `name`,
            …), without `strides`, `padding`, `data_format` and `groups`.

    Input shape:
        `(batch, height, width, channels)`; height and width may be open.

    Output shape:
        `(batch, height, width, filters)`.

    Raises:
        TypeError: for an argument that causality fixes.
        ValueError: for an even kernel size, an unknown mask, or channels that cannot be divided
            into the groups.

    References:
        Van den Oord, Kalchbrenner & Kavukcuoglu. Pixel Recurrent Neural Networks. ICML 2016,
        section 3.4 and figure 2. https://arxiv.org/abs/1601.06759
    """

    @checks_arguments
    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int] = 3,
        mask: str = "B",
        color_groups: int = 1,
        output_splits: int = 1,
        dilation_rate: int | tuple[int, int] = 1,
        **kwargs: object,
    ) -> None:
        check_sizes(
            filters=filters,
            kernel_size=kernel_size,
            color_groups=color_groups,
            output_splits=output_splits,
            dilation_rate=dilation_rate,
        )
        rows, columns = (kernel_size,) * 2 if isinstance(kernel_size, int) else tuple(kernel_size)
        if rows % 2 == 0 or columns % 2 == 0:
            raise ValueError(
                "MaskedConv2D is centered on its pixel, so rows and columns of the kernel must be "
                f"odd, but got kernel_size={kernel_size}. Add or drop one."
            )
        if mask not in _MASKS:
            raise ValueError(
                f"mask must be 'A', which hides the present, or 'B', which does not, but got "
                f"{mask!r}."
            )
        # A kernel of one row has no weights to the right either.
        stored = (rows // 2 + 1, columns if rows > 1 else columns // 2 + 1)
        super().__init__(filters, stored, dilation_rate=dilation_rate, **kwargs)
        if filters % (color_groups * output_splits):
            raise ValueError(
                f"MaskedConv2D divides its channels into {output_splits} part(s) of {color_groups} "
                f"colors, but layer '{self.name}' got filters={filters}. Take a multiple of "
                f"{color_groups * output_splits}."
            )
        self.whole_size = (rows, columns)
        self.mask, self.color_groups, self.output_splits = mask, color_groups, output_splits

    def build(self, input_shape: Shape) -> None:
        channels = input_shape[-1]
        if channels is None or channels % self.color_groups:
            raise ValueError(
                f"MaskedConv2D divides the channels of its input into {self.color_groups} colors, "
                f"but layer '{self.name}' got input shape {input_shape}. Give it a multiple of "
                f"{self.color_groups} channels."
            )
        super().build(input_shape)
        self._connects = self._connections(channels)

    def _connections(self, channels: int) -> NDArray[np.bool_]:
        """`(rows, columns, channels, filters)`, True where the kernel is not masked."""
        inward = np.arange(channels) * self.color_groups // channels
        width = self.filters // self.output_splits
        outward = np.tile(np.arange(width) * self.color_groups // width, self.output_splits)
        connects = np.ones((*self.kernel_size, channels, self.filters), bool)
        center = self.whole_size[1] // 2
        connects[-1, center + 1 :] = False
        connects[-1, center] = (
            inward[:, None] < outward if self.mask == "A" else inward[:, None] <= outward
        )
        return connects

    def padding_sides(self) -> tuple[tuple[int, int], tuple[int, int]]:
        above = (self.kernel_size[0] - 1) * self.dilation_rate[0]
        left = self.whole_size[1] // 2
        right = self.kernel_size[1] - 1 - left
        return (above, 0), (left * self.dilation_rate[1], right * self.dilation_rate[1])

    def masked_kernel(self) -> Tensor:
        """The kernel with zeros where it is masked."""
        return self._masked(self.kernel)

    def _masked(self, kernel: Tensor) -> Tensor:
        kernel = ops.convert_to_tensor(kernel)
        return kernel * ops.cast(self._connects, kernel.dtype)

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        return super().convolution_op(inputs, self._masked(kernel))

    def taps(self, position_rank: int) -> Taps:
        declared = super().taps(position_rank)
        connects = self._connects.reshape(-1, *self._connects.shape[2:])
        return linear_taps(self, declared.offsets, kernel=self.masked_kernel, connects=connects)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "kernel_size": self.whole_size,
            "mask": self.mask,
            "color_groups": self.color_groups,
            "output_splits": self.output_splits,
        }
