"""Figures on a page of the guide are read from `results.md`, so that each stands in one place.

A line `<!-- measured: SECTION | PATTERN -->` becomes the rows of that section's table in which the
regular expression PATTERN is found (all rows without it), with a link to the section.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.exceptions import PluginError
from mkdocs.structure.pages import Page

RESULTS = Path(__file__).parents[1] / "results.md"
_MARK = re.compile(
    r"^<!-- measured: (?P<section>[^|\n]+?)(?: \| (?P<pattern>.+?))? -->$", re.MULTILINE
)


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


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    folder = posixpath.dirname(page.file.src_uri) or "."

    def table(found: re.Match[str]) -> str:
        anchor = re.sub(r"[^\w]+", "-", found["section"].lower()).strip("-")
        link = f"{posixpath.relpath('results.md', folder)}#{anchor}"
        lines = rows(found["section"], found["pattern"] or "")
        return "\n".join([*lines, "", f"From [Results: {found['section']}]({link})."])

    return _MARK.sub(table, markdown)
