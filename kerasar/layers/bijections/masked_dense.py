"""A dense layer with masked connections, of which a MADE consists."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kerasar.typing import Shape, Tensor


class MaskedDense(keras.layers.Layer):
    """`activation(x · (kernel * mask) + bias)`.

    Args:
        mask: array of 0 and 1, `(inputs, outputs)`.
        activation: as for `keras.layers.Dense`.
        kernel_initializer, bias_initializer: as for `keras.layers.Dense`.
        **kwargs: `name` and `dtype`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, inputs)`.

    Output shape:
        `(batch, outputs)`.

    References:
        Germain, Gregor, Murray & Larochelle. MADE: Masked Autoencoder for Distribution Estimation.
        ICML 2015. https://arxiv.org/abs/1502.03509
    """

    def __init__(
        self,
        mask: NDArray[Any],
        activation: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mask = np.asarray(mask)
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: Shape) -> None:
        self.kernel = self.add_weight(
            name="kernel", shape=self.mask.shape, initializer=self.kernel_initializer
        )
        self.bias = self.add_weight(
            name="bias", shape=self.mask.shape[1:], initializer=self.bias_initializer
        )

    def call(self, inputs: Tensor) -> Tensor:
        # The mask is applied here, never to the weights: the optimizer updates whole kernels.
        kernel = self.kernel * ops.convert_to_tensor(self.mask, self.compute_dtype)
        return self.activation(ops.matmul(inputs, kernel) + self.bias)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.mask.shape[1])
