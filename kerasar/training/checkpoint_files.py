"""The files of a training that can be resumed: each whole or not there, the last few kept.

A file is an `.npz` of arrays and a JSON text. The sums of its archive tell when one is damaged.
"""

import contextlib
import json
import os
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kerasar.disk import NotWrittenError, disk_errors, lock
from kerasar.typing import Config

_NAME, _TEMPORARY, _LOCK = re.compile(r"step-(\d{9,})\.npz"), ".step-writing.npz", "lock"
_ABOUT = "about"


class Checkpoint(NamedTuple):
    """What one file holds.

    Attributes:
        path: of the file.
        about: what can be written as JSON.
        arrays: by name.
    """

    path: Path
    about: Config
    arrays: dict[str, np.ndarray]


class CheckpointFiles:
    """A folder of them.

    Args:
        folder: which is made when the first file is written.
        keep: how many of the newest stay.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder, self.keep = folder, keep

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes out of the folder.

        Raises:
            BlockingIOError: if another one is in it.
            NotWrittenError: if nothing can be written there.
        """
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / _LOCK).touch()
            (self.folder / _TEMPORARY).touch()  # whether new files can be made
        held = lock(self.folder / _LOCK)
        if held is None:
            raise BlockingIOError(
                f"'{self.folder}' is in use: another process trains with these checkpoints. Wait "
                "for its end, or choose another folder."
            )
        try:
            (self.folder / _TEMPORARY).unlink(missing_ok=True)  # or of a process that was killed
            yield
        finally:
            os.close(held)

    def newest(self) -> Checkpoint | None:
        """The newest file that is whole; None if there is none at all.

        A damaged one is told by a warning.

        Raises:
            ValueError: if all are damaged.
        """
        damaged = []
        for path in self._paths():
            try:
                found = _read(path)
            # A damaged archive fails in zipfile, zlib, NumPy or json, each with errors of its own.
            except Exception as error:
                reason = " ".join(str(error).split())[:200] or type(error).__name__
                damaged.append(f"'{path}' is damaged ({reason})")
                continue
            if damaged:
                warnings.warn(
                    f"{'; '.join(damaged)}: training resumes from '{path.name}', the one before.",
                    stacklevel=2,
                )
            return found
        if damaged:
            raise ValueError(
                f"No checkpoint can be read: {'; '.join(damaged)}. Copy one again, or begin anew "
                "in another folder."
            )
        return None

    def write(self, step: int, about: Config, arrays: dict[str, np.ndarray]) -> Path:
        """Writes a file, under another name until it is whole, and removes the oldest.

        Raises:
            NotWrittenError: if the disk is full or refuses. What was there stays.
        """
        path, temporary = self.folder / f"step-{step:09d}.npz", self.folder / _TEMPORARY
        parts: Any = {_ABOUT: np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays}
        try:
            with disk_errors(path):
                with temporary.open("wb") as file:
                    np.savez(file, **parts)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(temporary, path)
                _sync(self.folder)
        except NotWrittenError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        # Those of later steps are damaged, or of a training that was taken back.
        later = [other for other in self._paths() if _step(other) > step]
        for old in (*later, *self._paths()[len(later) + self.keep :]):
            with contextlib.suppress(OSError):
                old.unlink()
        return path

    def _paths(self) -> list[Path]:
        """The files, the newest first."""
        if not self.folder.is_dir():
            return []
        found = [path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(found, key=_step, reverse=True)


def _step(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match.group(1)) if match else -1


def _read(path: Path) -> Checkpoint:
    with zipfile.ZipFile(path) as archive:
        if (bad := archive.testzip()) is not None:
            raise ValueError(f"{bad} is not what was written")
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    about: Any = json.loads(arrays.pop(_ABOUT).tobytes())
    return Checkpoint(path, about, arrays)


def _sync(folder: Path) -> None:
    """Makes the folder's list of names last, too."""
    held = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(held)
    finally:
        os.close(held)
