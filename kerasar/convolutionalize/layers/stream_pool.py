"""Pooling over taps of streams: what a window model's pooling becomes on every time step."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasar.convolutionalize.layers.stream_layout import Layout, as_list, shapes_of, taps_of_run
from kerasar.layers.protocol import Taps, declares_what_it_sees
from kerasar.typing import Config, Shape, Tensor

_JOINS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "max": ops.maximum,
    "min": ops.minimum,
    "mean": ops.add,
    "sum": ops.add,
}
#: What is made of all taps at once.
_SPREADS = ("var", "std")
#: The value before the start of a stream, where a layout reads there.
_PADS = {"max": -np.inf, "min": np.inf, "mean": 0.0, "sum": 0.0, "var": 0.0, "std": 0.0}


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class StreamPool(keras.layers.Layer):
    """The largest, smallest, mean or total value over some taps, or their variance or deviation.

    Channel by channel.
    A run of n taps takes about log n operations, each on twice as many taps as the one before.

    Args:
        pooling: "max", "min", "mean", "sum", "var" or "std".
        layout: the taps: a `Layout`, or a list as it writes itself.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, time, channels)`, one such or a list of them.

    Output shape:
        `(batch, time - shrink, channels)`.
    """

    def __init__(self, pooling: str, layout: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if pooling not in _PADS:
            raise ValueError(
                f"StreamPool pools by one of {', '.join(_PADS)}, but got pooling={pooling!r}."
            )
        self.pooling = pooling
        self.layout = Layout.of(layout)

    def build(self, input_shape: Any) -> None:
        pass

    def call(self, inputs: Tensor) -> Tensor:
        inputs = as_list(inputs)
        if self.pooling in _SPREADS:
            return self.combine(self._values(inputs), ())
        total = None
        for run in self.layout.runs:
            x = self.layout.read(inputs, run, _PADS[self.pooling])
            part = self._over(x, run.taps, run.step)[:, :: self.layout.stride(run)]
            total = part if total is None else _JOINS[self.pooling](total, part)
        return self._mean(total)

    def _values(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The values at each tap, aligned."""
        layout = self.layout
        return [
            value
            for run in layout.runs
            for value in taps_of_run(layout.read(inputs, run), run, layout.stride(run))
        ]

    def _over(self, x: Tensor, count: int, step: int) -> Tensor:
        """Each value joined with the `count` - 1 taps behind it."""
        join = _JOINS[self.pooling]
        if count == 1:
            return x
        half = count // 2
        part = self._over(x[:, : -(count - 2 * half) * step or None], half, step)
        both = join(part[:, : -half * step], part[:, half * step :])
        return both if count == 2 * half else join(both, x[:, 2 * half * step :])

    def _mean(self, total: Tensor) -> Tensor:
        return total / len(self.layout.offsets) if self.pooling == "mean" else total

    def taps(self, position_rank: int) -> Taps:
        return Taps(
            self.layout.offsets,
            pad=_PADS[self.pooling],
            length_change=(-self.layout.shrinks[0],),
            sources=self.layout.sources,
        )

    def combine(self, values: Sequence[Tensor], position: tuple[Tensor, ...]) -> Tensor:
        if self.pooling in _SPREADS:
            return self._spread([ops.cast(value, self.compute_dtype) for value in values])
        total = values[0]
        for value in values[1:]:
            total = _JOINS[self.pooling](total, value)
        return self._mean(total)

    def _spread(self, values: Sequence[Tensor]) -> Tensor:
        """The variance of some values, or its root."""
        mean = sum(values[1:], values[0]) / len(values)
        squares = [ops.square(value - mean) for value in values]
        variance = sum(squares[1:], squares[0]) / len(values)
        return variance if self.pooling == "var" else ops.sqrt(variance)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shapes = shapes_of(input_shape)
        return shapes[0][0], self.layout.length(shapes), shapes[0][-1]

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "pooling": self.pooling,
            "layout": self.layout.written(),
        }
