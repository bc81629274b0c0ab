"""The residual network that computes scales and shifts in a coupling of images."""

from typing import Any

import keras

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count, check_sizes
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class ResidualConvNet(keras.layers.Layer):
    """A convolution, residual blocks with normalization, and a last layer initialized to zero.

    A block is: normalization, ReLU, 3×3 convolution, ReLU, 1×1 convolution, addition. (Real NVP has
    two 3×3 convolutions a block and batch normalization. Here each pixel's vector is normalized by
    its root mean square, which is the same in training and inference, and alone or in a batch.)

    Args:
        outputs: int. Channels of the output.
        filters: int. Channels of the blocks.
        blocks: int. Number of residual blocks.
        stride: 1 or 2. With 2, the blocks work on images of half the height and width, at a quarter
            of the cost and with twice the receptive field. The output has the input's size.
        **kwargs: `name` and `dtype`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`; with stride 2 height and width are even.

    Output shape:
        `(batch, height, width, outputs)`.

    Raises:
        ValueError: for another stride, or when built, for input that is not an image or is of odd
            size.

    References:
        Dinh, Sohl-Dickstein & Bengio. Density estimation using Real NVP. ICLR 2017, section 4.1.
        https://arxiv.org/abs/1605.08803
        Zhang & Sennrich. Root Mean Square Layer Normalization. NeurIPS 2019.
        https://arxiv.org/abs/1910.07467
    """

    @checks_arguments
    def __init__(
        self, outputs: int, filters: int = 32, blocks: int = 2, stride: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_sizes(outputs=outputs, filters=filters)
        check_count(blocks, "blocks", least=0)
        if stride not in (1, 2):
            raise ValueError(f"stride of layer '{self.name}' must be 1 or 2, but got {stride!r}.")
        self.outputs, self.filters = outputs, filters
        self.blocks, self.stride = blocks, stride

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 4:
            raise ValueError(
                "A ResidualConvNet takes images (batch, height, width, channels), but layer "
                f"'{self.name}' got input shape {tuple(input_shape)}."
            )
        if any(size is not None and size % self.stride for size in input_shape[1:3]):
            raise ValueError(
                f"With stride 2 height and width must be even, but layer '{self.name}' got input "
                f"shape {tuple(input_shape)}. Take stride 1."
            )
        both: Config = {"dtype": self.dtype_policy}
        conv: Config = {"padding": "same", "data_format": "channels_last", **both}
        self.first = keras.layers.Conv2D(
            self.filters, 2 + self.stride, strides=self.stride, name="first", **conv
        )
        self.first.build(input_shape)
        inside = (None, None, None, self.filters)
        self.norms = [
            keras.layers.RMSNormalization(name=f"norm_{i}", **both) for i in range(self.blocks)
        ]
        self.wide, self.narrow = (
            [
                keras.layers.Conv2D(
                    self.filters, size, activation=activation, name=f"{name}_{i}", **conv
                )
                for i in range(self.blocks)
            ]
            for size, activation, name in ((3, "relu", "conv"), (1, None, "mix"))
        )
        for layer in (*self.norms, *self.wide, *self.narrow):
            layer.build(inside)
        self.last_norm = keras.layers.RMSNormalization(name="last_norm", **both)
        self.last_norm.build(inside)
        kind = keras.layers.Conv2DTranspose if self.stride == 2 else keras.layers.Conv2D
        size = 2 if self.stride == 2 else 3
        self.last = kind(
            self.outputs, size, strides=self.stride, kernel_initializer="zeros", name="last", **conv
        )
        self.last.build(inside)

    def call(self, inputs: Tensor) -> Tensor:
        x = self.first(inputs)
        for norm, wide, narrow in zip(self.norms, self.wide, self.narrow, strict=True):
            x = x + narrow(wide(keras.ops.relu(norm(x))))
        return self.last(keras.ops.relu(self.last_norm(x)))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.outputs)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "outputs": self.outputs,
            "filters": self.filters,
            "blocks": self.blocks,
            "stride": self.stride,
        }
