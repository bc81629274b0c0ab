"""Writes a picture to a file, completely or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from kerasar.arguments import checks_arguments, shorten
from kerasar.checks import user_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@checks_arguments
def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Writes `figure` in the format of the path's suffix, such as .png or .pdf.

    The file is written under another name and then moved, so a reader never sees half a picture.
    An existing file is replaced.

    Raises:
        FileNotFoundError: if the folder does not exist.
        ValueError: if matplotlib does not know the format.
    """
    if not hasattr(figure, "savefig"):
        raise TypeError(f"figure must be a matplotlib Figure, but got {shorten(figure)}.")
    path = user_path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"A picture goes into a folder that exists, but there is no '{path.parent}' for "
            f"'{path}'. Create it first."
        )
    if path.is_dir():
        raise IsADirectoryError(f"A picture is written to a file, but '{path}' is a folder.")
    kind = path.suffix.lstrip(".").lower() or "png"
    known = figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise ValueError(
            f"The suffix of a file determines its format, one of {', '.join(sorted(known))}, but "
            f"got '{path.name}'. Call it '{path.stem}.png', for example."
        )
    with tempfile.TemporaryDirectory(prefix=".picture-", dir=path.parent) as folder:
        written = Path(folder) / path.name
        figure.savefig(written, format=kind)
        os.replace(written, path)
