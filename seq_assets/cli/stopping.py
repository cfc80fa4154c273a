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
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
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
    heard: SimpleQueue[int] = SimpleQueue()
    # While a step runs, Dagster has standard error go to a file.
    stderr = os.dup(2)
    # What is ignored, as nohup has it, stays so.
    wanted = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, lambda number, _: heard.put(number)) for number in wanted}
    over: Future[None] = Future()
    over.add_done_callback(lambda _: heard.put(_OVER))
    try:
        with cancelable() as cancel:
            threading.Thread(target=_run, args=(command, over), daemon=True).start()
            number = heard.get()
            if number != _OVER:
                _end(128 + number, cancel, over, stderr, seconds_to_end())
        over.result()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(stderr)


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
