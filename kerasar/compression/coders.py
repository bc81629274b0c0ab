"""The two ends of a stream of values: one that writes them, and one that reads them."""

import hashlib
import importlib
from typing import Any

import numpy as np

from kerasar.compression.file_format import NotReadable
from kerasar.distributions.frequency_table import PRECISION

#: What to do where the library that codes is missing.
INSTALL = "Compression needs the package constriction: pip install 'kerasar[compress]'."

#: Integers of more bits than this are written in two parts.
_BITS = 16


class Coder:
    """Takes or gives the values of a batch, position by position."""

    def __init__(self) -> None:
        self._rows: np.ndarray | slice = slice(None)
        self._lengths: np.ndarray | None = None
        self._calls, self._calls_of_step = 0, 1

    def begin(self, examples: int, lengths: np.ndarray | None, calls_of_step: int) -> None:
        """The next batch.

        Args:
            examples: how many of it are coded; those behind them are padding.
            lengths: of the sequences, `(examples,)`; None: whole examples are coded.
            calls_of_step: how many values a step of a sequence has.
        """
        self._rows, self._lengths = slice(examples), lengths
        self._calls, self._calls_of_step = 0, calls_of_step

    def pass_on(self, table: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Takes a value of each example, or gives one.

        Args:
            table: frequencies, `(batch, levels)`.
            given: values, `(batch,)`.

        Returns:
            The values, `(batch,)`.
        """
        raise NotImplementedError

    def pass_on_integers(self, given: np.ndarray, size: int) -> np.ndarray:
        """Takes or gives integers below `size` that are all as likely, `(count,)`."""
        if size > 1 << _BITS:
            high = self.pass_on_integers(given >> _BITS, ((size - 1) >> _BITS) + 1)
            low = self.pass_on_integers(given & ((1 << _BITS) - 1), 1 << _BITS)
            return (high << _BITS) + low
        return self._pass_on_digits(given, size) if size > 1 and len(given) else given

    def _pass_on_digits(self, given: np.ndarray, size: int) -> np.ndarray:
        raise NotImplementedError

    def _next_rows(self) -> np.ndarray | slice:
        """Which examples of the batch are coded at this call."""
        step = self._calls // self._calls_of_step
        self._calls += 1
        return self._rows if self._lengths is None else np.flatnonzero(self._lengths > step)


class Recorder(Coder):
    """Takes values as they are given, and a digest of the tables that pass by."""

    def __init__(self) -> None:
        super().__init__()
        self.digest = hashlib.blake2b()

    def pass_on(self, table: np.ndarray, given: np.ndarray) -> np.ndarray:
        self.digest.update(table.tobytes())
        return given


class Encoder(Coder):
    """Writes values, by a range coder."""

    def __init__(self) -> None:
        super().__init__()
        library = constriction()
        self._coder = library.stream.queue.RangeEncoder()
        self._family = library.stream.model.Categorical(perfect=False)

    def pass_on(self, table: np.ndarray, given: np.ndarray) -> np.ndarray:
        rows = self._next_rows()
        self._coder.encode(given[rows].astype(np.int32), self._family, shares(table[rows]))
        return given

    def _pass_on_digits(self, given: np.ndarray, size: int) -> np.ndarray:
        self._coder.encode(given.astype(np.int32), uniform(size))
        return given

    def stream(self) -> bytes:
        """All that was written."""
        return np.asarray(self._coder.get_compressed(), "<u4").tobytes()


class Decoder(Coder):
    """Reads values from what an `Encoder` wrote; zeros for padding."""

    def __init__(self, stream: bytes) -> None:
        super().__init__()
        library = constriction()
        words = np.frombuffer(stream, "<u4").astype(np.uint32)
        self._coder = library.stream.queue.RangeDecoder(words)
        self._family = library.stream.model.Categorical(perfect=False)

    def pass_on(self, table: np.ndarray, given: np.ndarray) -> np.ndarray:
        found, rows = np.zeros_like(given), self._next_rows()
        found[rows] = self._decode(self._family, shares(table[rows]))
        return found

    def _pass_on_digits(self, given: np.ndarray, size: int) -> np.ndarray:
        return np.asarray(self._decode(uniform(size), len(given)))

    def _decode(self, *arguments: Any) -> Any:
        try:
            return self._coder.decode(*arguments)
        except Exception as error:  # constriction has none of its own
            raise NotReadable(IMPOSSIBLE) from error


#: What is wrong with a stream that cannot be decoded.
IMPOSSIBLE = (
    "The stream is not one that these probabilities can have written: it is damaged, or this "
    "model or machine does not fit."
)


def shares(table: np.ndarray) -> np.ndarray:
    """Frequencies as fractions, which float64 holds exactly."""
    if table.size and table.min() < 1:
        raise ValueError(
            "The model gives NaN for probabilities, by which nothing can be coded: look at its "
            "weights."
        )
    return np.ascontiguousarray(table, np.float64) / 2.0**PRECISION


def uniform(size: int) -> Any:
    """The model by which constriction codes integers below `size`, 2 or more."""
    return constriction().stream.model.Uniform(size)


def constriction() -> Any:
    """The library that codes.

    Raises:
        ImportError: if it is not installed.
    """
    try:
        return importlib.import_module("constriction")  # which has no types
    except ImportError as error:
        raise ImportError(INSTALL) from error
