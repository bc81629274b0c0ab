"""Reads many files by several threads, in their order."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

#: Files that are read together.
_CHUNK = 512

Result = TypeVar("Result")


def read_ahead(
    files: Sequence[Path], read: Callable[[Path], Result], chunk: int = _CHUNK
) -> Iterator[Result | ValueError]:
    """What was read of each file, or the ValueError of one that cannot be read.

    Args:
        files: to read.
        read: reads one of them, or raises a ValueError.
        chunk: so many results are kept at once.
    """

    def attempt(file: Path) -> Result | ValueError:
        try:
            return read(file)
        except ValueError as error:
            return error

    with ThreadPoolExecutor(threads()) as pool:
        for start in range(0, len(files), chunk):
            yield from pool.map(attempt, files[start : start + chunk])


def threads() -> int:
    """How many threads read."""
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4)
