"""A time limit for a call, on every system and in every kernel."""

import ctypes
import threading
from collections.abc import Callable
from typing import Any


class TimeUp(BaseException):
    """The time is over. Not an Exception, so that ``except Exception`` lets it pass."""


def within(seconds: float, call: Callable[[], Any]) -> Any:
    """Call, and give up when the time is over.

    A second thread raises TimeUp in this one, between two steps of Python; signals
    would need Unix and the main thread. So a single long call of a library written in C
    (``time.sleep``, a huge matrix product) ends first, and is stopped late.

    Args:
        seconds: The limit.
        call: A function without arguments.

    Returns:
        What the call returns.

    Raises:
        TimeUp: If it takes longer.
    """
    here, done = threading.get_ident(), threading.Event()

    def watch() -> None:
        # again if the call catches it and goes on, but not forever
        for wait in (min(seconds, threading.TIMEOUT_MAX), *[0.05] * 200):
            if done.wait(wait):
                break
            _raise_in(here, TimeUp)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        return call()
    finally:
        try:
            done.set()
        finally:  # TimeUp may come right here
            done.set()
            watcher.join()
            _raise_in(here, None)  # one that came too late


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raise an exception in a thread as soon as it runs Python again."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(error) if error else None
    )
