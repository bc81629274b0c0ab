"""How tensors whose positions were taken apart meet: which digits they share, and which make pairs.

A query and a key that share the axis of the rows, but have columns on axes of their own, meet as
pairs of positions in the same row:

    query   (row,  column, -)        row      both
    key     (row,  -, column)        columns  the first's, and the second's
"""

from kerasar.causality.whole_positions.parts import BOTH, FIRST, SECOND, Axis, Layout


def join(one: Layout, other: Layout) -> Layout | None:
    """What lies on the axes of two tensors together, axis by axis; None if they do not fit.

    Args:
        one: of as many axes as the other.
        other: of one of them, if any, with pairs.
    """
    if other.is_pair and not one.is_pair:
        one, other = other, one
    if len(one.axes) != len(other.axes):
        return None
    pairs = list(zip(one.axes, other.axes, strict=True))
    if any(a and b and _sizes(a) != _sizes(b) for a, b in pairs):
        return None
    if other.is_pair:
        same = all(a == b or not b or not a for a, b in pairs)
        return Layout(tuple(a or b for a, b in pairs)) if same else None
    apart = any(_has_digits(a) != _has_digits(b) for a, b in pairs)
    if one.is_pair or not apart:
        within = all(_has_digits(a) or not _has_digits(b) for a, b in pairs)
        return Layout(tuple(a or b for a, b in pairs)) if within else None
    return Layout(tuple(_on(a or b, BOTH if a and b else FIRST if a else SECOND) for a, b in pairs))


def without_pairs(layout: Layout) -> Layout:
    """What was of pairs and has lost the digits of one side: those left are of the first."""
    return Layout(tuple(_on(axis, FIRST) for axis in layout.axes))


def sides_of(layout: Layout) -> set[int]:
    """The positions of a pair that some digits belong to, those of both aside."""
    return {part.side for part in layout.parts if part.is_digit and part.side != BOTH}


def _on(axis: Axis, side: int) -> Axis:
    return tuple(part._replace(side=side) if part.is_digit else part for part in axis)


def _sizes(axis: Axis) -> list[tuple[int, int]]:
    return [(part.size, part.stride) for part in axis]


def _has_digits(axis: Axis) -> bool:
    return any(part.is_digit for part in axis)
