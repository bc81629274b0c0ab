"""What lies on the axes of a tensor whose positions were taken apart: rows, columns, blocks.

A position has a number, in raster order in an image. A reshape splits the numbers into digits, and
from then on each digit goes its own way:

    image (batch, 4, 6, channels), number = 6 row + column
        row       4 values, 6 apart
        column    6 values, 1 apart
    in blocks of 3 columns
        column    2 values, 3 apart, and 3 values, 1 apart

Transposes move digits to other axes, and into the first one, behind the examples. Attention along
some digits makes pairs of positions that have the others in common.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kerasar.typing import Shape

#: Which position of a pair a digit belongs to. Tensors that are no pairs have the first alone.
FIRST, SECOND, BOTH = 0, 1, 2


class Part(NamedTuple):
    """A part of an axis: a digit of the positions, or channels.

    Attributes:
        size: how many values it has.
        stride: how far its values are apart in numbers of positions; 0 for channels.
        side: for digits, which position they belong to.
    """

    size: int
    stride: int = 0
    side: int = FIRST

    @property
    def is_digit(self) -> bool:
        """Whether it tells positions apart."""
        return self.stride > 0

    def is_of(self, side: int) -> bool:
        """Whether it is a digit of one position of a pair, or of both."""
        return self.is_digit and self.side in (side, BOTH)

    def split(self, outer: int) -> tuple["Part", "Part"]:
        """In two: the outer part has so many values."""
        inner = self.size // outer
        return Part(outer, self.stride * inner, self.side), Part(inner, self.stride, self.side)


#: The parts of one axis, from the outermost on.
Axis = tuple[Part, ...]


def channel_axis(size: int) -> Axis:
    """An axis of channels."""
    return (Part(size),) if size > 1 else ()


class Layout(NamedTuple):
    """What lies on each axis of a tensor; on the first one, behind the examples."""

    axes: tuple[Axis, ...]

    @property
    def parts(self) -> list[Part]:
        """All parts in the order of the axes."""
        return [part for axis in self.axes for part in axis]

    @property
    def is_pair(self) -> bool:
        """Whether it holds pairs of positions."""
        return any(part.is_digit and part.side != FIRST for part in self.parts)

    @property
    def channels(self) -> list[int]:
        """The sizes of the channels, in the order of the axes."""
        return [part.size for part in self.parts if not part.is_digit]

    @property
    def shared(self) -> list[Part]:
        """The digits that the positions of a pair have in common."""
        return [part for part in self.parts if part.is_digit and part.side == BOTH]

    def is_complete(self, count: int) -> bool:
        """Whether it holds so many positions, on both sides of a pair."""
        sides = (FIRST, SECOND) if self.is_pair else (FIRST,)
        held = [[part.size for part in self.parts if part.is_of(side)] for side in sides]
        return all(math.prod(sizes) == count for sizes in held)

    def reshaped(self, shape: Shape) -> "Layout | None":
        """After a reshape; None if that cuts through the values of a part."""
        if None in shape[1:]:
            return None
        sizes = [int(size or 1) for size in shape[1:]]
        first, rest = divmod(math.prod(part.size for part in self.parts), math.prod(sizes))
        if rest or not first:
            return None
        waiting, axes = self.parts, []
        for size in (first, *sizes):
            axis: list[Part] = []
            while size > 1:
                part = waiting.pop(0)
                if size % part.size and part.size % size:
                    return None
                if size < part.size:
                    part, inner = part.split(size)
                    waiting.insert(0, inner)
                axis.append(part)
                size //= part.size
            axes.append(tuple(axis))
        return Layout(tuple(axes))

    def permuted(self, order: Sequence[int]) -> "Layout":
        """After a transpose."""
        return Layout(tuple(self.axes[axis] for axis in order))

    def channel_numbers(self, order: Sequence[int]) -> list[int]:
        """Which of the channels come first, second, … where the axes are in that order."""
        numbers, ranges = 0, []
        for axis in self.axes:
            count = sum(not part.is_digit for part in axis)
            ranges.append(range(numbers, numbers + count))
            numbers += count
        return [number for axis in order for number in ranges[axis]]

    def whole_axis(self, axis: int) -> int:
        """Which axis of a tensor of whole positions holds the first channels of an axis."""
        return 2 + self.is_pair + len(Layout(self.axes[:axis]).channels)

    def is_standard(self, sizes: Sequence[int]) -> bool:
        """Whether the positions lie on the axes behind the batch, as the data have them."""
        if self.is_pair or self.axes[0] or len(self.axes) <= len(sizes):
            return False
        stride, rank = 1, len(sizes)
        for axis, size in zip(self.axes[rank:0:-1], sizes[::-1], strict=True):
            end = stride * size
            for part in reversed(axis):
                if part.stride != stride:
                    return False
                stride *= part.size
            if stride != end:
                return False
        return not any(part.is_digit for axis in self.axes[rank + 1 :] for part in axis)

    def on_axes(self, kept: Sequence[bool]) -> "Layout":
        """With nothing on some of the axes."""
        pairs = zip(self.axes, kept, strict=True)
        return Layout(tuple(axis if keeps else () for axis, keeps in pairs))


def standard(shape: Shape, sizes: Sequence[int]) -> Layout:
    """Of a tensor with the positions of the data behind the batch."""
    strides = [math.prod(sizes[axis + 1 :]) for axis in range(len(sizes))]
    digits = [(Part(*pair),) for pair in zip(sizes, strides, strict=True)]
    channels = [channel_axis(int(size or 1)) for size in shape[1 + len(sizes) :]]
    return Layout(((), *(axis if axis[0].size > 1 else () for axis in digits), *channels))


def where_equal(shared: Sequence[Part], count: int) -> np.ndarray:
    """Which pairs of positions have these digits in common; Boolean `(count, count)`."""
    number = np.arange(count)
    same = np.ones((count, count), bool)
    for part in shared:
        digit = number // part.stride % part.size
        same &= digit[:, None] == digit
    return same


def gather_index(digits: Sequence[Part], count: int, is_pair: bool) -> np.ndarray:
    """Where what belongs to a position, or a pair, lies along an axis of these digits.

    Shape `(count,)`, or `(count, count)` with sizes of 1 where a side makes no difference.
    """
    found = np.zeros((1, 1) if is_pair else (1,), np.int64)
    for part in digits:
        digit = np.arange(count) // part.stride % part.size
        if is_pair:
            digit = digit[None] if part.side == SECOND else digit[:, None]
        found = found * part.size + digit
    return found
