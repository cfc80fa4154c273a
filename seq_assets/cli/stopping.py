"""A command that is told to stop ends within seconds, with one sentence and the code of the signal.

It is told so by Ctrl-C, by SIGTERM, or by SIGHUP, which comes when its terminal is closed.

The command runs in a thread of its own. So the main thread hears signals whatever the command is doing, and Dagster, which
replaces their handlers in a main thread to hold them back, leaves them alone. What the command does hears of it by
`warehouse.cancellation`, and ends as it does on any error: queries stop, unfinished files are removed, the run is recorded as
canceled. Where that takes too long the process is left as it is: every commit is atomic, and what remains is for `gc`.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Final, NoReturn

from seq_assets.warehouse.cancellation import Work, cancelable

SECONDS_TO_GIVE_UP: Final = 1.3
"""For recording that work was left that did not end by itself in time; then the process ends, recorded or not."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_OVER: Final = 0
_CLEAR_LINE_SHOW_CURSOR: Final = b"\r\x1b[2K\x1b[?25h"


def run_stoppable(command: Callable[[], None], seconds_to_end: Callable[[], float]) -> None:
    """Runs a command to its end, which may be an error or an exit; a signal ends the process instead.

    A second signal changes nothing: the end is near already.

    Args:
        command: Runs in another thread.
        seconds_to_end: How long the command has once it is told to stop.
    """
    # While a step runs, Dagster has standard error go to a file.
    stderr = os.dup(2)
    # What is ignored, as nohup has it, stays so.
    wanted = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, lambda *_: None) for number in wanted}
    over: Future[None] = Future()
    try:
        with _hearing() as (hear, say), cancelable() as cancel:
            over.add_done_callback(lambda _: say(_OVER))
            threading.Thread(target=_run, args=(command, over), daemon=True).start()
            number = next(number for number in iter(hear, None) if number in (_OVER, *wanted))
            if number != _OVER:
                _end(128 + number, cancel, over, stderr, seconds_to_end())
        over.result()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(stderr)


@contextmanager
def _hearing() -> Iterator[tuple[Callable[[], int], Callable[[int], None]]]:
    """Functions that wait for the number of the next signal, and that say a number of one's own.

    Of a queue, or a lock, the main thread would not be woken by a signal that the system gives to another thread.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    # What a process that is forked is told is not for this one.
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
    try:
        yield lambda: os.read(reading, 1)[0], lambda number: _say(writing, number)
    finally:
        signal.set_wakeup_fd(before)
        os.close(writing)
        os.close(reading)


def _say(writing: int, number: int) -> None:
    os.write(writing, bytes([number]))


def _run(command: Callable[[], None], over: "Future[None]") -> None:
    # Ctrl-C goes to every process of the terminal; those that the command starts inherit that it is left to this one.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        command()
    except BaseException as error:  # handed to the main thread as it is
        over.set_exception(error)
    else:
        over.set_result(None)


def _end(code: int, cancel: Callable[[], Work], over: "Future[None]", stderr: int, seconds: float) -> NoReturn:
    """Waits for the command, but no longer than it has, and leaves the process."""
    work = cancel()
    last = threading.Timer(seconds + SECONDS_TO_GIVE_UP, _leave, [code, work, stderr])
    last.daemon = True
    last.start()
    try:
        over.exception(timeout=seconds)
    except TimeoutError:
        with suppress(Exception):
            work.give_up()
        if os.isatty(stderr):
            os.write(stderr, _CLEAR_LINE_SHOW_CURSOR)
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    _leave(code, work, stderr)


def _leave(code: int, work: Work, stderr: int) -> NoReturn:
    with suppress(OSError):
        os.write(stderr, f"{work.once_stopped}\n".encode())
    # Not by `sys.exit`, which waits for other threads.
    os._exit(code)
