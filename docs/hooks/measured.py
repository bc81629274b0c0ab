"""Figures on a page of the guide are read from `results.md`, so that each stands in one place.

A line `<!-- measured: SECTION | PATTERN -->` becomes the rows of that section's table in which the
regular expression PATTERN is found (all rows without it).
"""

import re
from pathlib import Path

from mkdocs.exceptions import PluginError

RESULTS = Path(__file__).parents[1] / "results.md"
_MARK = re.compile(r"^<!-- measured: ([^|\n]+?)(?: \| (.+?))? -->$", re.MULTILINE)


def rows(section: str, pattern: str) -> list[str]:
    """Heading, rule and the rows of a table in `results.md` in which the pattern is found.

    Raises:
        PluginError: if there is no such section, or no such row.
    """
    parts = dict(
        part.split("\n", 1) for part in RESULTS.read_text(encoding="utf-8").split("\n## ")[1:]
    )
    table = [line for line in parts.get(section, "").split("\n") if line.startswith("|")]
    found = [line for line in table[2:] if re.search(pattern, line)]
    if not found:
        raise PluginError(f"results.md has no section '{section}' with rows of '{pattern}'.")
    return [*table[:2], *found]


def on_page_markdown(markdown: str, **_: object) -> str:
    return _MARK.sub(lambda found: "\n".join(rows(found[1], found[2] or "")), markdown)
