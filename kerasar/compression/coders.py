"""The two ends of a stream of values: one that writes them, and one that reads them."""

import hashlib
import importlib
from typing import Any

import numpy as np

from kerasar.compression.file_format import NotReadable
from kerasar.distributions.frequency_table import PRECISION

#: What to do where the library that codes is missing.
INSTALL = "Compression needs the package constriction: pip install 'kerasar[compress]'."


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
        constriction = _library()
        self._coder = constriction.stream.queue.RangeEncoder()
        self._family = constriction.stream.model.Categorical(perfect=False)

    def pass_on(self, table: np.ndarray, given: np.ndarray) -> np.ndarray:
        rows = self._next_rows()
        self._coder.encode(given[rows].astype(np.int32), self._family, _shares(table[rows]))
        return given

    def stream(self) -> bytes:
        """All that was written."""
        return np.asarray(self._coder.get_compressed(), "<u4").tobytes()


class Decoder(Coder):
    """Reads values from what an `Encoder` wrote; zeros for padding."""

    def __init__(self, stream: bytes) -> None:
        super().__init__()
        constriction = _library()
        words = np.frombuffer(stream, "<u4").astype(np.uint32)
        self._coder = constriction.stream.queue.RangeDecoder(words)
        self._family = constriction.stream.model.Categorical(perfect=False)

    def pass_on(self, table: np.ndarray, given: np.ndarray) -> np.ndarray:
        found, rows = np.zeros_like(given), self._next_rows()
        shares = _shares(table[rows])
        try:
            found[rows] = self._coder.decode(self._family, shares)
        except Exception as error:  # constriction has none of its own
            raise NotReadable(
                "The stream is not one that these probabilities can have written: it is damaged, "
                "or this model or machine does not fit."
            ) from error
        return found


def _shares(table: np.ndarray) -> np.ndarray:
    """Frequencies as fractions, which float64 holds exactly."""
    if table.size and table.min() < 1:
        raise ValueError(
            "The model gives NaN for probabilities, by which nothing can be coded: look at its "
            "weights."
        )
    return np.ascontiguousarray(table, np.float64) / 2.0**PRECISION


def _library() -> Any:
    try:
        return importlib.import_module("constriction")  # which has no types
    except ImportError as error:
        raise ImportError(INSTALL) from error
