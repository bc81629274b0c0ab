"""The lecture's other way to hide the present: a causal convolution without its last tap.

A causal convolution sees up to the present step. Without its tap at the present it sees up to the
step before, and every layer on top of it may be causal as usual: no shift is needed. Such a
convolution is the first layer of a network, and only that.
"""

import keras
from keras import ops

from kerasar.arguments import checks_arguments
from kerasar.checks import check_sizes
from kerasar.layers.causal_conv2d import refuse_fixed, without_fixed
from kerasar.layers.linear_taps import linear_taps
from kerasar.layers.protocol import Taps, declares_what_it_sees
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class StrictlyCausalConv1D(keras.layers.Conv1D):
    """A causal `Conv1D` that does not see the present step.

    Output t is a weighted sum of the inputs at t - d, t - 2d, …, t - k·d, for a kernel of size k
    and a dilation rate d: a causal convolution of size k + 1 without its last tap. The input is
    padded with zeros before the first step. With `kernel_size=1` it is a shift by d and a `Dense`
    layer.

    Args:
        filters: int. Number of output channels.
        kernel_size: int, at least 1. Number of earlier steps that are seen, without the omitted
            tap.
        dilation_rate: int, at least 1. Distance between the steps that are seen, and between the
            nearest of them and the present.
        **kwargs: as for `keras.layers.Conv1D`, without `strides`, `padding`, `data_format` and
            `groups`, which are fixed.

    Input shape:
        `(batch, time, channels)`; time may be open.

    Output shape:
        `(batch, time, filters)`.

    Raises:
        TypeError: for an argument that causality fixes.

    References:
        Fleuret. Deep Learning course (EPFL / UNIGE), lecture 10.2, Causal convolutions.
        https://fleuret.org/dlc/
        Van den Oord, Kalchbrenner & Kavukcuoglu. Pixel Recurrent Neural Networks. ICML 2016,
        section 3.4 (mask A, which is this for images). https://arxiv.org/abs/1601.06759
    """

    @checks_arguments
    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int],
        dilation_rate: int | tuple[int] = 1,
        **kwargs: object,
    ) -> None:
        refuse_fixed("StrictlyCausalConv1D", "Conv1D", kwargs)
        check_sizes(filters=filters, kernel_size=kernel_size, dilation_rate=dilation_rate)
        super().__init__(
            filters,
            kernel_size,
            padding="causal",
            data_format="channels_last",
            dilation_rate=dilation_rate,
            **kwargs,
        )

    def call(self, inputs: Tensor) -> Tensor:
        lag = self.dilation_rate[0]
        return super().call(ops.pad(inputs, ((0, 0), (lag, 0), (0, 0)))[:, :-lag])

    def taps(self, position_rank: int) -> Taps:
        size, lag = self.kernel_size[0], self.dilation_rate[0]
        return linear_taps(self, tuple((-i * lag,) for i in range(size, 0, -1)))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> Config:
        return without_fixed(super().get_config())
