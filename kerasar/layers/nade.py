"""NADE: a network over binary vectors whose hidden units see one variable more at each step.

Each variable adds one weight vector to the pre-activations of the hidden units, so all conditionals
together cost O(D·H): as much as one pass through a network with one hidden layer.
"""

import keras
import tensorflow as tf
from keras import ops

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.layers.nade_logits import nade_logits
from kerasar.layers.protocol import declares_what_it_sees
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class NADE(keras.layers.Layer):
    """The logit of each variable of a vector, given the variables before it.

    Logit i is `b_i + V_i · σ(c + Σ_{j<i} x_j W_j)`. The layer is strictly causal in itself: it
    needs no shift before it.

    Sums are in float32 (float64 under that policy) for every compute dtype, because hundreds of
    variables add up in them.

    Args:
        hidden_units: int, at least 1. Number of hidden units.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, variables, 1)`, with `variables` known; zeros and ones, or any real values.

    Output shape:
        The input shape, in the layer's compute dtype.

    Raises:
        ValueError: if `hidden_units` is below 1; when built, for another input shape.

    References:
        Larochelle & Murray. The Neural Autoregressive Distribution Estimator. AISTATS 2011.
        https://proceedings.mlr.press/v15/larochelle11a.html
    """

    #: A step takes the variable before its own (`kerasar.layers.protocol`).
    step_offset = -1

    @checks_arguments
    def __init__(self, hidden_units: int, **kwargs: object) -> None:
        # Otherwise inputs and weights are rounded to the compute dtype before they are summed.
        super().__init__(autocast=False, **kwargs)
        self.hidden_units = check_count(hidden_units, f"hidden_units of layer '{self.name}'")

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 3 or input_shape[1] is None or input_shape[2] != 1:
            raise ValueError(
                "NADE has weights for each variable of a vector, so it takes (batch, variables, 1) "
                f"with the number of variables known, but layer '{self.name}' got input shape "
                f"{tuple(input_shape)}. Reshape (batch, variables) with keras.layers.Reshape("
                "(variables, 1))."
            )
        variables = input_shape[1]
        # The last variable's row of W has no reader, as in the paper.
        self.inward = self.add_weight(shape=(variables, self.hidden_units), name="inward")
        self.outward = self.add_weight(shape=(variables, self.hidden_units), name="outward")
        self.hidden_bias = self.add_weight(
            shape=(self.hidden_units,), initializer="zeros", name="hidden_bias"
        )
        self.bias = self.add_weight(shape=(variables,), initializer="zeros", name="bias")

    def call(self, inputs: Tensor) -> Tensor:
        inward, outward, hidden_bias, bias = self._weights()
        start = tf.broadcast_to(hidden_bias, tf.stack([tf.shape(inputs)[0], self.hidden_units]))
        logits = nade_logits(inputs[..., 0], start, inward, outward) + bias
        return ops.cast(logits, self.compute_dtype)[..., None]

    def initial(self, batch: Tensor) -> Tensor:
        """Pre-activations of the hidden units before any variable, `(batch, hidden_units)`."""
        return tf.broadcast_to(self._weights()[2], tf.stack([batch, self.hidden_units]))

    def step(self, x: Tensor, carry: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """The logit at a position, given the variable before it."""
        inward, outward, _, bias = self._weights()
        # Before the first variable x is zero, so that any row will do.
        carry += tf.cast(x, carry.dtype) * inward[tf.maximum(position - 1, 0)]
        logit = tf.reduce_sum(tf.sigmoid(carry) * outward[position], axis=-1, keepdims=True)
        return ops.cast(logit + bias[position], self.compute_dtype), carry

    def _weights(self) -> list[Tensor]:
        dtype = "float64" if self.compute_dtype == "float64" else "float32"
        weights = (self.inward, self.outward, self.hidden_bias, self.bias)
        return [tf.cast(tf.convert_to_tensor(weight), dtype) for weight in weights]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def get_config(self) -> Config:
        return {**super().get_config(), "hidden_units": self.hidden_units}
