"""Reads a text to model: its characters or bytes, divided by position. Files are never run."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.checks import existing_file
from kerasar.data.vocabulary import TOKENS, Vocabulary

#: Above so many different characters, bytes are fewer tokens to choose from.
_MOST_CHARACTERS = 256
#: So that each part has a token.
_LEAST_TOKENS = 10


@dataclass(frozen=True, eq=False)  # eq=False: comparing arrays gives no single truth
class TextData:
    """A text as tokens, cut by position: eight tenths, one tenth, one tenth.

    Attributes:
        name: the name of the data.
        train: int32 `(tokens,)`, those to train on.
        valid: the tokens after those, which choose among models.
        test: the last tenth.
        vocabulary: what turns text into tokens and back.
    """

    name: str
    train: NDArray[Any]
    valid: NDArray[Any]
    test: NDArray[Any]
    vocabulary: Vocabulary

    @property
    def levels(self) -> int:
        """The number of different tokens."""
        return self.vocabulary.levels

    @property
    def all(self) -> NDArray[Any]:
        """All tokens, in their order."""
        return np.concatenate([self.train, self.valid, self.test])


def load_text(
    path: str | os.PathLike[str],
    tokens: str | None = None,
    vocabulary: Vocabulary | None = None,
) -> TextData:
    """Loads a text file for a model of its characters or bytes.

    Characters are read as UTF-8, without a byte order mark, and line ends become `\\n`. Bytes are
    taken as they are. The vocabulary is that of the whole file, so that every part can be scored.

    Args:
        path: of the file.
        tokens: "characters", or "bytes", which know every text. None takes characters if there are
            no more than 256 different ones, else bytes.
        vocabulary: that of another text, in place of `tokens`: a model takes new text in the tokens
            that it was trained on.

    Returns:
        A `TextData`. `kerasar.data.windows(text.train, length)` cuts it into pieces.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not UTF-8 (and not taken as bytes), too short, made of one character
            alone, or holds characters that the vocabulary lacks.

    Example:
        >>> import tempfile, pathlib, kerasar
        >>> path = pathlib.Path(tempfile.mkdtemp(), "song.txt")
        >>> _ = path.write_text("la la la, la la la. ")
        >>> text = kerasar.data.load_text(path)
        >>> text.levels, text.test, text.vocabulary.decode(text.test)
        (5, array([2, 0], dtype=int32), '. ')
    """
    if tokens not in (None, *TOKENS):
        raise ValueError(
            f"tokens must be {' or '.join(map(repr, TOKENS))}, or None to choose, but got "
            f"{tokens!r}."
        )
    path = existing_file(path)
    stored = path.read_bytes()
    if not stored:
        raise ValueError(f"'{path}' is empty. Give a text of some ten thousand characters.")
    if vocabulary is None:
        vocabulary = _vocabulary(path, stored, tokens)
    if vocabulary.characters is None:
        found = np.frombuffer(stored, "uint8").astype("int32")
    else:
        try:
            found = vocabulary.encode(_decoded(path, stored))
        except ValueError as error:
            raise ValueError(f"'{path}' cannot be taken: {error}") from error
    if len(found) < _LEAST_TOKENS:
        raise ValueError(
            f"A text is cut into parts for training, validation and testing, so it needs at least "
            f"{_LEAST_TOKENS} {vocabulary.tokens}, but '{path}' has {len(found)}. Give a longer "
            "one: models learn from some ten thousand."
        )
    train, valid, test = np.split(found, [len(found) * 8 // 10, len(found) * 9 // 10])
    return TextData(path.stem, train, valid, test, vocabulary)


def _vocabulary(path: Path, stored: bytes, tokens: str | None) -> Vocabulary:
    if tokens == "bytes":
        return Vocabulary(None)
    vocabulary = Vocabulary.of(_decoded(path, stored))
    if tokens is None and vocabulary.levels > _MOST_CHARACTERS:
        return Vocabulary(None)
    if vocabulary.levels < 2:
        raise ValueError(
            f"A text needs at least 2 different characters, but those of '{path}' are "
            f"{vocabulary.characters!r}: there is nothing to learn."
        )
    return vocabulary


def _decoded(path: Path, stored: bytes) -> str:
    """The text that a file holds."""
    try:
        return stored.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"'{path}' must be text in UTF-8, but byte {stored[error.start]:#04x} at "
            f"{error.start:,} is not. Convert it (iconv -f LATIN1 -t UTF-8, say, or UTF-16), or "
            "take its bytes as they are: tokens='bytes' (--tokens bytes)."
        ) from error
