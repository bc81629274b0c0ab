"""Writes a picture to a file, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Writes `figure` in the format that the name says, .png or .pdf and the like.

    The file is written under another name and then moved, so a reader never sees half a picture.
    A file of that name is replaced.

    Raises:
        FileNotFoundError: if the folder does not exist.
        ValueError: if matplotlib knows no such format.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"A picture goes into a folder that exists, but there is no '{path.parent}' for "
            f"'{path}'. Make it first."
        )
    kind = path.suffix.lstrip(".").lower() or "png"
    known = figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise ValueError(
            f"The ending of a file says its format, one of {', '.join(sorted(known))}, but got "
            f"'{path.name}'. Call it '{path.stem}.png', say."
        )
    with tempfile.TemporaryDirectory(prefix=".picture-", dir=path.parent) as folder:
        written = Path(folder) / path.name
        figure.savefig(written, format=kind)
        os.replace(written, path)
