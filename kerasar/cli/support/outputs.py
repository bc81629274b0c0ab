"""Where results go: to new files, written as a whole or not at all, and to the terminal."""

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from kerasar.cli.support.disk import staging_folder
from kerasar.data.plain_text import plain_text
from kerasar.disk import disk_errors


def check_new(path: Path, option: str) -> None:
    """Raises a FileExistsError if something is at `path`, the value of that option."""
    if not path.name:
        raise FileExistsError(
            f"{option} must name something new, but '{path}' is a folder that exists. Add a name, "
            f"such as '{next_free(path / 'new-{}', first=1)}'."
        )
    if os.path.lexists(path):
        free = next_free(path.with_name(f"{path.stem}-{{}}{path.suffix}"))
        raise FileExistsError(
            f"{option} must name something new, for nothing is overwritten, but '{path}' exists. "
            f"Move it away, or choose another name, such as '{free}'."
        )
    check_place(path, option)


def check_distinct(*outputs: tuple[str, Path]) -> None:
    """Raises a ValueError if two outputs, each an option and its value, are one place."""
    seen: dict[str, tuple[str, Path]] = {}
    for option, path in outputs:
        place = os.path.realpath(path)
        if place in seen:
            other, same = seen[place]
            raise ValueError(
                f"Each output must have a name of its own, but {other} '{same}' and {option} "
                f"'{path}' are one. Rename one, or leave it out."
            )
        seen[place] = option, path


def check_place(path: Path, option: str) -> None:
    """Raises an OSError unless something can be made at `path`, by trying."""
    parent = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    if not parent.is_dir():
        raise NotADirectoryError(
            f"{option} must be in a folder, but '{parent}' is a file, so '{path}' cannot be made. "
            "Choose another name."
        )
    try:
        with staging_folder(parent) as staging:
            (staging / path.absolute().relative_to(parent)).mkdir(parents=True)
    except OSError as error:
        raise OSError(
            f"{option} must be where files can be written, but '{path}' cannot be made: "
            f"{error.strerror}. Choose another place."
        ) from error


def check_ending(path: Path, endings: tuple[str, ...], option: str) -> None:
    """Raises a ValueError unless the name ends as one of the formats does."""
    if path.suffix.lower() not in endings:
        raise ValueError(
            f"{option} must end in {' or '.join(endings)}, the format to write, but got "
            f"'{path}'. Write '{path.stem or path.name}{endings[0]}', say."
        )


def next_free(pattern: Path, first: int = 2) -> Path:
    """The first path that does not exist: the pattern with a number in place of its `{}`."""
    candidates = (Path(str(pattern).replace("{}", str(n))) for n in itertools.count(first))
    return next(path for path in candidates if not os.path.lexists(path))


def missing_folders(path: Path) -> list[Path]:
    """The folders around `path` that do not exist, the innermost first."""
    return [parent for parent in path.parents if not os.path.lexists(parent)]


def remove_empty(folders: Sequence[Path]) -> None:
    """Removes those of the folders that are empty, in that order."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a name to write a file or folder to, and moves it to `path` when it is complete.

    Raises:
        NotWrittenError: if the disk is full or refuses; it names `path`.
    """
    made = missing_folders(path)
    try:
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with staging_folder(path.parent) as staging:
                # The same ending, for many writers choose the format by it.
                yield staging / path.name
                os.rename(staging / path.name, path)
    except BaseException:
        remove_empty(made)
        raise


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints rows under a header."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(header):
        table.add_column(name, no_wrap=i == 0, style="bold" if i == 0 else None)
    for row in rows:
        table.add_row(*(Text(plain_text(cell, keep="\n")) for cell in row))
    Console().print(table)
