"""Staging folders that no end of a process leaves behind.

A staging folder is locked as long as its process lives, so that another command can tell those
of a process that was killed, and removes them.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kerasar.cli.support.signals import uninterrupted
from kerasar.disk import lock

_PREFIX = ".kerasar-tmp-"
_STAGING = re.compile(re.escape(_PREFIX) + r"\w{8}")


@contextlib.contextmanager
def staging_folder(parent: Path) -> Iterator[Path]:
    """A new folder in `parent` that is removed at the end, whatever ends the block."""
    sweep(parent)
    folder, held = None, None
    try:
        with uninterrupted():
            folder, held = _make_locked(parent)
        yield folder
    finally:
        with uninterrupted():
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
            if held is not None:
                os.close(held)


def sweep(parent: Path) -> None:
    """Removes the staging folders in `parent` whose process was killed."""
    with contextlib.suppress(OSError):
        for folder in parent.iterdir():
            if not _STAGING.fullmatch(folder.name) or folder.is_symlink():
                continue
            held = lock(folder)
            if held is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(held)


def _make_locked(parent: Path) -> tuple[Path, int | None]:
    for _ in range(8):
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        held = lock(folder)
        if held is not None and folder.exists():
            return folder, held
        if held is None and folder.exists():
            break  # a file system without locks
        # Another process swept it before it was locked.
        if held is not None:
            os.close(held)
    return folder, held
