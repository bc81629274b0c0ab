"""The gated diagonal linear recurrence of Griffin, RG-LRU: trained in parallel, stepped in O(1)."""

import keras
import tensorflow as tf

from kerasar.layers.linear_scan import linear_scan
from kerasar.layers.lstm_scan import wide
from kerasar.layers.protocol import declares_what_it_sees
from kerasar.typing import Shape, Tensor

#: The paper's c, and the range of a^c at the start of training.
_SHARPNESS, _DECAYS = 8.0, (0.9, 0.999)
#: The least 1 - a²: at 0 its root has no gradient.
_LEAST = 1e-30


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class LinearRecurrence(keras.layers.Layer):
    """A linear recurrence over time, whose decay and input are gated.

    The paper's equations 1 to 4, for each channel by itself:

        r_t = σ(W_a x_t + b_a)                           recurrence gate
        i_t = σ(W_x x_t + b_x)                           input gate
        a_t = a^(c r_t),  a = σ(Λ),  c = 8               decay
        h_t = a_t ⊙ h_{t-1} + √(1 - a_t²) ⊙ (i_t ⊙ x_t)

    with h = 0 before the first step. The gates do not depend on the state, so all states are
    computed at once, by a parallel scan in O(time); one step after the other takes one vector of
    state, whatever the length. Step t sees step t and all before it: put a
    `kerasar.layers.CausalShift` somewhere before.

    Decays are computed as logarithms and states in float32 at least, whatever the dtype of the
    layer. Λ begins where a^c is uniform on [0.9, 0.999], as in the paper.

    Args:
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, time, channels)`. Batch and time may be open.

    Output shape:
        The same.

    Raises:
        ValueError: when built, for another rank or an open number of channels.

    References:
        De et al. Griffin: Mixing Gated Linear Recurrences with Local Attention for Efficient
        Language Models. 2024, section 2.4. https://arxiv.org/abs/2402.19427
    """

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 3 or input_shape[-1] is None:
            raise ValueError(
                "LinearRecurrence takes sequences of vectors, (batch, time, channels), but layer "
                f"'{self.name}' got input shape {tuple(input_shape)}. Give single values an axis "
                "of channels with keras.ops.expand_dims(x, -1)."
            )
        channels = input_shape[-1]
        self.kernel = self.add_weight(
            shape=(channels, 2 * channels), initializer="glorot_uniform", name="kernel"
        )
        self.bias = self.add_weight(shape=(2 * channels,), initializer="zeros", name="bias")
        self.decay = self.add_weight(shape=(channels,), initializer=_initial_decay, name="decay")
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        return tf.cast(linear_scan(*self._terms(inputs)), self.compute_dtype)

    def _terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The factor a_t and the term √(1 - a_t²) i_t x_t of each step."""
        sums = keras.ops.matmul(x, self.kernel) + self.bias
        gates = tf.sigmoid(tf.cast(sums, wide(self.compute_dtype)))
        recurrence, opened = tf.split(gates, 2, axis=-1)
        log_decay = -_SHARPNESS * recurrence * tf.nn.softplus(-tf.cast(self.decay, gates.dtype))
        # 1 - a², exact for a near 1 too.
        room = tf.maximum(-tf.math.expm1(2 * log_decay), _LEAST)
        return tf.exp(log_decay), tf.sqrt(room) * opened * tf.cast(x, gates.dtype)

    # Step by step (`kerasar.layers.protocol.Recurrence`).

    def initial(self, batch: Tensor) -> Tensor:
        return tf.zeros(tf.stack([batch, self.decay.shape[0]]), wide(self.compute_dtype))

    def step(self, x: Tensor, carry: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        factor, term = self._terms(x)
        state = factor * carry + term
        return tf.cast(state, self.compute_dtype), state

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


def _initial_decay(shape: Shape, dtype: str | None = None) -> Tensor:
    """Λ for which σ(Λ)^c is uniform."""
    log_decay = tf.math.log(keras.random.uniform(shape, *_DECAYS, dtype=dtype)) / _SHARPNESS
    return log_decay - tf.math.log(-tf.math.expm1(log_decay))  # the logit of exp(log_decay)
