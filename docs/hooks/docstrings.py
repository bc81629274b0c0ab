"""Docstrings as mkdocstrings reads them: doctests become code, and references lines of their own.

An extension of griffe, which parses the source (`mkdocs.yml` names it).
"""

import re
from typing import Any

from griffe import Extension, Object


def as_sections(text: str) -> str:
    """A docstring whose section "Example" has the name that griffe knows.

    A line that ends with an address ends there; else references would run into each other.
    """
    text = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)
    return re.sub(r"(https?://\S+)$", r"\1  ", text, flags=re.MULTILINE)


class Sections(Extension):
    """Prepares each docstring before it is parsed."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = as_sections(obj.docstring.value)
