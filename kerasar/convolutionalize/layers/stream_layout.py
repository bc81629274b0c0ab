"""Where the layers of a converted window model read: runs of evenly spaced taps on streams.

A *stream* is a tensor `(batch, time, channels)` whose first step may be later than that of the
streams it is made of, because nothing is padded on the way (see
`kerasar.convolutionalize`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from keras import ops

from kerasar.layers.protocol import Offset
from kerasar.typing import Shape, Tensor


class TapRange(NamedTuple):
    """Evenly spaced taps on one stream.

    Attributes:
        input: which of the inputs is read.
        offset: index of the first tap minus that of the output; negative reads before the start.
        step: distance of the taps.
        taps: how many.
        row: which row of the weights meets the first tap.
        row_step: the distance in rows to the next tap's weights.
        width: how many rows belong to each tap.
    """

    input: int
    offset: int
    step: int
    taps: int
    row: int = 0
    row_step: int = 1
    width: int = 1

    @property
    def offsets(self) -> list[int]:
        """The offset of each tap."""
        return [self.offset + self.step * i for i in range(self.taps)]


class Layout(NamedTuple):
    """The taps of one stream.

    Attributes:
        shrinks: by how many steps the output is shorter than each of the inputs.
        runs: what is read.
        order: for weights whose rows do not follow the taps: the row for each channel of each tap,
            -1 where there is none; None if they follow.
        strides: for each input, how far its taps move on from one output to the next; None: 1.
    """

    shrinks: tuple[int, ...]
    runs: tuple[TapRange, ...]
    order: tuple[int, ...] | None = None
    strides: tuple[int, ...] | None = None

    @classmethod
    def of(cls, written: Any) -> "Layout":
        """The layout from its form in a config, or from a layout."""
        shrinks, runs, order, strides = written
        return cls(
            tuple(shrinks),
            tuple(TapRange(*run) for run in runs),
            None if order is None else tuple(order),
            None if strides is None else tuple(strides),
        )

    def written(self) -> list[Any]:
        """The form for a config: lists of integers."""
        lists = [None if part is None else list(part) for part in (self.order, self.strides)]
        return [list(self.shrinks), [list(run) for run in self.runs], *lists]

    def stride(self, run: TapRange) -> int:
        """How far a run moves on from one output to the next."""
        return 1 if self.strides is None else self.strides[run.input]

    @property
    def offsets(self) -> tuple[Offset, ...]:
        """The offset of every tap, run by run."""
        return tuple((offset,) for run in self.runs for offset in run.offsets)

    @property
    def sources(self) -> tuple[int, ...]:
        """The input of every tap, run by run."""
        return tuple(run.input for run in self.runs for _ in range(run.taps))

    def read(self, inputs: Sequence[Tensor], run: TapRange, pad: float = 0.0) -> Tensor:
        """The part of an input that a run reads: output i meets indices i, i + step, … of it."""
        x = inputs[run.input]
        front = run.offset
        back = self.shrinks[run.input] - run.offsets[-1]
        if front < 0:
            x = ops.pad(x, ((0, 0), (-front, 0), (0, 0)), constant_values=pad)
            front = 0
        return x if front == back == 0 else x[:, front : -back or None]

    def length(self, shapes: Sequence[Shape]) -> int | None:
        """Length of the output, None if that of the first input is open."""
        size = shapes[0][1]
        stride = self.strides[0] if self.strides else 1
        return None if size is None else -(-(size - self.shrinks[0]) // stride)


def as_list(inputs: Tensor) -> list[Tensor]:
    """The inputs of a call as a list; one tensor may come by itself."""
    return list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]


def shapes_of(input_shape: Shape | Sequence[Shape]) -> list[Shape]:
    """The shapes of a call's inputs as a list; one shape may come by itself."""
    if input_shape and isinstance(input_shape[0], (list, tuple)):
        return [tuple(shape) for shape in input_shape]  # type: ignore[arg-type]
    return [tuple(input_shape)]  # type: ignore[arg-type]


def taps_of_run(x: Tensor, run: TapRange, stride: int = 1) -> list[Tensor]:
    """The values at each tap of a run, aligned, from what `Layout.read` gave."""
    span = run.step * (run.taps - 1)
    parts = []
    for first in range(0, span + 1, run.step) if span else [0]:
        parts.append(x[:, first : first - span or None : stride])
    return parts
