"""A layer of a window model, applied to streams: the same weights at other offsets.

In a window model a convolution with strides, or a `Dense` on a flattened feature map, meets each
column once for each window. On streams it reads the few values that differ, at fixed distances.
One object represents one original layer and is called once for each stream: Keras can share a
kernel between two networks only by sharing the layer that owns it.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasar.convolutionalize.layers.stream_layout import (
    Layout,
    TapRange,
    as_list,
    shapes_of,
    taps_of_run,
)
from kerasar.layers.linear_taps import block_diagonal, matmul
from kerasar.layers.protocol import Taps
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class StreamLinear(keras.layers.Layer):
    """Calls a convolution or a `Dense` of a window model on streams.

    Args:
        layer: the original `Conv1D`, `Conv1DTranspose`, `Dense`, `DepthwiseConv1D` or
            `SeparableConv1D`, or one of them in a `SpectralNormalization`. Its weights are used,
            its strides, padding and dilation are not.
        layouts: for each stream where it is read: `Layout`s, or lists as they write themselves. A
            row counts the original kernel's rows: input channels for `Dense` and `Conv1D` (kernel
            elements one after the other, in a `Conv1DTranspose` from the last one on), kernel
            elements for the other two.
        layer_shape: the input shape that the original layer was built for.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Call arguments:
        inputs: a stream or a list of streams.
        stream: which of the layouts is used.

    Input shape:
        `(batch, time, channels)` for each of the streams.

    Output shape:
        `(batch, time - shrink, filters)`.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        layouts: Sequence[Any],
        layer_shape: Sequence[int | None],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.layer = layer
        self._spectral = isinstance(layer, keras.layers.SpectralNormalization)
        weighted = self._weighted
        self.layouts = [Layout.of(layout) for layout in layouts]
        self.layer_shape = list(layer_shape)
        self._depthwise = isinstance(
            weighted, (keras.layers.DepthwiseConv1D, keras.layers.SeparableConv1D)
        )
        self._separable = isinstance(weighted, keras.layers.SeparableConv1D)

    def build(self, input_shape: Any) -> None:
        if not self.layer.built:
            self.layer.build(tuple(self.layer_shape))

    @property
    def _weighted(self) -> Any:
        """The layer that has the kernel."""
        return self.layer.layer if self._spectral else self.layer

    def call(self, inputs: Tensor, stream: int = 0, training: bool = False) -> Tensor:
        if self._spectral and training:
            # Its own call, on one window of zeros, is what rescales the kernel.
            shape = [size or 1 for size in self.layer_shape]
            self.layer(ops.zeros(shape, self.compute_dtype), training=True)
        layout, inputs = self.layouts[stream], as_list(inputs)
        weights = self._weights(layout)
        sums = []
        for run in layout.runs:
            x = layout.read(inputs, run)
            rows = self._rows(weights, run)
            if self._depthwise:
                sums.append(self._times_each(taps_of_run(x, run, layout.stride(run)), rows))
            else:
                sums.append(self._times(x, run, layout.stride(run), rows))
        total = sums[0]
        for term in sums[1:]:
            total = total + term
        return self._finish(total)

    def taps_of(self, stream: int) -> Taps:
        """The declaration of one stream to the causality engine."""
        layout = self.layouts[stream]
        activation = self._weighted.activation
        taps = Taps(
            layout.offsets,
            length_change=(-layout.shrinks[0],),
            finish=self._finish,
            linear=not self._depthwise and activation in (None, keras.activations.linear),
            sources=layout.sources,
        )
        if self._depthwise:
            return taps._replace(combine=lambda values, _: self._combine(layout, values))
        return taps._replace(matrices=lambda: self._matrices(layout))

    # Weights.

    @property
    def _groups(self) -> int:
        return int(getattr(self._weighted, "groups", 1))

    def _weights(self, layout: Layout) -> Tensor:
        """The kernel, row by row in the order of the taps."""
        layer = self._weighted
        if self._depthwise:
            kernel = layer.depthwise_kernel if self._separable else layer.kernel
        else:
            kernel = layer.kernel
            if isinstance(layer, keras.layers.Conv1DTranspose):
                kernel = ops.transpose(ops.flip(kernel, 0), (0, 2, 1))
            kernel = ops.reshape(kernel, (-1, kernel.shape[-1]))
        kernel = ops.cast(kernel, self.compute_dtype)
        if layout.order is None:
            return kernel
        if -1 in layout.order:
            kernel = ops.pad(kernel, ((0, 1), (0, 0)))  # index -1 is a row of zeros
        rows = np.array(layout.order)
        return ops.take(kernel, np.where(rows < 0, kernel.shape[0] - 1, rows), axis=0)

    def _rows(self, weights: Tensor, run: TapRange) -> Tensor:
        """The weights of a run, `(taps, channels of a group, filters)`."""
        width = run.width
        if run.row_step == width or run.taps == 1:
            rows = weights[run.row : run.row + run.taps * width]
        else:
            index = np.arange(run.taps)[:, None] * run.row_step + np.arange(width)
            rows = ops.take(weights, run.row + index.reshape(-1), axis=0)
        return rows if self._depthwise else ops.reshape(rows, (run.taps, width, rows.shape[-1]))

    def _matrices(self, layout: Layout) -> list[Tensor]:
        """A matrix `(channels, filters)` for each tap."""
        weights = self._weights(layout)
        found = []
        for run in layout.runs:
            taps = tf.unstack(self._rows(weights, run))
            found += [block_diagonal(tap, self._groups) for tap in taps]
        return found

    # Arithmetic.

    def _times(self, x: Tensor, run: TapRange, stride: int, rows: Tensor) -> Tensor:
        """The sum over a run of value @ matrix."""
        taps, width, filters = rows.shape
        # TensorFlow has no convolution with both a stride and a dilation.
        if self._groups == 1 and taps > 1 and (stride == 1 or run.step == 1):
            return ops.conv(
                x, rows, strides=stride, padding="valid", dilation_rate=run.step,
                data_format="channels_last",
            )  # fmt: skip
        joined = ops.concatenate(taps_of_run(x, run, stride), axis=-1)
        if self._groups == 1:
            return matmul(joined, ops.reshape(rows, (taps * width, filters)))
        groups, steps = self._groups, ops.shape(joined)[1]
        joined = ops.reshape(joined, (-1, steps, taps, groups, width))
        rows = ops.reshape(rows, (taps, width, groups, filters // groups))
        total = ops.einsum("btkgc,kcgf->btgf", joined, rows)
        return ops.reshape(total, (-1, steps, filters))

    def _times_each(self, values: Sequence[Tensor], rows: Tensor) -> Tensor:
        """The sum over taps of value * weight, channel by channel: `(batch, …, channels, new)`."""
        total = values[0][..., None] * rows[0]
        for number, value in enumerate(values[1:], 1):
            total = total + value[..., None] * rows[number]
        return total

    def _combine(self, layout: Layout, values: Sequence[Tensor]) -> Tensor:
        """What `call` does, on values at the taps."""
        weights = self._weights(layout)
        sums, start = [], 0
        for run in layout.runs:
            rows = self._rows(weights, run)
            sums.append(self._times_each(values[start : start + run.taps], rows))
            start += run.taps
        return self._finish(sum(sums[1:], sums[0]))

    def _finish(self, total: Tensor) -> Tensor:
        """What follows the weighted sum of taps: pointwise part, bias, activation."""
        layer = self._weighted
        if self._depthwise:
            width = total.shape[-2] * total.shape[-1]
            total = ops.reshape(total, (-1, ops.shape(total)[1], width))
        if self._separable:
            matrix = ops.cast(layer.pointwise_kernel, self.compute_dtype)
            total = matmul(total, matrix[0])
        if layer.use_bias:
            total = total + ops.cast(layer.bias, total.dtype)
        return total if layer.activation is None else layer.activation(total)

    def compute_output_spec(
        self, inputs: Tensor, stream: int = 0, training: bool = False
    ) -> keras.KerasTensor:
        shape = self._output_shape([tuple(x.shape) for x in as_list(inputs)], stream)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return self._output_shape(shapes_of(input_shape), 0)

    def _output_shape(self, shapes: list[Shape], stream: int) -> Shape:
        layer = self._weighted
        if self._depthwise and not self._separable:
            filters = shapes[0][-1] * layer.depth_multiplier
        else:
            filters = layer.units if isinstance(layer, keras.layers.Dense) else layer.filters
        return shapes[0][0], self.layouts[stream].length(shapes), filters

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "layer": keras.saving.serialize_keras_object(self.layer),
            "layouts": [layout.written() for layout in self.layouts],
            "layer_shape": self.layer_shape,
        }

    @classmethod
    def from_config(cls, config: Config) -> "StreamLinear":
        layer = keras.saving.deserialize_keras_object(config["layer"])
        return cls(**{**config, "layer": layer})
