"""Bytes as a stack, to which values are added and from which they are taken again."""

import numpy as np

from kerasar.compression.coders import IMPOSSIBLE, Coder, constriction, shares, uniform
from kerasar.compression.file_format import NotReadable


class Stack:
    """What was pushed last is popped first; popping what was never pushed gives random values.

    Pushing those again brings the stack back to what it was, bit by bit, which is what bits-back
    coding lives on (Duda, 2009: asymmetric numeral systems). At its bottom are pseudo-random words,
    the same in each stack. Of these the stream leaves out those that were never needed.

    Args:
        size: number of random words, one at least.
        stream: of another such stack; None begins a new one.

    Raises:
        NotReadable: for a stream that is none.
    """

    def __init__(self, size: int, stream: bytes | None = None) -> None:
        self._bottom = _random_words(size)
        words = self._bottom if stream is None else self._completed(stream)
        library = constriction()
        try:
            self._coder = library.stream.stack.AnsCoder(words)
        except Exception as error:  # constriction has none of its own
            raise NotReadable(IMPOSSIBLE) from error
        self._family = library.stream.model.Categorical(perfect=False)

    def _completed(self, stream: bytes) -> np.ndarray:
        """The words of a stream on those that it left out, whose number is its last word."""
        words = np.frombuffer(stream, "<u4").astype(np.uint32)
        if len(words) < 2 or words[-1] > len(self._bottom):
            raise NotReadable(IMPOSSIBLE)
        return np.concatenate([self._bottom[: words[-1]], words[:-1]])

    def push(self, values: np.ndarray, tables: np.ndarray) -> None:
        """Adds values, `(count,)`, by a frequency table for each, `(count, levels)`."""
        self._coder.encode_reverse(values.astype(np.int32), self._family, shares(tables))

    def pop(self, tables: np.ndarray) -> np.ndarray:
        """Takes as many values as there are tables, in the order in which they were pushed."""
        return np.asarray(self._coder.decode(self._family, shares(tables)))

    def push_integers(self, values: np.ndarray, size: int) -> None:
        """Adds integers below `size` that are all as likely."""
        if size > 1:
            self._coder.encode_reverse(values.astype(np.int32), uniform(size))

    def pop_integers(self, count: int, size: int) -> np.ndarray:
        """Takes so many of them."""
        if size < 2:
            return np.zeros(count, "int32")
        return np.asarray(self._coder.decode(uniform(size), count))

    @property
    def bits(self) -> int:
        """How many bits there are on top of the random words; negative, if these were needed."""
        return 32 * (self._coder.num_words() - len(self._bottom))

    @property
    def is_new(self) -> bool:
        """Whether there is nothing but the random words, all of them as they were."""
        return np.array_equal(self._coder.get_compressed(), self._bottom)

    def stream(self) -> bytes:
        """All that is on the stack, but the random words that are as they were."""
        words = self._coder.get_compressed()
        common = min(len(words), len(self._bottom))
        same = words[:common] == self._bottom[:common]
        kept = common if same.all() else int(np.argmin(same))
        kept = min(kept, len(words) - 1)  # a stream is never empty
        return np.append(words[kept:], np.uint32(kept)).astype("<u4").tobytes()


class StackWriter(Coder):
    """Keeps the values of a batch with their tables, to push them from the last to the first."""

    def __init__(self) -> None:
        super().__init__()
        self._calls_made: list[tuple[np.ndarray, np.ndarray]] = []

    def pass_on(self, table: np.ndarray, given: np.ndarray) -> np.ndarray:
        rows = self._next_rows()
        self._calls_made.append((given[rows].copy(), table[rows].copy()))
        return given

    def push_all(self, stack: Stack) -> None:
        """Pushes what was kept, so that a `StackReader` finds it in order."""
        for values, table in reversed(self._calls_made):
            stack.push(values, table)


class StackReader(Coder):
    """Pops values; zeros for padding."""

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self._stack = stack

    def pass_on(self, table: np.ndarray, given: np.ndarray) -> np.ndarray:
        found, rows = np.zeros_like(given), self._next_rows()
        found[rows] = self._stack.pop(table[rows])
        return found


def _random_words(count: int) -> np.ndarray:
    """The same on each machine; the last is not zero, as constriction wants it."""
    words = (np.random.PCG64(0).random_raw(count) & 0xFFFFFFFF).astype(np.uint32)
    words[-1] |= 1
    return words
