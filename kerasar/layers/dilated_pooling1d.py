"""Pooling along time with a dilated window, which replaces a strided pooling if no step is skipped.

A network "in theory" pools with a stride and then sees every second value. "In practice", with a
prediction at each time step, no position may be left out: the pooling keeps all of them, and all
later windows are dilated instead. Keras' own pooling has no dilation.
"""

import functools
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasar.checks import check_count
from kerasar.layers.protocol import Taps, declares_what_it_sees
from kerasar.typing import Config, Shape, Tensor

_TYPES = ("avg", "max")
_PADDINGS = ("causal", "valid", "same")


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class DilatedPooling1D(keras.layers.Layer):
    """Average or maximum over the last steps at distances of `dilation_rate`, at each time step.

    With `padding="causal"` the output at step t pools the inputs at t, t - d, …, t - (k - 1)·d,
    for a pool size k and a dilation rate d. Before the first step

    - average pooling reads zeros and counts them, so the divisor is always k;
    - maximum pooling reads -inf, so that padding is never the maximum. (Padding zeros there too,
      as some texts do, cuts off negative features near the border.)

    `"valid"` gives only the windows inside the input. `"same"` centers the window as
    `keras.layers.Conv1D` does; padding is then part of neither the maximum nor the average. A
    window without any input value, which takes an even pool size, a dilation and a short input,
    gives 0.

    Args:
        pooling_type: "avg" or "max", in upper or lower case.
        pool_size: int, at least 1. Number of steps that are pooled.
        padding: "causal", "valid" or "same", in upper or lower case.
        dilation_rate: int, at least 1. Distance between the steps that are pooled.
        **kwargs: `name` and `dtype`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, time, channels)`; time may be open.

    Output shape:
        The input shape; with `"valid"` time is shorter by `(pool_size - 1) * dilation_rate`.

    Raises:
        ValueError: for an unknown pooling type or padding, a size or rate below 1, and, when
            built, for an input that is not a series or is shorter than a "valid" window.
        TypeError: if a size or rate is not an integer.

    References:
        Van den Oord et al. WaveNet: A Generative Model for Raw Audio. 2016, section 2.1 (dilated
        convolutions, of which this is the pooling). https://arxiv.org/abs/1609.03499
        TensorFlow, `tf.nn.pool`, which does the work.
    """

    def __init__(
        self,
        pooling_type: str,
        pool_size: int = 2,
        padding: str = "causal",
        dilation_rate: int = 1,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.pooling_type = _choice(pooling_type, "pooling_type", _TYPES)
        self.padding = _choice(padding, "padding", _PADDINGS)
        self.pool_size = check_count(pool_size, f"pool_size of layer '{self.name}'")
        self.dilation_rate = check_count(dilation_rate, f"dilation_rate of layer '{self.name}'")

    @property
    def span(self) -> int:
        """The distance in steps between the first and the last step of a window."""
        return (self.pool_size - 1) * self.dilation_rate

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 3:
            raise ValueError(
                "DilatedPooling1D pools along the time of (batch, time, channels), but layer "
                f"'{self.name}' got input shape {input_shape}. Give a series an axis of channels "
                "with keras.ops.expand_dims(x, -1)."
            )
        time = input_shape[1]
        if self.padding == "valid" and time is not None and time <= self.span:
            raise ValueError(
                f"With padding='valid' a window of {self.span + 1} steps, (pool_size - 1) * "
                f"dilation_rate + 1, must fit into the input, but layer '{self.name}' got input "
                f"shape {input_shape}. Take a smaller window, or padding='causal'."
            )

    def call(self, inputs: Tensor) -> Tensor:
        inputs = ops.cast(inputs, self.compute_dtype)
        if self.pooling_type == "max":
            return self._without_empty(self._pool(inputs, -np.inf))
        average = self._pool(inputs, 0.0)
        if self.padding != "same":
            return average
        # The share of each window that is not padding, by the same pooling of ones.
        share = self._pool(tf.ones_like(inputs[:1, :, :1], "float32"), 0.0)
        return tf.math.divide_no_nan(average, tf.cast(share, average.dtype))

    def _pool(self, values: Tensor, pad: float) -> Tensor:
        front, back = self._border()
        if front or back:
            values = tf.pad(values, [[0, 0], [front, back], [0, 0]], constant_values=pad)
        return tf.nn.pool(
            values,
            [self.pool_size],
            self.pooling_type.upper(),
            strides=[1],
            padding="VALID",
            dilations=[self.dilation_rate],
        )

    def _border(self) -> tuple[int, int]:
        """The number of steps of padding before and after the input."""
        if self.padding == "valid":
            return 0, 0
        front = self.span if self.padding == "causal" else self.span // 2
        return front, self.span - front

    def _without_empty(self, largest: Tensor) -> Tensor:
        if self.padding != "same":
            return largest
        # TensorFlow's maximum of a window of only -inf is the lowest finite value.
        return tf.where(largest <= largest.dtype.min, tf.zeros_like(largest), largest)

    def taps(self, position_rank: int) -> Taps:
        front, back = self._border()
        offsets = tuple((i * self.dilation_rate - front,) for i in range(self.pool_size))
        length_change = (front + back - self.span,)
        if self.pooling_type == "max":
            return Taps(offsets, -np.inf, length_change, combine=self._largest)
        # The divisor of "same" depends on the position and the length: no step form.
        return Taps(offsets, 0.0, length_change, combine=None if self.padding == "same" else _mean)

    def _largest(self, values: Sequence[Tensor], position: tuple[Tensor, ...]) -> Tensor:
        return self._without_empty(functools.reduce(tf.maximum, values))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, time, channels = input_shape
        if self.padding == "valid" and time is not None:
            time -= self.span
        return batch, time, channels

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "pooling_type": self.pooling_type,
            "pool_size": self.pool_size,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
        }


def _mean(values: Sequence[Tensor], position: tuple[Tensor, ...]) -> Tensor:
    return tf.add_n(list(values)) / len(values)


def _choice(value: object, name: str, known: tuple[str, ...]) -> str:
    lower = value.lower() if isinstance(value, str) else value
    if not isinstance(lower, str) or lower not in known:
        raise ValueError(
            f"DilatedPooling1D takes {name} {' or '.join(map(repr, known))}, in any case, but got "
            f"{name}={value!r}."
        )
    return lower
