"""The two ends of a stream of values: one that writes them, and one that reads them."""

import hashlib
import importlib
from typing import Any

import numpy as np

from kerasar.compression.tables import PRECISION

#: What to do where the library that codes is missing.
INSTALL = "Compression needs the package constriction: pip install 'kerasar[compress]'."


class Recorder:
    """Takes values as they are given, and a digest of the tables that pass by."""

    def __init__(self) -> None:
        self.digest = hashlib.blake2b()

    def pass_on(self, table: np.ndarray, given: np.ndarray) -> np.ndarray:
        """The given values; see `Encoder.pass_on`."""
        self.digest.update(table.tobytes())
        return given


class Encoder:
    """Writes values, by a range coder."""

    def __init__(self) -> None:
        self._constriction = _library()
        self._coder = self._constriction.stream.queue.RangeEncoder()
        self._family = self._constriction.stream.model.Categorical(perfect=False)
        #: How many examples of a batch are coded; those behind them are padding.
        self.examples = 0
        #: What the values cost by their tables, in bits.
        self.bits = 0.0

    def pass_on(self, table: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Writes values that are given.

        Args:
            table: frequencies, `(batch, levels)`.
            given: values, `(batch,)`.
        """
        own = given[: self.examples].astype(np.int32)
        shares = _shares(table[: self.examples])
        self._coder.encode(own, self._family, shares)
        self.bits -= float(np.log2(shares[np.arange(len(own)), own]).sum())
        return given

    def stream(self) -> bytes:
        """All that was written."""
        return np.asarray(self._coder.get_compressed(), "<u4").tobytes()


class Decoder:
    """Reads values from what an `Encoder` wrote."""

    def __init__(self, stream: bytes) -> None:
        constriction = _library()
        words = np.frombuffer(stream, "<u4").astype(np.uint32)
        self._coder = constriction.stream.queue.RangeDecoder(words)
        self._family = constriction.stream.model.Categorical(perfect=False)
        #: How many examples of a batch are coded.
        self.examples = 0

    def pass_on(self, table: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Reads the next values, one for each table; zeros for padding."""
        found = np.zeros_like(given)
        found[: self.examples] = self._coder.decode(self._family, _shares(table[: self.examples]))
        return found


Coder = Recorder | Encoder | Decoder


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
