"""`kerasar gallery`."""

import logging
import os
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from kerasar.cli.gallery.catalog import PAGE, find
from kerasar.cli.support.heartbeat import heartbeat
from kerasar.cli.support.tensorflow_startup import start_tensorflow
from kerasar.disk import disk_errors, lock


class Budget(Enum):
    """How long the gallery may take."""

    quick = "quick"
    full = "full"


def gallery(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAMES]...", help="Exhibits; all of them unless named."),
    ] = None,
    budget: Annotated[
        Budget,
        typer.Option(help="quick: 15 minutes on two cores; full: hours, on MNIST if it is found."),
    ] = Budget.quick,
    out: Annotated[Path, typer.Option(help="Folder of the page.")] = Path("gallery"),
    data_dir: Annotated[
        Path | None, typer.Option(help="Where tensorflow_datasets keeps MNIST, for --budget full.")
    ] = None,
) -> None:
    """Draw what the lectures and papers show, each picture with the Python that made it.

        kerasar gallery
        kerasar gallery inpainting plane-flows --out pictures

    It writes one page, index.html, which needs nothing outside of it, and keeps the trained models
    in the same folder: another call makes only what is missing or has changed, and what was
    interrupted goes on where it was.
    """
    wanted = find(names or [])
    kept, page = out / "kept", out / PAGE
    if page.is_dir():
        raise ValueError(
            f"The page is written to '{page}', but that is a folder. Move it, or take another "
            "--out."
        )
    with disk_errors(out):
        try:
            kept.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ValueError(
                _no_folder(next(p for p in (kept, *kept.parents) if p.exists()))
            ) from None
        probe = kept / f".{os.getpid()}"
        probe.touch()
        probe.unlink()
    held = lock(kept)
    if held is None:
        raise BlockingIOError(
            f"Another 'kerasar gallery' works in '{out}'. Wait for it, or take another --out."
        )
    try:
        _make(wanted, kept, out, budget is Budget.full, data_dir)
    except KeyboardInterrupt as stop:
        stop.add_note("What was made is kept, and the same command goes on with the rest.")
        raise
    finally:
        os.close(held)


def _no_folder(file: Path) -> str:
    return f"--out must be a folder, but '{file}' is a file. Move it, or take another --out."


def _make(names: list[str], kept: Path, out: Path, full: bool, data_dir: Path | None) -> None:
    start_tensorflow()
    # That an exhibit traces several functions is meant.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    from rich.console import Console

    from kerasar.cli.gallery.make import make
    from kerasar.cli.gallery.studio import Studio

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    doing = [""]

    def say(text: str) -> None:
        doing[0] = text
        status.update(text)

    with console.status("") as status, heartbeat(lambda: doing[0], console):
        studio = Studio(kept / "models", full=full, say=say, data_dir=data_dir)
        left_out = make(names, studio, out, lambda text: console.print(text, markup=False))
    typer.echo(f"Open {out / PAGE} in a browser.")
    if left_out:
        typer.echo(f"Left out: {', '.join(left_out)}; see above.")
