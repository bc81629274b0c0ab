"""A progress line that announces how long sampling will take."""

import sys
import time
from types import TracebackType
from typing import Any

#: The values of `verbose`.
VERBOSE = ("auto", True, False)


class Progress:
    """A progress line on stderr that appears only once the work turns out to be long.

    Args:
        what: the work, for the line: "Sampling 48 examples".
        total: amount of work in any unit.
        verbose: False keeps quiet; True and "auto" speak where the work takes over `patience`
            seconds, "auto" only if stderr is a terminal.
        patience: seconds of expected work below which nothing is shown.
    """

    def __init__(
        self, what: str, total: int, verbose: bool | int | str = "auto", patience: float = 5.0
    ) -> None:
        self.what, self.total, self.patience = what, total, patience
        self.enabled = sys.stderr.isatty() if verbose == "auto" else bool(verbose)
        self.done = 0
        self._last = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, amount: int) -> None:
        """Reports finished work."""
        now = time.monotonic()
        rate, self._last = (now - self._last) / max(amount, 1), now
        self.done += amount
        if not self.enabled:
            return
        left = rate * (self.total - self.done)
        if self._bar is None and left > self.patience:
            self._start(left)
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done)

    def _start(self, seconds: float) -> None:
        from rich.console import Console
        from rich.progress import Progress as Bar

        console = Console(stderr=True)
        console.print(f"{self.what}: about {_duration(seconds)}.", highlight=False)
        self._bar = Bar(console=console, transient=True)
        self._bar.start()
        self._task = self._bar.add_task(self.what, total=self.total)


def _duration(seconds: float) -> str:
    """A rough duration in words.

    >>> _duration(8.4), _duration(130.0), _duration(9000.0)
    ('8 s', '2 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
