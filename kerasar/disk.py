"""The disk: locks that end with their process, and errors that name a file."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

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
