"""Commands and names as they are pasted into a shell, and names as Rich prints them."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from rich.text import Text

from kerasar.data.plain_text import plain_text


def quoted(text: str | Path) -> str:
    """One argument for a shell: `shlex.quote`, and a form of bash for what a terminal would obey.

    >>> quoted("run [v1]"), quoted("a\\x07"), quoted(Path("-x"))
    ("'run [v1]'", "$'a\\\\x07'", './-x')
    """
    text = f"./{text}" if isinstance(text, Path) and str(text).startswith("-") else str(text)
    if plain_text(text) == text:
        return shlex.quote(text)
    signs = (
        chr(b) if 32 <= b < 127 and b not in b"\\'" else f"\\x{b:02x}" for b in os.fsencode(text)
    )
    return f"$'{''.join(signs)}'"


def styled(*parts: object) -> Text:
    """A line for `Console.print`, of text and of pairs of text and style: never read as markup."""
    line = Text()
    for part in parts:
        text, style = part if isinstance(part, tuple) else (part, "")
        line.append(plain_text(text), style)
    return line


def called_as() -> str:
    """How to call the command again: as it was called, unless its plain name does."""
    if Path(sys.argv[0]).name != "kerasar" or shutil.which("kerasar") == sys.argv[0]:
        return "kerasar"
    return sys.argv[0]
