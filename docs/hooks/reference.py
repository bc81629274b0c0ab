"""A page of the reference for `kerasar` and for each of its rooms, from the docstrings.

A room's `__init__` renames each public name to itself (`import X as X`); the stub of `kerasar`
does the same for the names at the top. These lists, and nothing else, say what is documented. A
name that is at the top is described there, and the page of its room links to it.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

#: Modules that users import by their own name.
_PARTS = {
    "kerasar.layers": ("kerasar.layers.protocol",),
    "kerasar.testing": ("kerasar.testing.saved_model",),
}
PACKAGE = Path(__file__).parents[2] / "kerasar"


def public_names(file: Path) -> dict[str, str]:
    """Each name that a file renames to itself, and the module that it comes from."""
    return {
        alias.name: str(statement.module)
        for statement in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
        if alias.asname == alias.name and alias.name != "__version__"
    }


def reference() -> dict[str, dict[str, str]]:
    """The public names of `kerasar` and of each of its rooms, with their modules."""
    top = public_names(PACKAGE / "__init__.pyi")
    rooms = sorted(name for name, module in top.items() if module == "kerasar")
    names = {name: module for name, module in top.items() if module != "kerasar"}
    return {"kerasar": names} | {
        f"kerasar.{room}": public_names(PACKAGE / room / "__init__.py") for room in rooms
    }


def page(module: str) -> str:
    """The Markdown of a page: mkdocstrings fills in what the docstrings say."""
    return "\n".join(_lines(module))


def _lines(module: str) -> Iterator[str]:
    pages = reference()
    top = pages["kerasar"]
    names = pages[module]
    elsewhere = [name for name in names if module != "kerasar" and name in top]
    yield f"# {module}\n"
    yield f"::: {module}"
    yield "    options: {members: false, show_root_heading: false, show_root_toc_entry: false}\n"
    if elsewhere:
        links = ", ".join(f"[`{name}`](kerasar.md#kerasar.{name})" for name in elsewhere)
        yield f"Described with [kerasar](kerasar.md): {links}.\n"
    for name in sorted(set(names) - set(elsewhere), key=str.lower):
        yield f"::: {module}.{name}\n"
    yield from (f"::: {part}\n" for part in _PARTS.get(module, ()))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for module in reference():
        path = f"reference/{module.removeprefix('kerasar.')}.md"
        files.append(File.generated(config, path, content=page(module)))
    return files
