"""Sets of offsets: which positions an output sees, relative to its own.

Exact, not intervals: the box round a 7×7 mask contains the future, and dilations 2, 4, 8, 16 after
a shift see odd lags only. A row of offsets is one Python integer used as a bit set, so sums and
unions of sets with thousands of members are a few shifts.
"""

import dataclasses
from collections.abc import Iterable

from kerasar.layers.protocol import Offset

#: "All positions before" reaches this far where the size of the data is open.
HORIZON = 4096


@dataclasses.dataclass(frozen=True)
class Window:
    """Offsets that can occur: |offset| < size on each axis. Others only meet padding."""

    sizes: tuple[int, ...]

    @property
    def position_rank(self) -> int:
        """Number of position axes."""
        return len(self.sizes)


@dataclasses.dataclass(frozen=True)
class Offsets:
    """A set of offsets on 1 or 2 axes. `rows` maps a row offset to a bit set of column offsets.

    Bit b of a row stands for the offset b - (size - 1). Sequences have the single row 0.
    `unbounded` says that the set goes back as far as the data do.
    """

    window: Window
    rows: dict[int, int]
    unbounded: bool = False

    @classmethod
    def of(cls, window: Window, members: Iterable[Offset], unbounded: bool = False) -> "Offsets":
        """The set with these members; those outside of the window are dropped."""
        rows: dict[int, int] = {}
        width = window.sizes[-1]
        for member in members:
            row, column = (0, *member) if window.position_rank == 1 else member
            if abs(column) < width and (window.position_rank == 1 or abs(row) < window.sizes[0]):
                rows[row] = rows.get(row, 0) | 1 << (column + width - 1)
        return cls(window, rows, unbounded)

    @classmethod
    def up_to_now(cls, window: Window) -> "Offsets":
        """Everything before and the present: what a recurrence over a sequence sees."""
        return cls.of(window, ((-k,) for k in range(window.sizes[-1])), unbounded=True)

    def __or__(self, other: "Offsets") -> "Offsets":
        rows = dict(self.rows)
        for row, bits in other.rows.items():
            rows[row] = rows.get(row, 0) | bits
        return Offsets(self.window, rows, self.unbounded or other.unbounded)

    def __add__(self, other: "Offsets") -> "Offsets":
        """All sums of a member of each (the Minkowski sum)."""
        rows: dict[int, int] = {}
        size = self.window.sizes[-1]
        mask = (1 << (2 * size - 1)) - 1
        tall = self.window.sizes[0] if self.window.position_rank == 2 else 1
        for a, left in self.rows.items():
            for b, right in other.rows.items():
                if abs(a + b) < tall:
                    bits = _sums(left, right) >> (size - 1) & mask
                    if bits:
                        rows[a + b] = rows.get(a + b, 0) | bits
        return Offsets(self.window, rows, self.unbounded or other.unbounded)

    def __bool__(self) -> bool:
        return any(self.rows.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Offsets) and self.members() == other.members()

    __hash__ = None  # type: ignore[assignment]

    def members(self) -> frozenset[Offset]:
        """All members as tuples."""
        found = set()
        size = self.window.sizes[-1]
        for row, bits in self.rows.items():
            while bits:
                low = bits & -bits
                column = low.bit_length() - 1 - (size - 1)
                found.add((column,) if self.window.position_rank == 1 else (row, column))
                bits ^= low
        return frozenset(found)

    def latest(self) -> Offset:
        """The last member in raster order; the set must not be empty."""
        row = max(row for row, bits in self.rows.items() if bits)
        column = self.rows[row].bit_length() - 1 - (self.window.sizes[-1] - 1)
        return (column,) if self.window.position_rank == 1 else (row, column)

    def has(self, offset: Offset) -> bool:
        """Whether the offset is a member."""
        row, column = (0, *offset) if self.window.position_rank == 1 else offset
        bit = column + self.window.sizes[-1] - 1
        return bit >= 0 and bool(self.rows.get(row, 0) >> bit & 1)

    def without(self, offset: Offset) -> "Offsets":
        """The set less one member."""
        row, column = (0, *offset) if self.window.position_rank == 1 else offset
        rows = dict(self.rows)
        rows[row] = rows.get(row, 0) & ~(1 << (column + self.window.sizes[-1] - 1))
        return Offsets(self.window, rows, self.unbounded)

    def strictly_before(self) -> bool:
        """Whether every member precedes the position."""
        return not self or self.latest() < (0,) * self.window.position_rank


def _sums(left: int, right: int) -> int:
    """Bit set of all sums of a bit of each."""
    if left.bit_count() < right.bit_count():
        left, right = right, left
    total = 0
    while right:
        low = right & -right
        total |= left << (low.bit_length() - 1)
        right ^= low
    return total
