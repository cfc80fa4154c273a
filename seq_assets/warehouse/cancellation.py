"""Cancellation: long work is told to stop, and stops where it next looks, in whichever of the process' threads that is.

Belongs here: the request, which holds for the whole process as a signal does, and how work hears of it. Not here: who asks (the
command line, on a signal), and what an orchestrator makes of it: whoever begins a work names the error that ends it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

SECONDS_UNINTERRUPTED: Final = 60.0
"""For work that must not be torn, which takes a second or two unless something is very wrong."""


class CanceledError(BaseException):
    """Work was told to stop. No `Exception`: nothing takes it for a failure, or tries it again."""


def _nothing() -> None:
    """What there is to do for work that leaves nothing to others."""


@dataclass(frozen=True)
class Work:
    """What a process is doing, as far as whoever stops it has to know.

    Attributes:
        once_stopped: A sentence for people: what was being done, what stands, how to go on.
        interruption: Makes the error that ends it.
        give_up: Is called, in another thread, where it did not end in time and the process is left.
    """

    once_stopped: str
    interruption: Callable[[], BaseException] = CanceledError
    give_up: Callable[[], None] = _nothing


class _Process:
    """Of this process: whether it is told to stop, and what it is doing."""

    def __init__(self) -> None:
        self.canceled = threading.Event()
        self.uninterrupted = threading.Lock()
        self.work = Work("Stopped.")


class _Thread(threading.local):
    """Of each thread: whether it is tidying up."""

    is_tidying = False


_process: Final = _Process()
_thread: Final = _Thread()


@contextmanager
def cancelable() -> Iterator[Callable[[], Work]]:
    """Within it, the given function tells all work to stop and says what that is; afterwards, nothing is told any more.

    The function waits where work is `uninterrupted`, but not for ever.
    """

    def cancel() -> Work:
        is_free = _process.uninterrupted.acquire(timeout=SECONDS_UNINTERRUPTED)
        try:
            _process.canceled.set()
            return _process.work
        finally:
            if is_free:
                _process.uninterrupted.release()

    try:
        yield cancel
    finally:
        _process.canceled.clear()


@contextmanager
def doing(work: Work) -> Iterator[None]:
    """Within it, this is what the process is doing."""
    before, _process.work = _process.work, work
    try:
        yield
    finally:
        _process.work = before


def raise_if_canceled() -> None:
    """Raises the interruption of the current work where it was told to stop."""
    if _process.canceled.is_set() and not _thread.is_tidying:
        raise _process.work.interruption()


def pause(seconds: float) -> None:
    """Waits; raises the interruption of the current work as soon as it is told to stop."""
    if _thread.is_tidying:
        time.sleep(seconds)
    else:
        _process.canceled.wait(seconds)
        raise_if_canceled()


@contextmanager
def tidying() -> Iterator[None]:
    """Within it, this thread is not interrupted: it ends what others would otherwise have to end, such as a running query."""
    before, _thread.is_tidying = _thread.is_tidying, True
    try:
        yield
    finally:
        _thread.is_tidying = before


@contextmanager
def uninterrupted(work: Work, afterwards: Work) -> Iterator[None]:
    """Within it, nothing is told to stop: who wants that waits. For the few steps that are done together or not at all.

    Args:
        work: What the process is doing within it.
        afterwards: What it is doing when these steps are done, until the end of the `doing` around them.

    Raises:
        BaseException: The interruption of the current work, where it was told to stop before.
    """
    with _process.uninterrupted:
        raise_if_canceled()
        with doing(work):
            yield
        _process.work = afterwards
