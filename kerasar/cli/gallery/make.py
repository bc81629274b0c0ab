"""Makes exhibits one after the other, and the page anew after each of them."""

import dataclasses
import hashlib
import importlib
import json
import platform
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import keras

import kerasar
from kerasar.cli.gallery.catalog import NAMES, PAGE, Exhibit, Item, read
from kerasar.cli.gallery.page import write_page
from kerasar.cli.gallery.studio import Studio
from kerasar.cli.support.outputs import atomic_write

#: Exhibits by name, and what each shows.
Shown = dict[str, tuple[Exhibit, list[Item]]]


def make(
    names: Sequence[str], studio: Studio, out: Path, say: Callable[[str], None]
) -> dict[str, str]:
    """Makes what is missing of these exhibits, and the page with all that are there.

    Args:
        names: of exhibits.
        studio: what they are made with.
        out: folder of the page, and of what is kept for another time.
        say: is told of each exhibit that is done.

    Returns:
        The exhibits that were left out: name -> why.
    """
    shown, others = _all_kept(out, studio.full), _all_kept(out, not studio.full)
    left_out: dict[str, str] = {}
    written = False
    for name in names:
        if name in shown:
            say(f"{name}: kept from before")
            continue
        exhibit, start = read(name), time.monotonic()
        studio.say(f"making {name}")
        try:
            items = _drawn(exhibit, studio)
        except ImportError as error:  # an extra that is not installed
            left_out[name] = str(error)
            say(f"{name}: left out. {error}")
            continue
        content = {
            "key": _key(exhibit, studio.full),
            "items": [dataclasses.asdict(i) for i in items],
        }
        with atomic_write(_file(out, name, studio.full)) as file:
            file.write_text(json.dumps(content), encoding="utf-8")
        shown[name] = exhibit, items
        _write(out, shown, others, studio.full)
        written = True
        say(f"{name}: {time.monotonic() - start:.0f} s")
    if not written:
        _write(out, shown, others, studio.full)
    return left_out


def _drawn(exhibit: Exhibit, studio: Studio) -> list[Item]:
    studio.items = []
    keras.utils.set_random_seed(0)
    importlib.import_module(exhibit.module).draw(studio)
    return studio.items


def _write(out: Path, shown: Shown, others: Shown, full: bool) -> None:
    """Writes the page; what was made with the other budget only hangs there, too."""
    sizes = "full" if full else "quick", "quick" if full else "full"
    titles = [exhibit.title for name, (exhibit, _) in others.items() if name not in shown]
    about = (
        f"kerasar {kerasar.__version__}, the {sizes[0]} gallery, on {platform.machine()} with "
        f"Python {platform.python_version()}, {date.today()}. Figures are as measured there."
    )
    if titles:
        about += f" From the {sizes[1]} gallery: {'; '.join(titles)}."
    with atomic_write(out / PAGE) as file:
        write_page(file, {**others, **shown}, about)


def _all_kept(out: Path, full: bool) -> Shown:
    """What was made with this budget before, and is still what would be made."""
    kept = {}
    for name in NAMES:
        exhibit = read(name)
        items = _kept(_file(out, name, full), _key(exhibit, full))
        if items is not None:
            kept[name] = exhibit, items
    return kept


def _file(out: Path, name: str, full: bool) -> Path:
    return out / "kept" / f"{name}{'.full' if full else ''}.json"


def _key(exhibit: Exhibit, full: bool) -> str:
    parts = exhibit.source, str(full), kerasar.__version__
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _kept(file: Path, key: str) -> list[Item] | None:
    """What was made in the same way before; None if nothing was, or it is damaged."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return [Item(**item) for item in content["items"]] if content["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
