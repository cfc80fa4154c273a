"""Dagster's own home, as far as whoever opens it must be told what is wrong with it: its configuration and its databases.

Not here: what is recorded there (`event_log`, `dead_runs`), or where it is (`seq_assets.environments`).
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import dagster as dg
from sqlalchemy.exc import DatabaseError

from seq_assets.errors import SettingsError
from seq_assets.warehouse.host_faults import explained

_DATABASES: Final = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")
"""Without which nothing can be recorded, where Dagster keeps them in files; of each run there is another one."""
_MAGIC: Final = b"SQLite format 3\0"
_LONGEST: Final = 300
_ELSEWHERE: Final = "set DAGSTER_HOME to another folder"


@contextmanager
def open_instance() -> Iterator[dg.DagsterInstance]:
    """Dagster's instance; what is wrong with its home is told, now and as long as it is open.

    Raises:
        SettingsError: With the file, what is wrong with it, and what helps.
    """
    home = Path(os.environ.get("DAGSTER_HOME", "."))
    with _home_explained(home):
        # At once, because Dagster finds out in the middle of a run, and shows a traceback before it fails.
        _require_databases(file for name in _DATABASES if (file := home / name).exists())
        try:
            opened = dg.DagsterInstance.get()
        except (OSError, DatabaseError):
            raise
        except Exception as error:
            # Whatever of it Dagster, or what reads it, does not like.
            raise SettingsError(
                f"Dagster's home {str(home)!r} cannot be used, because of {str(home / 'dagster.yaml')!r}: {_shortened(error)}. "
                f"Mend that file, or {_ELSEWHERE}."
            ) from error
        with opened as instance:
            yield instance


@contextmanager
def _home_explained(home: Path) -> Iterator[None]:
    with explained(home, _ELSEWHERE):
        try:
            yield
        except DatabaseError as error:
            if type(error) is not DatabaseError:
                raise  # about what was asked, or whether it can be done now
            _require_databases(sorted(home.rglob("*.db")))
            raise _broken(home, str(error.orig)) from error


def _require_databases(files: Iterable[Path]) -> None:
    """Refuses the first file that does not begin as a database of SQLite does."""
    for file in files:
        with file.open("rb") as opened:
            if opened.read(len(_MAGIC)) not in (b"", _MAGIC):
                raise _broken(file, "it is no database of SQLite")


def _broken(place: Path, what: str) -> SettingsError:
    return SettingsError(
        f"{str(place)!r}, where Dagster records runs, cannot be used: {what}. Move it away, with which the runs in it are "
        f"forgotten (no table is), or {_ELSEWHERE}."
    )


def _shortened(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
