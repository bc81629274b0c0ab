"""The tokens of a text: its characters, each with a number, or the bytes that it is stored as."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.arguments import shorten
from kerasar.checks import as_array

#: What a text can be divided into.
TOKENS = ("characters", "bytes")


@dataclass(frozen=True)
class Vocabulary:
    """Turns text into the integers that a model takes, and back.

    Attributes:
        characters: the characters that are known, in the order of their numbers. None for bytes,
            in UTF-8: these know every text.

    Raises:
        ValueError: if there are no characters, or they are not in order.

    Example:
        >>> vocabulary = Vocabulary.of("hello")
        >>> vocabulary.characters, vocabulary.encode("hole"), vocabulary.decode([1, 0, 2, 2])
        ('ehlo', array([1, 3, 2, 0], dtype=int32), 'hell')
    """

    characters: str | None

    def __post_init__(self) -> None:
        if self.characters is None:
            return
        points = _code_points(self.characters)
        if not len(points) or (points[1:] <= points[:-1]).any():
            raise ValueError(
                "characters must be different ones in the order of their code points, at least "
                f"one, but got {shorten(self.characters)}. Vocabulary.of(text) finds those of a "
                "text."
            )

    @classmethod
    def of(cls, text: str) -> "Vocabulary":
        """The vocabulary of all characters of a text."""
        return cls("".join(map(chr, np.unique(_code_points(_unix_lines(text))))))

    @property
    def levels(self) -> int:
        """The number of tokens."""
        return 256 if self.characters is None else len(self.characters)

    @property
    def tokens(self) -> str:
        """What the tokens are: "characters" or "bytes"."""
        return "bytes" if self.characters is None else "characters"

    def encode(self, text: str) -> NDArray[Any]:
        """The tokens of a text, int32 `(tokens,)`.

        Line ends are written `\\n`: where characters are known, those of other systems become it.

        Raises:
            ValueError: for characters that are not in the vocabulary; they are named.
        """
        if self.characters is None:
            stored = text.encode("utf-8", "surrogateescape")
            return np.frombuffer(stored, "uint8").astype("int32")
        points, known = _code_points(_unix_lines(text)), _code_points(self.characters)
        found = np.minimum(np.searchsorted(known, points), len(known) - 1)
        wrong = points[known[found] != points]
        if len(wrong):
            raise ValueError(
                f"The text may hold the {self.levels} characters that the model was trained on, "
                f"{_brief(known)}, but it holds {_brief(np.unique(wrong))}. Leave them out, or "
                "train on bytes, which know every text (--tokens bytes)."
            )
        return found.astype("int32")

    def decode(self, tokens: Any) -> str:
        """The text of tokens, `(tokens,)`; bytes that are not UTF-8 become `\\ufffd`."""
        return self.to_bytes(tokens).decode("utf-8", "replace")

    def to_bytes(self, tokens: Any) -> bytes:
        """The text of tokens as it is stored, in UTF-8; of bytes, as they are.

        Raises:
            ValueError: for tokens outside the vocabulary.
        """
        array = as_array(tokens, "tokens")
        if array.ndim != 1 or (len(array) and not 0 <= array.min() <= array.max() < self.levels):
            raise ValueError(
                f"tokens must be integers from 0 to {self.levels - 1}, of shape (tokens,), but got "
                f"{array!r}. Decode the samples one by one."
            )
        if self.characters is None:
            return array.astype("uint8").tobytes()
        points = _code_points(self.characters)[array.astype("int64")]
        return points.astype("<u4").tobytes().decode("utf-32-le").encode("utf-8")


def _unix_lines(text: str) -> str:
    """The text with `\\n` for the line ends of Windows and of old Macs."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _code_points(text: str) -> NDArray[Any]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _brief(points: Iterable[int]) -> str:
    """Characters for a message: all of them if they are few."""
    named = [repr(chr(point)) for point in points]
    return ", ".join(named if len(named) <= 8 else [*named[:7], f"{len(named) - 7} more"])
