"""Sets of offsets: which positions an output sees, relative to its own.

Exact, not intervals: the box round a 7×7 mask contains the future, and dilations 2, 4, 8, 16 after
a shift see odd lags only. Along one axis a set is one Python integer used as a bit set, so sums and
unions of sets with thousands of members are a few shifts; a recurrence adds a ray, "everything up
to here", which costs nothing however long the data are. Sets have no horizon: an offset that
reaches beyond the data is kept for as long as a tensor has positions from which the data can be
reached, for a later crop or tap may bring it back.
"""

import dataclasses
from collections.abc import Iterable, Iterator

from kerasar.layers.protocol import Offset

#: How many members of a ray are listed where the size of the data is open.
HORIZON = 4096

#: The smallest and the largest offset that can occur along an axis; None where that is open.
Bounds = tuple[int, int] | None


@dataclasses.dataclass(frozen=True)
class AxisSet:
    """A set of offsets along one axis: single ones, and all of them up to `ray`.

    Bit b of `bits` is the offset `base + b`.
    """

    bits: int = 0
    base: int = 0
    ray: int | None = None

    @classmethod
    def of(cls, members: Iterable[int]) -> "AxisSet":
        """The set with these members."""
        found = list(members)
        base = min(found, default=0)
        bits = 0
        for member in found:
            bits |= 1 << (member - base)
        return cls(bits, base)

    def __bool__(self) -> bool:
        return bool(self.bits) or self.ray is not None

    def __or__(self, other: "AxisSet") -> "AxisSet":
        base = min(self.base, other.base)
        bits = self.bits << (self.base - base) | other.bits << (other.base - base)
        return AxisSet(bits, base, _last(self.ray, other.ray))._tidy()

    def __add__(self, other: "AxisSet") -> "AxisSet":
        if not self or not other:
            return AxisSet()
        rays = [
            one.ray + two.last()
            for one, two in ((self, other), (other, self))
            if one.ray is not None
        ]
        bits, base = _sums(self.bits, other.bits), self.base + other.base
        return AxisSet(bits, base, max(rays, default=None))._tidy()

    def last(self) -> int:
        """The largest member; the set must not be empty."""
        found = _last(self.ray, self.base + self.bits.bit_length() - 1 if self.bits else None)
        if found is None:
            raise ValueError("an empty set has no last member")
        return found

    def has(self, member: int) -> bool:
        """Whether an offset is a member."""
        if self.ray is not None and member <= self.ray:
            return True
        return member >= self.base and bool(self.bits >> (member - self.base) & 1)

    def without(self, member: int) -> "AxisSet":
        """The set less one member, which lies beyond the ray or is its last."""
        ray = self.ray - 1 if self.ray is not None and member == self.ray else self.ray
        bit = member - self.base
        return AxisSet(self.bits & ~(1 << bit) if bit >= 0 else self.bits, self.base, ray)

    def clipped(self, bounds: Bounds) -> "AxisSet":
        """The members within bounds."""
        if bounds is None:
            return self
        low, high = bounds
        ray = None if self.ray is None or self.ray < low else min(self.ray, high)
        bits, base = self.bits, self.base
        if base < low:
            bits, base = bits >> (low - base), low
        if bits and base + bits.bit_length() - 1 > high:
            bits &= (1 << max(high - base + 1, 0)) - 1
        return AxisSet(bits, base, ray)

    def members(self, low: int) -> Iterator[int]:
        """The members in order; those of the ray from `low` on."""
        if self.ray is not None:
            yield from range(low, self.ray + 1)
        bits, base = self.bits, self.base
        while bits:
            bit = (bits & -bits).bit_length() - 1
            yield base + bit
            bits, base = bits >> (bit + 1), base + bit + 1

    def _tidy(self) -> "AxisSet":
        """The same without single members that the ray holds."""
        if self.ray is None or self.ray < self.base:
            return self
        return AxisSet(self.bits >> (self.ray + 1 - self.base), self.ray + 1, self.ray)


@dataclasses.dataclass(frozen=True)
class Offsets:
    """A set of offsets on 1 or 2 position axes.

    Attributes:
        rank: number of position axes.
        rows: for each row offset the set of column offsets. Sequences have the single row 0.
        unbounded: whether the set goes back as far as the data do.
    """

    rank: int
    rows: dict[int, AxisSet]
    unbounded: bool = False

    @classmethod
    def of(cls, rank: int, members: Iterable[Offset], unbounded: bool = False) -> "Offsets":
        """The set with these members."""
        by_row: dict[int, list[int]] = {}
        for member in members:
            row, column = (0, *member) if rank == 1 else member
            by_row.setdefault(row, []).append(column)
        rows = {row: AxisSet.of(columns) for row, columns in by_row.items()}
        return cls(rank, rows, unbounded)

    @classmethod
    def up_to_now(cls) -> "Offsets":
        """Everything before and the present: what a recurrence over a sequence sees."""
        return cls(1, {0: AxisSet(ray=0)}, unbounded=True)

    def __or__(self, other: "Offsets") -> "Offsets":
        rows = dict(self.rows)
        for row, columns in other.rows.items():
            rows[row] = rows[row] | columns if row in rows else columns
        return Offsets(self.rank, rows, self.unbounded or other.unbounded)

    def __add__(self, other: "Offsets") -> "Offsets":
        """All sums of a member of each (the Minkowski sum)."""
        rows: dict[int, AxisSet] = {}
        for a, left in self.rows.items():
            for b, right in other.rows.items():
                both = left + right
                rows[a + b] = rows[a + b] | both if a + b in rows else both
        return Offsets(self.rank, rows, self.unbounded or other.unbounded)

    def __bool__(self) -> bool:
        return any(self.rows.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Offsets) and self.members() == other.members()

    __hash__ = None  # type: ignore[assignment]

    def clipped(self, bounds: tuple[Bounds, ...]) -> "Offsets":
        """The members within bounds on each axis."""
        rows = self.rows
        if self.rank == 2 and bounds[0] is not None:
            low, high = bounds[0]
            rows = {row: columns for row, columns in rows.items() if low <= row <= high}
        rows = {row: columns.clipped(bounds[-1]) for row, columns in rows.items()}
        return Offsets(self.rank, {r: c for r, c in rows.items() if c}, self.unbounded)

    def members(self, sizes: tuple[int | None, ...] = (None,)) -> frozenset[Offset]:
        """The members as tuples; of everything up to a ray those that data of that size have."""
        low = 1 - (sizes[-1] or HORIZON)
        return frozenset(
            (column,) if self.rank == 1 else (row, column)
            for row, columns in self.rows.items()
            for column in columns.members(low)
        )

    def latest(self) -> Offset:
        """The last member in raster order; the set must not be empty."""
        row = max(row for row, columns in self.rows.items() if columns)
        column = self.rows[row].last()
        return (column,) if self.rank == 1 else (row, column)

    def has(self, offset: Offset) -> bool:
        """Whether the offset is a member."""
        row, column = (0, *offset) if self.rank == 1 else offset
        return row in self.rows and self.rows[row].has(column)

    def without(self, offset: Offset) -> "Offsets":
        """The set less its last member in that row."""
        row, column = (0, *offset) if self.rank == 1 else offset
        rows = dict(self.rows)
        if row in rows:
            rows[row] = rows[row].without(column)
        return Offsets(self.rank, rows, self.unbounded)

    def without_any(self, offset: Offset) -> "Offsets":
        """The set less one member, wherever it is."""
        row, column = (0, *offset) if self.rank == 1 else offset
        if not self.has(offset):
            return self
        columns = self.rows[row]
        if columns.ray is not None and column < columns.ray:
            above = AxisSet.of(range(column + 1, columns.ray + 1))
            columns = AxisSet(columns.bits, columns.base) | above | AxisSet(ray=column - 1)
        else:
            columns = columns.without(column)
        return Offsets(self.rank, {**self.rows, row: columns}, self.unbounded)

    def strictly_before(self) -> bool:
        """Whether every member precedes the position."""
        return not self or self.latest() < (0,) * self.rank


def _last(one: int | None, other: int | None) -> int | None:
    return max((value for value in (one, other) if value is not None), default=None)


def _sums(left: int, right: int) -> int:
    """Bit set of all sums of a bit of each."""
    if left.bit_count() < right.bit_count():
        left, right = right, left
    total, shift = 0, 0
    while right:
        bit = (right & -right).bit_length() - 1
        right, shift = right >> bit, shift + bit
        total |= left << shift
        right &= ~1
    return total
