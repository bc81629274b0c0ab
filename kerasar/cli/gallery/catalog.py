"""Which exhibits there are, and in which order. Nothing here imports TensorFlow."""

import ast
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "exhibits"
#: What makes the Python on the page run where it is pasted.
_RUN = """studio = Studio("kept", say=print)  # trained models are kept in this folder
draw(studio)
studio.save("pictures")"""

#: The page, in the folder of the gallery.
PAGE = "index.html"
#: The rooms of the gallery, and the names of what hangs in each: files of `exhibits`.
ROOMS: dict[str, tuple[str, ...]] = {
    "Sequences": ("toy-sequences", "convolutionalize", "text", "audio", "forecast"),
    "Images": (
        "next-pixel",
        "inpainting",
        "positions",
        "receptive-fields",
        "dilations",
        "classes",
        "pixelvae",
    ),
    "Flows": ("piecewise-linear-map", "plane-flows", "coupling-masks", "multiscale-realnvp"),
    "Uses": ("anomalies", "compression", "speed"),
}
NAMES = tuple(name for names in ROOMS.values() for name in names)


@dataclass(frozen=True)
class Exhibit:
    """One exhibit, as its file says.

    Attributes:
        name: for the command, and the address on the page.
        title: the first line of the docstring, without its period.
        text: paragraphs, the rest of the docstring.
        code: the file below its docstring, and how to run it.
        source: the whole file.
    """

    name: str
    title: str
    text: tuple[str, ...]
    code: str
    source: str

    @property
    def module(self) -> str:
        """The name of the module that has `draw`."""
        return f"kerasar.cli.gallery.exhibits.{self.name.replace('-', '_')}"


@dataclass(frozen=True)
class Item:
    """One thing to see, hear or read.

    Attributes:
        kind: "picture", "sound", "table" or "text".
        caption: what it shows.
        content: a `data:` address for pictures and sounds, rows for tables, lines for a text.
        least_width: of a picture, in pixels, so that its words can be read.
    """

    kind: str
    caption: str
    content: Any
    least_width: int = 0


def read(name: str) -> Exhibit:
    """The exhibit of that name."""
    source = (_FOLDER / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(source)) or ""
    title, *text = (" ".join(part.split()) for part in docstring.split("\n\n"))
    code = source[source.index('"""', 3) + 3 :].strip()
    return Exhibit(name, title.rstrip("."), tuple(text), f"{code}\n\n\n{_RUN}", source)


def find(names: Sequence[str]) -> list[str]:
    """The exhibits of these names, all without any, in the order of the gallery.

    Raises:
        ValueError: if there is none of a name; near ones are said.
    """
    for name in names:
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=3, cutoff=0.4)
            hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
            raise ValueError(
                f"NAMES must be exhibits of the gallery, but there is no {name!r}. {hint}"
                f"There are {', '.join(NAMES)}."
            )
    return [name for name in NAMES if name in names or not names]
