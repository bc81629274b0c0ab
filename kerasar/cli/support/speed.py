"""How fast a training goes, and how long it still takes, by what came since the last look."""

import time
from collections.abc import Callable


class Speed:
    """Counts examples between two looks; the first begins when the first batch is over.

    Args:
        batch_size: examples in a batch.
        noun: the word for examples.
        clock: gives seconds.
    """

    def __init__(
        self, batch_size: int, noun: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._batch_size, self._noun, self._clock = batch_size, noun, clock
        self._batch, self._examples = -1, 0
        self._done = self._done_before = 0.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """Since the last look; 0 before there is something to see."""
        return 0.0 if self._since is None else self._clock() - self._since

    def begin_epoch(self) -> None:
        """Batches are counted from 0 again."""
        self._batch = -1

    def count(self, batch: int, done: float) -> None:
        """A batch of this index is over, and of the whole training the part `done`."""
        if self._since is None:  # what compiling takes tells nothing
            self._begin(done)
        else:
            self._examples += (batch - self._batch) * self._batch_size
        self._batch, self._done = batch, done

    def take(self) -> tuple[str, str]:
        """Examples a second, and the time left, in words; empty where nothing is known."""
        seconds, more = self.seconds, self._done - self._done_before
        if not self._examples or seconds <= 0 or more <= 0:
            return "", ""
        rate, left = self._examples / seconds, seconds * (1 - self._done) / more
        self._begin(self._done)
        return f"{rate:,.{0 if rate >= 10 else 1}f} {self._noun}/s", f"{_in_words(left)} left"

    def _begin(self, done: float) -> None:
        self._since, self._examples, self._done_before = self._clock(), 0, done


def _in_words(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
