"""The pages of README and the guide, and the code in them."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

#: The text of each page of the guide by its path in `docs/`.
DOCS = {
    path.relative_to(ROOT / "docs").as_posix(): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "docs").rglob("*.md"))
}


def blocks(text: str, language: str = "python") -> list[str]:
    """The code blocks of one language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def run(code: str, name: str, names: dict[str, Any] | None = None) -> dict[str, Any]:
    """Runs a block and returns the names that it leaves."""
    names = {} if names is None else names
    exec(compile(code, name, "exec"), names)
    return names
