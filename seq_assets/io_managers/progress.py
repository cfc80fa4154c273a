"""Telling people how far long work has come: a bar on a terminal, a plain line every few seconds elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, TypeAlias

from seq_assets.warehouse.interface import Progress

if TYPE_CHECKING:
    from rich.console import Console

Begin: TypeAlias = Callable[[str, int], None]
"""Is told the name of the work that begins, and its number, from 1."""
Show: TypeAlias = Callable[[str, str, int], None]
"""Is told the name of work, its stage, and the rows of that stage that are done."""

SECONDS_BETWEEN_LINES: Final = 10.0
_show: ContextVar[Show | None] = ContextVar("show", default=None)


@contextmanager
def terminal_progress(total: int = 1) -> Iterator[Begin]:
    """Within it, progress goes to standard error: a bar over all that there is to do on a terminal, else lines.

    Args:
        total: How much there is to do, for example models.
    """
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    with (_bar if console.is_terminal else _lines)(console, total) as (begin, show):
        token = _show.set(show)
        try:
            yield begin
        finally:
            _show.reset(token)


def progress_of(work: str, log: Callable[[str], None]) -> Progress:
    """The progress of named work: on the terminal within `terminal_progress`, else as log lines every few seconds."""
    show = _show.get() or _every_few_seconds(lambda work, stage, rows: log(_line(work, stage, rows)))

    def progress(stage: str, rows: int) -> None:
        show(work, stage, rows)

    return progress


@contextmanager
def _bar(console: "Console", total: int) -> Iterator[tuple[Begin, Show]]:
    """A bar that is gone afterwards, with the work that is being done, its stage and rows."""
    from rich.markup import escape
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = ("{task.completed} of {task.total}", "{task.description}", "{task.fields[stage]}")
    counted, named, staged = (TextColumn(column) for column in columns)
    with Bar(counted, BarColumn(bar_width=20), named, staged, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=total, stage="")

        def begin(work: str, number: int) -> None:
            bar.update(task, completed=number - 1, description=escape(work), stage="")

        def show(work: str, stage: str, rows: int) -> None:
            bar.update(task, description=escape(work), stage=f"{escape(stage)}, {rows:,} rows")

        yield begin, show


@contextmanager
def _lines(console: "Console", total: int) -> Iterator[tuple[Begin, Show]]:
    place = ""

    def begin(work: str, number: int) -> None:
        nonlocal place
        place = f"{number} of {total}, " if total > 1 else ""

    def write(work: str, stage: str, rows: int) -> None:
        console.print(place + _line(work, stage, rows), markup=False, soft_wrap=True)

    yield begin, _every_few_seconds(write)


def _line(work: str, stage: str, rows: int) -> str:
    return f"{work}: {stage}, {rows:,} rows"


def _every_few_seconds(write: Show) -> Show:
    written = time.monotonic()

    def show(work: str, stage: str, rows: int) -> None:
        nonlocal written
        if time.monotonic() - written >= SECONDS_BETWEEN_LINES:
            written = time.monotonic()
            write(work, stage, rows)

    return show
