"""The Row LSTM: an LSTM that goes down the image, a whole row at a time.

The state of a pixel depends on three states of the row above, and these on five of the row above
that: a triangle. All pixels of a row are one matrix product.
"""

from collections.abc import Iterable

import keras
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.checks import check_sizes
from kerasar.layers.image_lstm import ImageLSTM
from kerasar.layers.lstm_scan import lstm_scan, lstm_update, neighbors, products, wide
from kerasar.layers.protocol import Offset, declares_what_it_sees
from kerasar.typing import Config, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class RowLSTM(ImageLSTM):
    """An LSTM over rows, whose state-to-state step is a convolution along the row above.

    For row y, with input `x` and a 1-d convolution `*`:

        i, f, o, g = σ, σ, σ, tanh of (x_y + h_{y-1} * K + b)
        c_y = f ⊙ c_{y-1} + i ⊙ g
        h_y = o ⊙ tanh(c_y)

    `x` is the input-to-state part, the layer's input, computed by a `MaskedConv2D(4 * units,
    (1, 3), mask="B", color_groups=…, output_splits=4, use_bias=False)`. Pixels of the row above are
    complete, so `K` needs no mask; gates act channel by channel, so the groups of colors remain
    separate. Forget gates are initialized with a bias of 1 (as in `keras.layers.LSTM`; the paper
    does not specify it).

    Args:
        units: int. Channels of the state.
        kernel_size: int, odd. Number of pixels of the row above that a state depends on.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, 4 * units)`: the parts of the input, forget and output gate and of
        the content. Height and width may be open.

    Output shape:
        `(batch, height, width, units)`.

    Raises:
        ValueError: for an even kernel size or no units; when built, for another input shape.

    References:
        Van den Oord, Kalchbrenner & Kavukcuoglu. Pixel Recurrent Neural Networks. ICML 2016,
        section 3.1 and equation 3. https://arxiv.org/abs/1601.06759
    """

    @checks_arguments
    def __init__(self, units: int, kernel_size: int = 3, **kwargs: object) -> None:
        super().__init__(units, **kwargs)
        check_sizes(kernel_size=kernel_size)
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(
                "RowLSTM's kernel is centered on the pixel above, so its size must be odd, but "
                f"layer '{self.name}' got kernel_size={kernel_size}. Add or drop one."
            )
        self.kernel_size = kernel_size
        side = kernel_size // 2
        self.reads = tuple(range(-side, side + 1))

    def call(self, inputs: Tensor) -> Tensor:
        kernel, bias = self.matrices()
        # Rows first: a step reads and writes one contiguous slice.
        rows = tf.transpose(inputs + bias[0], (1, 0, 2, 3))
        states = lstm_scan(rows[:, None], kernel, self.reads)
        return tf.transpose(states[:, 0], (1, 0, 2, 3))

    # Step by step (`kerasar.layers.protocol.RowRecurrence`).

    def sees(self, height: int, width: int) -> Iterable[Offset]:
        for row in range(height):
            side = min(row * (self.kernel_size // 2), width - 1)
            yield from ((-row, column) for column in range(-side, side + 1))

    def initial_rows(self, batch: Tensor, width: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[()]]:
        zeros = tf.zeros(tf.stack([batch, width, self.units]), wide(self.compute_dtype))
        return (zeros, zeros), ()

    def row(
        self, above: Tensor, kept: tuple[Tensor, Tensor], carry: tuple[()], y: Tensor
    ) -> tuple[tuple[Tensor, Tensor], tuple[()]]:
        """The part of the states above in the gates of a row, and the cells above."""
        kernel, bias = self.matrices()
        states, cells = kept
        read = tf.cast(neighbors(states, self.reads), kernel.dtype)
        return (products(read[None], kernel)[0] + bias[0], cells), ()

    def initial(self, batch: Tensor) -> tuple[()]:
        return ()

    def step(
        self,
        x: Tensor,
        left: tuple[()],
        part: tuple[Tensor, Tensor],
        position: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, tuple[()], tuple[Tensor, Tensor]]:
        sums, cell = part
        state, cell = lstm_update(tf.cast(x + sums, cell.dtype), cell)
        return tf.cast(state, x.dtype), (), (state, cell)

    def get_config(self) -> Config:
        return {**super().get_config(), "kernel_size": self.kernel_size}
