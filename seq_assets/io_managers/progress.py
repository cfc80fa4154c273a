"""Telling people how far long work has come: a status line on a terminal, a plain line every few seconds elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from seq_assets.warehouse.interface import Progress

SECONDS_BETWEEN_LINES: Final = 10.0
_show: ContextVar[Callable[[str], None] | None] = ContextVar("show", default=None)


@contextmanager
def terminal_progress() -> Iterator[None]:
    """Within it, progress goes to standard error: a status line that changes on a terminal, else lines."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        token = _show.set(_every_few_seconds(console.print))
        try:
            yield
        finally:
            _show.reset(token)
        return
    with console.status("starting") as status:
        token = _show.set(status.update)
        try:
            yield
        finally:
            _show.reset(token)


def progress_of(work: str, log: Callable[[str], None]) -> Progress:
    """The progress of named work: on the terminal within `terminal_progress`, else as log lines every few seconds."""
    show = _show.get() or _every_few_seconds(log)

    def progress(stage: str, rows: int) -> None:
        show(f"{work}: {stage}, {rows:,} rows")

    return progress


def _every_few_seconds(write: Callable[[str], None]) -> Callable[[str], None]:
    written = time.monotonic()

    def show(line: str) -> None:
        nonlocal written
        if time.monotonic() - written >= SECONDS_BETWEEN_LINES:
            written = time.monotonic()
            write(line)

    return show
