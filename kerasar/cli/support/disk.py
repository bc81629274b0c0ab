"""The disk: staging folders that no end of a process leaves behind, and errors that name a file.

A staging folder is locked as long as its process lives, so that another command can tell those
of a process that was killed, and removes them.
"""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kerasar.cli.support.signals import uninterrupted

_PREFIX = ".kerasar-tmp-"
_STAGING = re.compile(re.escape(_PREFIX) + r"\w{8}")
#: What a disk answers when it does not take what is written.
_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES)


class NotWrittenError(OSError):
    """The disk did not take a file; the message names it."""


@contextlib.contextmanager
def disk_errors(path: Path | str) -> Iterator[None]:
    """Turns what a full or refusing disk raises, in any library, into an error that names `path`.

    Raises:
        NotWrittenError: for such an error; any other goes through.
    """
    try:
        yield
    except NotWrittenError:
        raise
    except Exception as error:
        reason = disk_refusal(error)
        if reason is None:
            raise
        raise NotWrittenError(
            f"'{path}' cannot be written: {reason}. Make room there, or write to another place."
        ) from error


def disk_refusal(error: BaseException | None) -> str | None:
    """What the disk answered, if that is the cause of the error; else None."""
    while error is not None:
        for code in _REFUSALS:
            # h5py and TensorFlow have the system's words in errors of their own.
            if getattr(error, "errno", None) == code or os.strerror(code) in str(error):
                return os.strerror(code).lower()
        error = error.__cause__ or error.__context__
    return None


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


def lock(path: Path) -> int | None:
    """Locks a file or folder until the process ends; None if another has it, or it is gone.

    Returns:
        A file descriptor, whose closing unlocks it.
    """
    try:
        held = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return None
    return held


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
