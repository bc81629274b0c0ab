"""What benchmarks of speed share: two sides that take turns, a table and a picture of ratios."""

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.common.report import median, write_bars, write_report
from benchmarks.peers.client import Peer


class Comparison(NamedTuple):
    """Medians of seconds, and how often ours fit into the less of the peer's two; without a peer,
    these are None and the ratio is not a number."""

    ours: float
    theirs: float | None
    theirs_compiled: float | None
    ratio: float


def rest() -> None:
    """Waits until the other side's threads have stopped spinning."""
    time.sleep(0.3)


def compare(
    work: Callable[[int], float],
    peer: Peer | None,
    case: str,
    settings: dict[str, Any],
    repeat: int,
    units: int = 1,
) -> Comparison:
    """Measures our side and the peer's in turn.

    Args:
        work: measures our side once; takes the turn and returns seconds.
        peer: the other side; None without one.
        case: the peer's case.
        settings: the arguments of that case.
        repeat: the number of turns.
        units: how many of the peer's units our seconds are for.
    """
    ours, theirs = [], []
    for turn in range(repeat):
        rest()
        ours.append(work(turn))
        if peer is not None:
            theirs.append(peer.time(case, repeat=1, **settings) * units)
    if peer is None:
        return Comparison(median(ours), None, None, float("nan"))
    compiled = peer.time(case, repeat=3, compiled=True, **settings) * units
    better = min(median(theirs), compiled)
    return Comparison(median(ours), median(theirs), compiled, better / median(ours))


class SpeedReport:
    """Collects the rows of a table and the bars of its picture.

    Args:
        name: of the files, without their suffixes.
        header: of the table.
        title: of the picture.
        options: from a `speed_parser`.
    """

    def __init__(
        self, name: str, header: list[str], title: str, options: argparse.Namespace
    ) -> None:
        self.name, self.header, self.title, self.out = name, header, title, options.out
        self.rows: list[list[str]] = []
        self._bars: list[tuple[str, float, float]] = []

    def add(self, row: list[str], ratio: float, target: float, label: str | None = None) -> None:
        """Adds a row, and a bar with its target."""
        self.rows.append(row)
        self._bars.append((label or row[0], ratio, target))
        print(f"  {row[0]}: {ratio:.2f}×", file=sys.stderr, flush=True)

    def write(self, picture: bool = True) -> None:
        """Writes the table and, if there is a peer to compare with, the picture."""
        write_report(self.name, self.header, self.rows, self.out)
        if picture and self._bars:
            labels, ratios, targets = (list(column) for column in zip(*self._bars, strict=True))
            write_bars(self.name, labels, ratios, targets, self.title, self.out)


def seconds(value: float | None, digits: int, scale: float = 1.0) -> str:
    """A time as a cell of a table; empty for None."""
    return "" if value is None else f"{value * scale:.{digits}f}"
