"""Signals: a request to end is Ctrl-C, and waits while something is made whole."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

#: What asks a process to end, and can be answered.
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def end_as_ctrl_c() -> None:
    """Makes SIGTERM and SIGHUP raise a KeyboardInterrupt, unless they are ignored (`nohup`)."""
    for number in ENDS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Holds back what asks to end, until the block is over."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals never interrupt other threads
        return
    arrived: list[tuple[Any, ...]] = []
    handlers = {number: signal.getsignal(number) for number in ENDS}
    answered = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in answered:
        signal.signal(number, lambda *signal_and_frame: arrived.append(signal_and_frame))
    try:
        yield
    finally:
        for number, handler in answered.items():
            signal.signal(number, handler)
    if arrived:
        number, frame = arrived[0]
        answered[number](number, frame)
