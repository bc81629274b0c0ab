"""Convolutions of `keras.ops` with the kernels that they are given, as one operation of one tensor.

`ops.conv(x, self.kernel * self.mask)` takes two tensors, of which one has no positions. Bound to
the first it is what a convolution layer is, and the rules of layers read it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from kerasar.layers.linear_taps import block_diagonal
from kerasar.typing import Tensor


class BoundKernels(keras.Operation):
    """A convolution by kernels that are computed from weights, with the attributes of a layer.

    Args:
        operation: `keras.ops`' own, which takes an input and the kernels.
        kernels: computes them from the weights as they are.
        masked: for each kernel, which of its elements are zero whatever the weights are; sizes of
            1 hold for all.
        channels: of the input.
    """

    use_bias = False
    activation = None

    def __init__(
        self,
        operation: Any,
        kernels: Callable[[], Sequence[Tensor]],
        masked: Sequence[np.ndarray],
        channels: int,
    ) -> None:
        super().__init__(name=operation.name)
        self.operation, self.kernels = operation, kernels
        now = kernels()
        self.kernel_size = tuple(now[0].shape[:-2])
        self.groups = channels // now[0].shape[-2]
        self.compute_dtype = keras.backend.standardize_dtype(now[0].dtype)
        self.strides, self.padding = operation.strides, operation.padding
        self.dilation_rate = _for_each(operation.dilation_rate, self.kernel_size)
        self.data_format = operation.data_format or keras.config.image_data_format()
        self._masked = np.broadcast_to(masked[0], tuple(now[0].shape))

    def call(self, inputs: Tensor) -> Tensor:
        return self.operation(inputs, *self.kernels())

    @property
    def kernel(self) -> Tensor:
        """The (first) kernel."""
        return self.kernels()[0]

    @property
    def connects(self) -> np.ndarray:
        """Boolean `(taps, input channels, output channels)`: what the mask leaves connected."""
        taps = ~self._masked.reshape(-1, *self._masked.shape[-2:])
        whole = [block_diagonal(keras.ops.cast(tap, "float32"), self.groups) for tap in taps]
        return np.asarray(whole) > 0

    @property
    def kept(self) -> list[int]:
        """The taps, in raster order, of which the mask leaves anything."""
        taps = ~self._masked.reshape(np.prod(self.kernel_size), -1)
        return [int(tap) for tap in np.flatnonzero(taps.any(axis=1))]


class BoundConv(BoundKernels):
    """`ops.conv`."""


class BoundDepthwiseConv(BoundKernels):
    """`ops.depthwise_conv`."""


class BoundSeparableConv(BoundKernels):
    """`ops.separable_conv`."""

    @property
    def depthwise_kernel(self) -> Tensor:
        """Of the windows."""
        return self.kernels()[0]

    @property
    def pointwise_kernel(self) -> Tensor:
        """Of the channels."""
        return self.kernels()[1]


def _for_each(rate: Any, axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(rate) if isinstance(rate, (tuple, list)) else (rate,) * len(axes)
