"""The page of the gallery: one HTML file with everything in it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasar.cli.gallery.catalog import ROOMS, Exhibit, Item


def write_page(
    file: Path, exhibits: Mapping[str, tuple[Exhibit, Sequence[Item]]], about: str
) -> None:
    """Writes the page.

    Args:
        file: where to.
        exhibits: by name: what each is, and what it shows. Those of the catalog that are missing
            are left out.
        about: how and where the pictures were made, a line.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _with_code
    rooms: dict[str, Any] = {
        room: [exhibits[name] for name in names if name in exhibits]
        for room, names in ROOMS.items()
    }
    rooms = {room: shown for room, shown in rooms.items() if shown}
    file.write_text(environment.get_template("page.html").render(rooms=rooms, about=about), "utf-8")


def _with_code(text: str) -> Any:
    """A text for the page, with what stands between backticks as code."""
    from markupsafe import Markup, escape

    parts = text.split("`")
    marked = [
        Markup("<code>{}</code>").format(p) if i % 2 else escape(p) for i, p in enumerate(parts)
    ]
    return Markup("").join(marked)
