"""Starts TensorFlow without its log messages, so that those of the command can be read.

While it starts, before its log level counts, TensorFlow writes notes to file descriptor 2: that
oneDNN is on, that there is no GPU. A small process reads along and drops just these lines; all
others, and any that come with a crash, go through. After the start its log level is raised; what
fails for good comes as an exception. Whoever sets TF_CPP_MIN_LOG_LEVEL gets the whole output.
"""

import contextlib
import glob
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator

from kerasar.cli.support.signals import ENDS

_PREAMBLE = b"WARNING: All log messages before absl::InitializeLog()"
_NOTE = re.compile(rb"I\d{4} ")  # a line of level INFO
_END = b"\0end"


def start_tensorflow(look: bool = True) -> None:
    """Imports TensorFlow and lets it look for devices.

    Args:
        look: False for several workers, whose strategy must be made before TensorFlow has run.
    """
    if "tensorflow" in sys.modules:
        return
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        import tensorflow

        return
    # Without a GPU even its level ERROR is chatter: CUDA not found, a faster kernel not usable.
    # With one, a warning may give the reason why the GPU is not used.
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "1" if _has_gpu() else "3"
    with _filtered_stderr(_is_noise):
        import tensorflow

        if look:
            tensorflow.config.list_physical_devices()
            tensorflow.zeros(())


def _has_gpu() -> bool:
    return bool(glob.glob("/dev/nvidia[0-9]*"))


def _is_noise(line: bytes) -> bool:
    return line.startswith(_PREAMBLE) or bool(_NOTE.match(line))


@contextlib.contextmanager
def _filtered_stderr(is_noise: Callable[[bytes], bool]) -> Iterator[None]:
    """Drops lines that anything in this process, C++ included, writes to file descriptor 2."""
    # A fork is safe only while there is a single thread.
    if threading.active_count() > 1:
        yield
        return
    try:
        stderr = os.dup(2)
    except OSError:  # closed
        yield
        return
    sys.stderr.flush()
    reading, writing = os.pipe()
    # A process and not a thread: it survives a crash of this one, and passes its messages on.
    reader = os.fork()
    if reader == 0:
        os.close(writing)
        _copy_lines(reading, stderr, is_noise)
    os.close(reading)
    os.dup2(writing, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(stderr, 2)
        os.write(writing, b"\n" + _END + b"\n")
        os.close(writing)
        os.close(stderr)
        os.waitpid(reader, 0)


def _copy_lines(source: int, target: int, is_noise: Callable[[bytes], bool]) -> None:
    """Runs in the small process; never returns."""
    for number in ENDS:
        signal.signal(number, signal.SIG_IGN)  # they are for the command
    try:
        with os.fdopen(source, "rb") as lines:
            for line in lines:
                if line.startswith(_END):
                    break
                if line.strip() and not is_noise(line):
                    os.write(target, line)
    finally:
        os._exit(0)
