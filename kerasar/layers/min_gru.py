"""Gated linear recurrences over an image, the minimal GRU: down its columns, or along its rows."""

from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.layers.image_recurrence import ImageRecurrence
from kerasar.layers.lstm_scan import wide
from kerasar.layers.protocol import Offset, declares_what_it_sees
from kerasar.layers.scan_steps import scan_steps
from kerasar.typing import Shape, Tensor

#: The range of the biases that gates start with: shares kept of 0.27 to 0.95 in a step.
_KEPT = (-1.0, 3.0)


class _MinGRU(ImageRecurrence):
    """The minimal GRU over one axis of an image; a subclass names the axis."""

    axis: int

    @checks_arguments
    def __init__(self, units: int, **kwargs: object) -> None:
        super().__init__(units, **kwargs)

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 4 or input_shape[-1] != 2 * self.units:
            raise ValueError(
                f"{type(self).__name__} takes the gate and the content of each pixel, (batch, "
                f"height, width, {2 * self.units}) for units={self.units}, but layer "
                f"'{self.name}' got input shape {tuple(input_shape)}. Put Dense({2 * self.units}) "
                f"before it, or MaskedConv2D({2 * self.units}, 1, …, output_splits=2)."
            )
        initializer = keras.initializers.RandomUniform(*_KEPT)
        self.bias = self.add_weight(shape=(self.units,), initializer=initializer, name="bias")
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        return tf.cast(scan_steps(*self._terms(inputs), self.axis), self.compute_dtype)

    def _terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The share of the state that is kept, and what is added."""
        gate, content = tf.split(tf.cast(x, wide(self.compute_dtype)), 2, axis=-1)
        kept = tf.sigmoid(gate + tf.cast(self.bias, gate.dtype))
        return kept, (1 - kept) * content

    def _next(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """The output and the state at `x`, after a state."""
        kept, added = self._terms(x)
        state = kept * state + added
        return tf.cast(state, self.compute_dtype), state

    def _zeros(self, *sizes: Any) -> Tensor:
        return tf.zeros(tf.stack([*sizes, self.units]), wide(self.compute_dtype))


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class VerticalMinGRU(_MinGRU):
    """A gated linear recurrence down each column of an image: what a convolution reaches only with
    a large kernel or many layers, from far above.

    For row y, with the gate `g` and the content `c`, the two halves of the input's channels:

        k_y = σ(g_y + b)
        h_y = k_y ⊙ h_{y-1} + (1 - k_y) ⊙ c_y

    with h = 0 above the image. This is the paper's minimal GRU with k = 1 - z. Gates do not depend
    on the state, so a step is a few operations on whole rows. Convolutions before and after it
    carry information sideways. Biases start uniformly in [-1, 3], so that some units forget in two
    rows and others in twenty.

    A pixel sees its own row: put a `kerasar.layers.CausalShift(axis=1)` behind it wherever its
    input sees pixels to the right, as behind `kerasar.layers.VerticalConv2D`.

    Args:
        units: int. Channels of the state, and of the output.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, 2 * units)`: the gate, then the content, each from a `Dense` layer
        or a `MaskedConv2D(2 * units, 1, color_groups=…, output_splits=2)`. Height and width may be
        open.

    Output shape:
        `(batch, height, width, units)`.

    Raises:
        ValueError: for no units; when built, for another input shape.

    References:
        Feng, Tung, Ahmed, Bengio & Hajimirsadeghi. Were RNNs All We Needed? 2024, section 3.1.
        https://arxiv.org/abs/2410.01201
    """

    axis = 1

    # Step by step (`kerasar.layers.protocol.RowRecurrence`).

    def sees(self, height: int, width: int) -> Iterable[Offset]:
        return ((-row, 0) for row in range(height))

    def initial_rows(self, batch: Tensor, width: Tensor) -> tuple[Tensor, tuple[()]]:
        return self._zeros(batch, width), ()

    def row(
        self, above: Tensor, kept: Tensor, carry: tuple[()], y: Tensor
    ) -> tuple[Tensor, tuple[()]]:
        return kept, ()

    def initial(self, batch: Tensor) -> tuple[()]:
        return ()

    def step(
        self, x: Tensor, left: tuple[()], part: Tensor, position: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[()], Tensor]:
        y, state = self._next(x, part)
        return y, (), state


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class HorizontalMinGRU(_MinGRU):
    """A gated linear recurrence along each row of an image, from left to right.

    As `kerasar.layers.VerticalMinGRU`, from column to column. A pixel sees itself and what is to
    its left.

    Args:
        units: int. Channels of the state, and of the output.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, 2 * units)`: the gate, then the content, as for `VerticalMinGRU`.
        Height and width may be open.

    Output shape:
        `(batch, height, width, units)`.

    Raises:
        ValueError: for no units; when built, for another input shape.

    References:
        As for `VerticalMinGRU`.
    """

    axis = 2
    #: An image's recurrence of `initial` and `step` runs along its rows.
    along_rows = True

    # Step by step (`kerasar.layers.protocol.Recurrence`).

    def initial(self, batch: Tensor) -> Tensor:
        return self._zeros(batch)

    def step(self, x: Tensor, carry: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        return self._next(x, carry)
