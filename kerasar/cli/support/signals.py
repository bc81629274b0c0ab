"""Signals: a request to end is Ctrl-C, waits while something is made whole, and is never lost.

Python raises what a signal asks for wherever the program happens to be. Where an object is being
deleted, in a bare `except:` of another library, or in a function that C++ calls, a
KeyboardInterrupt is dropped or becomes another error. So a request stays pending until it is
answered: it is asked again if nothing is on its way, and an error on its way stands for it.
"""

import _thread
import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

#: What asks a process to end, and can be answered.
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Seconds after which a request that was dropped is made again.
_PATIENCE = 0.3

#: The signals that have come since the last one was answered.
_pending: list[int] = []


def end_as_ctrl_c() -> None:
    """Makes SIGINT, SIGTERM and SIGHUP raise a KeyboardInterrupt, unless ignored (`nohup`)."""
    for number in ENDS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _request)
    sys.unraisablehook = _silence_interrupts


def answered() -> None:
    """Says that a request to end has arrived where it is answered."""
    _pending.clear()


@contextlib.contextmanager
def requests_arrive() -> Iterator[None]:
    """Within it, an error that comes while a request is pending is raised as KeyboardInterrupt."""
    try:
        yield
    except Exception as error:
        if not _pending:
            raise
        stop = KeyboardInterrupt()
        for note in getattr(error, "__notes__", ()):
            stop.add_note(note)
        raise stop from error


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Holds back what asks to end, until the block is over."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals never interrupt other threads
        return
    arrived: list[tuple[Any, ...]] = []
    handlers = {number: signal.getsignal(number) for number in ENDS}
    replaced = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in replaced:
        signal.signal(number, lambda *signal_and_frame: arrived.append(signal_and_frame))
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
    if arrived:
        number, frame = arrived[0]
        replaced[number](number, frame)


def _request(number: int, frame: Any) -> None:
    _pending.append(number)
    if len(_pending) == 1:
        # Not threading.Thread: the signal may have come while that holds its lock.
        with contextlib.suppress(RuntimeError):  # no thread left: then only this once
            _thread.start_new_thread(_ask_again, ())
    raise KeyboardInterrupt


def _ask_again() -> None:
    """Repeats a request as long as it is neither answered nor on its way."""
    time.sleep(_PATIENCE)
    while _pending:
        if not _is_on_its_way():
            signal.pthread_kill(threading.main_thread().ident or 0, _pending[0])
        time.sleep(_PATIENCE)


def _is_on_its_way() -> bool:
    """Whether the main thread is handling a KeyboardInterrupt, or an error that came of one."""
    found: Any = sys._current_exceptions().get(threading.main_thread().ident or 0)
    error = found[1] if isinstance(found, tuple) else found  # a tuple before Python 3.12
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _silence_interrupts(dropped: Any) -> None:
    """Prints what Python drops, but for a request, which is made again."""
    if not (_pending and issubclass(dropped.exc_type, KeyboardInterrupt)):
        sys.__unraisablehook__(dropped)
