"""Commands and names as they are pasted into a shell, and names as Rich prints them."""

import os
import shlex
from pathlib import Path

from rich.markup import escape

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


def shown(text: object) -> str:
    """A user's text for `Console.print`: no markup in it, and nothing that a terminal obeys."""
    return escape(plain_text(text))
