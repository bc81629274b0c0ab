"""One small layer for each kind of declaration, written as a user would write it."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from kerasar.layers.linear_taps import linear_taps
from kerasar.layers.protocol import Taps, declares_what_it_sees


class Undeclared(keras.layers.Layer):
    """Causal, but says nothing about it: a running mean over all steps so far.

    It is made of TensorFlow's functions, which cannot be followed.
    """

    def call(self, x):
        steps = tf.cast(tf.range(1, tf.shape(x)[1] + 1), x.dtype)
        return tf.cumsum(x, axis=1) / steps[None, :, None]

    def compute_output_shape(self, shape):
        return shape


@declares_what_it_sees
class Misdeclared(keras.layers.Layer):
    """Says that it looks one step back, and looks two steps back."""

    def call(self, x):
        return keras.ops.pad(x, ((0, 0), (2, 0), (0, 0)))[:, :-2] + x

    def taps(self, position_rank):
        return Taps(((-1,), (0,)), combine=lambda values, _: values[0] + values[1])

    def compute_output_shape(self, shape):
        return shape


@declares_what_it_sees
class WrongStep(Misdeclared):
    """Sees one step back, as it declares; its step form leaves the present out."""

    def call(self, x):
        return keras.ops.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :-1] + x

    def taps(self, position_rank):
        return Taps(((-1,), (0,)), combine=lambda values, _: values[0])


@declares_what_it_sees
class ColourConv(keras.layers.Layer):
    """A masked convolution whose channels come in groups, one for each colour."""

    def __init__(self, filters, colours, see_own, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.colours, self.see_own = filters, colours, see_own
        self.use_bias, self.activation, self.groups = True, None, 1

    def build(self, shape):
        self.kernel = self.add_weight(shape=(2, 3, shape[-1], self.filters), name="kernel")
        self.bias = self.add_weight(shape=(self.filters,), name="bias")
        colour_in = np.arange(shape[-1]) * self.colours // shape[-1]
        colour_out = np.arange(self.filters) * self.colours // self.filters
        here = colour_in[:, None] < colour_out[None] + self.see_own
        self.mask = np.ones(self.kernel.shape, "float32")
        self.mask[1, 1] = here
        self.mask[1, 2] = 0

    def masked(self):
        return self.kernel * self.mask

    def call(self, x):
        padded = keras.ops.pad(x, ((0, 0), (1, 0), (1, 1), (0, 0)))
        return keras.ops.conv(padded, self.masked(), padding="valid") + self.bias

    def taps(self, position_rank):
        offsets = tuple((r - 1, c - 1) for r, c in np.ndindex(2, 3))
        connects = self.mask.reshape(6, *self.mask.shape[2:]).astype(bool)
        return linear_taps(self, offsets, kernel=self.masked, connects=connects)

    def compute_output_shape(self, shape):
        return (*shape[:-1], self.filters)


@declares_what_it_sees
class SmallNADE(keras.layers.Layer):
    """Hidden sums that grow by one weight vector for each value seen; needs the position."""

    def __init__(self, hidden, **kwargs):
        super().__init__(**kwargs)
        self.hidden = hidden

    def build(self, shape):
        self.inward = self.add_weight(shape=(shape[1], self.hidden), name="inward")
        self.outward = self.add_weight(shape=(shape[1], self.hidden), name="outward")

    def call(self, x):
        sums = keras.ops.cumsum(x * self.inward[None], axis=1)
        return keras.ops.sum(keras.ops.sigmoid(sums) * self.outward[None], -1, keepdims=True)

    def initial(self, batch):
        return tf.zeros(tf.stack([batch, self.hidden]))

    def step(self, x, carry, position):
        carry = carry + x * self.inward[position]
        y = tf.reduce_sum(tf.sigmoid(carry) * self.outward[position], -1, keepdims=True)
        return y, carry

    def compute_output_shape(self, shape):
        return (*shape[:-1], 1)


@declares_what_it_sees
class SmallRowRNN(keras.layers.Layer):
    """A Row LSTM in miniature: the state comes from three pixels of the row above."""

    def build(self, shape):
        self.weight = self.add_weight(shape=(3 * shape[-1], shape[-1]), name="weight")

    def _from_above(self, state):
        width = state.shape[1] if state.shape[1] is not None else tf.shape(state)[1]
        padded = tf.pad(state, [[0, 0], [1, 1], [0, 0]])
        joined = tf.concat([padded[:, k : k + width] for k in range(3)], -1)
        return tf.einsum("bwc,cd->bwd", joined, tf.convert_to_tensor(self.weight))

    def call(self, x):
        state, rows = tf.zeros_like(x[:, 0]), []
        for y in range(x.shape[1]):
            state = tf.tanh(x[:, y] + self._from_above(state))
            rows.append(state)
        return tf.stack(rows, 1)

    def sees(self, height, width):
        return [(-r, c) for r in range(height) for c in range(-r, r + 1)]

    def initial_rows(self, batch, width):
        return tf.zeros(tf.stack([batch, width, self.weight.shape[1]])), ()

    def row(self, above, kept, carry, y):
        return self._from_above(kept), ()

    def initial(self, batch):
        return ()

    def step(self, x, left, part, position):
        state = tf.tanh(x + part)
        return state, (), state

    def compute_output_shape(self, shape):
        return shape


@declares_what_it_sees
class SmallDiagonalRNN(keras.layers.Layer):
    """A Diagonal BiLSTM in miniature: one state from the left, one from the right a row above."""

    def build(self, shape):
        names = ("left", "above", "right", "above_right")
        size = (shape[-1], shape[-1])
        self.matrices = [self.add_weight(shape=size, name=name) for name in names]

    def _right_to_left(self, x, above):
        """The second direction over one finished row, `(batch, width, channels)`."""
        _, _, right, above_right = self.matrices
        above = tf.unstack(above, num=x.shape[1], axis=1)
        state, states = tf.zeros_like(x[:, 0]), []
        for column in reversed(range(x.shape[1])):
            given = x[:, column] + tf.matmul(above[column], above_right)
            state = tf.tanh(given + tf.matmul(state, right))
            states.append(state)
        return tf.stack(states[::-1], 1)

    def call(self, x):
        left, above, _, _ = self.matrices
        zero, rows = tf.zeros_like(x[:, 0]), []
        down, reverse = zero, zero
        for y in range(x.shape[1]):
            reverse = self._right_to_left(x[:, y - 1], reverse) if y else zero
            state, states = zero[:, 0], []
            for column in range(x.shape[2]):
                given = x[:, y, column] + tf.matmul(down[:, column], above)
                state = tf.tanh(given + tf.matmul(state, left))
                states.append(state)
            down = tf.stack(states, 1)
            rows.append(down + reverse)
        return tf.stack(rows, 1)

    def sees(self, height, width):
        above = [(-r, c) for r in range(1, height) for c in range(1 - width, width)]
        return above + [(0, -c) for c in range(width)]

    def initial_rows(self, batch, width):
        zero = tf.zeros(tf.stack([batch, width, self.matrices[0].shape[0]]))
        size = width if isinstance(width, int) else None
        zero = tf.ensure_shape(zero, (None, size, zero.shape[-1]))
        return zero, zero

    def row(self, above, kept, carry, y):
        above = tf.ensure_shape(above, (None, carry.shape[1], above.shape[-1]))
        reverse = self._right_to_left(above, carry)
        reverse = tf.where(y > 0, reverse, tf.zeros_like(reverse))
        return (tf.einsum("bwc,cd->bwd", kept, self.matrices[1].value), reverse), reverse

    def initial(self, batch):
        return tf.zeros(tf.stack([batch, self.matrices[0].shape[0]]))

    def step(self, x, left, part, position):
        from_above, reverse = part
        state = tf.tanh(x + from_above + tf.matmul(left, self.matrices[0]))
        return state + reverse, state, state

    def compute_output_shape(self, shape):
        return shape


Builder = Callable[[], keras.Model]
