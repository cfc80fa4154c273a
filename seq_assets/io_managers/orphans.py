"""Processes that Dagster starts end with the process that started them: what nobody watches over any more publishes nothing.

Dagster executes runs in children of a code server, and steps of some executors in children of those. Where a parent is killed,
its children would go on, and nobody could tell them to stop. A child hears of its parent's death by a pipe, on every system;
the signal that Linux has for it would also come when a mere thread of the parent ends.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Final

import dagster as dg

_SECONDS_TO_END: Final = 30.0
"""That a process has to tidy up once it is told to stop; then it is killed."""
_WATCH: Final = "end with parent"


def end_with_parent(first: Callable[[], None]) -> None:
    """Has this process end when its parent dies, where Python has started it as a child of that.

    Args:
        first: Is called, in another thread, before the process is told to stop, which is by SIGTERM.
    """
    parent = multiprocessing.parent_process()
    if parent is not None and all(thread.name != _WATCH for thread in threading.enumerate()):
        threading.Thread(target=_end_after, args=(parent, first), name=_WATCH, daemon=True).start()


def cancel_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Has a run that is told to stop end as canceled: one that nobody is canceling would count as failed."""
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished:
        instance.report_run_canceling(run, "The process that started the one that executes it has died.")


def _end_after(parent: BaseProcess, first: Callable[[], None]) -> None:
    parent.join()
    try:
        first()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_SECONDS_TO_END)
        os.kill(os.getpid(), signal.SIGKILL)
