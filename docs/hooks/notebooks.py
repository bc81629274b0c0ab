"""The notebooks of `examples/notebooks` as pages, with what a full run of them showed.

They are Python files of jupytext's percent format. `python docs/hooks/notebooks.py NAME` runs one
and keeps the texts and pictures of its cells in `docs/images/notebooks`, from where the page takes
them.
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "examples" / "notebooks"
KEPT = ROOT / "docs" / "images" / "notebooks"


def cells(name: str) -> list[tuple[str, str]]:
    """The kind ("markdown" or "code") and the source of each cell."""
    notebook = jupytext.read(SOURCES / f"{name}.py", fmt="py:percent")
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def page(name: str) -> str:
    """The Markdown of a notebook, with the kept outputs below their cells."""
    return "\n\n".join(_parts(name)) + "\n"


def _parts(name: str) -> Iterator[str]:
    for number, (kind, source) in enumerate(cells(name)):
        if kind == "markdown":
            yield source
            continue
        yield f"```python\n{source}\n```"
        text, picture = (KEPT / f"{name}-{number}.{end}" for end in ("txt", "png"))
        if text.exists():
            yield f"```text\n{text.read_text(encoding='utf-8').rstrip()}\n```"
        if picture.exists():
            yield f"![What the cell above draws](../images/notebooks/{picture.name})"
    yield f"This page is the notebook `examples/notebooks/{name}.py`; Jupyter opens it by jupytext."


def run(name: str) -> None:
    """Runs a notebook in full and keeps what its cells print and draw."""
    from matplotlib.figure import Figure

    from kerasar.pictures import save

    KEPT.mkdir(parents=True, exist_ok=True)
    for old in KEPT.glob(f"{name}-*"):
        old.unlink()
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, (kind, source) in enumerate(cells(name)):
        if kind != "code":
            continue
        lines = [line for line in source.split("\n") if not line.startswith("%")]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n".join(lines), f"{name}.py, cell {number}", "exec"), names)
        if printed.getvalue().strip():
            (KEPT / f"{name}-{number}.txt").write_text(printed.getvalue(), encoding="utf-8")
        last = names.get(lines[-1].strip())
        if isinstance(last, Figure):
            save(last, KEPT / f"{name}-{number}.png")


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    for path in sorted(SOURCES.glob("*.py")):
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page(path.stem)))
    return files


if __name__ == "__main__":
    sys.path.insert(0, os.fspath(ROOT))
    for wanted in sys.argv[1:]:
        run(wanted)
