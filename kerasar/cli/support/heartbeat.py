"""Lines that say that long work goes on, where no terminal shows a bar."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from rich.console import Console

#: Seconds from one line to the next.
INTERVAL = 10.0


@contextlib.contextmanager
def heartbeat(what: str | Callable[[], str], console: Console | None = None) -> Iterator[None]:
    """Prints what goes on and for how long, every ten seconds, unless on a terminal.

    Args:
        what: the work, or a function that says how far it is.
        console: where to print; stderr by default.
    """
    console = console or Console(stderr=True, soft_wrap=True, highlight=False)
    if console.is_terminal:
        yield
        return
    done, began = threading.Event(), time.monotonic()

    def speak() -> None:
        while not done.wait(INTERVAL):
            text = what if isinstance(what, str) else what()
            console.print(f"{text} ({time.monotonic() - began:.0f} s)", markup=False)

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextlib.contextmanager
def status(what: str, console: Console) -> Iterator[None]:
    """Shows what goes on: a spinner on a terminal, else a line every ten seconds."""
    with console.status(what), heartbeat(what, console):
        yield
