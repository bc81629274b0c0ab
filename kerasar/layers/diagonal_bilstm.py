"""The Diagonal BiLSTM: two LSTMs that cross the image along its diagonals.

One starts at the upper left corner and sees the pixels above and to the left; the other starts at
the upper right. In a skewed map, where each row is shifted to the right by one more pixel than the
row above, the diagonals are columns, and a whole column is one matrix product.

In its own row the second direction would see pixels to the right, so its result is shifted down by
one row before the two are added.
"""

from collections.abc import Iterable

import keras
import tensorflow as tf

from kerasar.layers.image_lstm import ImageLSTM
from kerasar.layers.lstm_scan import lstm_scan, lstm_update, products, wide
from kerasar.layers.protocol import Offset, declares_what_it_sees
from kerasar.typing import Tensor

Rows = tuple[Tensor, Tensor]


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class DiagonalBiLSTM(ImageLSTM):
    """Two LSTMs along the diagonals, which together see everything above and to the left.

    For the first direction, at row y and column x:

        i, f, o, g = σ, σ, σ, tanh of (x_yx + K_above h_{y-1,x} + K_left h_{y,x-1} + b)
        c_yx = f ⊙ c_{y,x-1} + i ⊙ g
        h_yx = o ⊙ tanh(c_yx)

    The second is its mirror image, with weights of its own; the output is
    `h_yx + mirrored h_{y-1,x}`. The cell depends only on that of the pixel to the left, as in the
    paper: it is in the same row of the skewed map.

    `x` is the input-to-state part, the layer's input, computed by a `MaskedConv2D(8 * units, 1,
    mask="B", color_groups=…, output_splits=8, use_bias=False)`. Other pixels are complete, so `K`
    needs no mask; gates act channel by channel, so the groups of colors remain separate. Forget
    gates are initialized with a bias of 1 (as in `keras.layers.LSTM`; the paper does not specify
    it).

    Args:
        units: int. Channels of the state of each direction.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, 8 * units)`: for the first and then for the second direction, the
        parts of the input, forget and output gate and of the content. Height and width may be
        open.

    Output shape:
        `(batch, height, width, units)`.

    Raises:
        ValueError: for no units; when built, for another input shape.

    References:
        Van den Oord, Kalchbrenner & Kavukcuoglu. Pixel Recurrent Neural Networks. ICML 2016,
        section 3.2, figure 3 and equation 3. https://arxiv.org/abs/1601.06759
    """

    directions = 2
    # In the column before of the skewed map, the entry above is the pixel above, and the entry of
    # the same row is the pixel to the left.
    reads = (-1, 0)

    def call(self, inputs: Tensor) -> Tensor:
        kernel, bias = self.matrices()
        # Biases are added before the map is skewed, so that its padding stays zero.
        first, second = tf.split(inputs + tf.reshape(bias, (-1,)), 2, axis=-1)
        lines = _skew(tf.stack([first, tf.reverse(second, [2])]))
        states = lstm_scan(tf.transpose(lines, (3, 0, 1, 2, 4)), kernel, self.reads)
        states = _unskew(tf.transpose(states, (1, 2, 3, 0, 4)))
        return states[0] + _one_down(tf.reverse(states[1], [2]))

    # Step by step (`kerasar.layers.protocol.RowRecurrence`).

    def sees(self, height: int, width: int) -> Iterable[Offset]:
        yield from ((0, -column) for column in range(width))
        for row in range(1, height):
            yield from ((-row, column) for column in range(1 - width, width))

    def initial_rows(self, batch: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
        zeros = tf.zeros(tf.stack([batch, width, self.units]), self.compute_dtype)
        return zeros, zeros

    def row(
        self, above: Tensor, kept: Tensor, carry: Tensor, y: Tensor
    ) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """The sums of the states above in the gates, and the second direction of the row above.

        Args:
            above: inputs of the row above.
            kept: states of the first direction in the row above.
            carry: states of the second direction two rows above.
            y: the row.
        """
        kernel, bias = self.matrices()
        above_kernel, beside_kernel = tf.split(kernel, 2, axis=1)
        from_above = products(tf.stack([kept, carry]), above_kernel) + bias[:, None, None]
        # From right to left, a pixel at a time; the scan's lines are columns of one pixel.
        sums = above[..., 4 * self.units :] + from_above[1]
        columns = tf.reverse(tf.transpose(sums, (1, 0, 2)), [0])[:, None, :, None]
        states = lstm_scan(columns, beside_kernel[1:], (0,))
        second = tf.transpose(tf.reverse(states[:, 0, :, 0], [0]), (1, 0, 2))
        second = tf.where(y > 0, second, tf.zeros_like(second))  # there is no row above the first
        return (from_above[0], second), tf.ensure_shape(second, carry.shape)

    def initial(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        shape = tf.stack([batch, self.units])
        return tf.zeros(shape, self.compute_dtype), tf.zeros(shape, wide(self.compute_dtype))

    def step(
        self,
        x: Tensor,
        left: tuple[Tensor, Tensor],
        part: tuple[Tensor, Tensor],
        position: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor]:
        (state, cell), (from_above, second) = left, part
        left_kernel = self.matrices()[0][0, self.units :]
        sums = x[:, : 4 * self.units] + from_above + tf.matmul(state, left_kernel)
        state, cell = lstm_update(tf.cast(sums, cell.dtype), cell)
        state = tf.cast(state, x.dtype)
        return state + second, (state, cell), state


def _skew(maps: Tensor) -> Tensor:
    """Shifts row r to the right by r pixels: `(…, height, width, c)` becomes wider by height - 1.

    With `height` zeros after each row and all rows in one line, splitting that line into rows that
    are one pixel shorter starts each of them one pixel earlier.
    """
    *_, height, width, channels = _sizes(maps)
    padded = tf.pad(maps, [[0, 0]] * (len(maps.shape) - 2) + [[0, height], [0, 0]])
    flat = _reshaped(padded, 3, [height * (width + height), channels])
    flat = flat[..., : height * (width + height - 1), :]
    return _reshaped(flat, 2, [height, width + height - 1, channels])


def _unskew(maps: Tensor) -> Tensor:
    """The inverse of `_skew`."""
    *_, height, length, channels = _sizes(maps)
    flat = _reshaped(maps, 3, [height * length, channels])
    flat = tf.pad(flat, [[0, 0]] * (len(flat.shape) - 2) + [[0, height], [0, 0]])
    return _reshaped(flat, 2, [height, length + 1, channels])[..., : length + 1 - height, :]


def _one_down(maps: Tensor) -> Tensor:
    """Shifts `(batch, height, width, channels)` down by one row, with zeros in row 0."""
    return tf.pad(maps, [[0, 0], [1, 0], [0, 0], [0, 0]])[:, :-1]


def _reshaped(tensor: Tensor, last: int, sizes: list[Tensor]) -> Tensor:
    """The tensor with its last `last` axes replaced by axes of the given sizes."""
    return tf.reshape(tensor, tf.stack([*_sizes(tensor)[:-last], *sizes]))


def _sizes(tensor: Tensor) -> list[Tensor]:
    """The size of each axis: an integer where it is known."""
    sizes = tf.shape(tensor)
    return [sizes[i] if size is None else size for i, size in enumerate(tensor.shape)]
