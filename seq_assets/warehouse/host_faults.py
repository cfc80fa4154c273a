"""What the machine refuses (a full disk, a folder that may only be read, a database that others hold), as a sentence.

Belongs here: telling such an error from all others, whoever raises it: the system, SQLite, DuckDB. Not here: which place is
meant, and where else the user may go, which whoever works there knows.
"""

import errno
import os
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seq_assets.errors import SeqAssetsError, SettingsError

_ROOM: Final = "make room there"
_MEND: Final = "mend that"
_REMEDIES: Final[Mapping[int, str]] = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EROFS: "have it mounted for writing",
    errno.EACCES: "get the right to write there",
    errno.EPERM: "get the right to write there",
}
_OF_SQLITE: Final[Mapping[str, str]] = {
    "database is locked": "another process has held it for longer than is waited; wait until that has ended, or end it",
    "database or disk is full": _ROOM,
    "attempt to write a readonly database": "get the right to write there",
    "unable to open database file": _MEND,
    "disk i/o error": _MEND,
}
"""What SQLite says where it cannot do something now, in small letters, and what helps."""
_OF_DUCKDB: Final = ("IOException", "OutOfMemoryException")


@dataclass(frozen=True)
class Refusal:
    """What the machine refused.

    Attributes:
        path: Where; None where that is not said.
        what: What it said.
        remedy: What helps, unless one goes elsewhere.
        is_of_database: Whether it is about a database of SQLite.
    """

    path: str | None
    what: str
    remedy: str
    is_of_database: bool = False


class HostError(SettingsError):
    """The machine refused something.

    Attributes:
        refusal: What.
    """

    def __init__(self, refused: Refusal, place: str, elsewhere: str) -> None:
        """Says it in one sentence."""
        self.refusal = refused
        super().__init__(f"{place!r} cannot be used: {refused.what}; {refused.remedy}, or {elsewhere}.")


def refusal(error: BaseException) -> Refusal | None:
    """What the machine refused, where that is what an error, or its cause, is about; None where it is about something else."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, HostError):
            return found.refusal
        said = _of_system(found) or _of_sqlite(found) or _of_duckdb(found)
        if said is not None:
            return said
        found = found.__cause__
    return None


@contextmanager
def explained(place: Path, elsewhere: str, database: Path | None = None) -> Iterator[None]:
    """What the machine refuses inside becomes an error for the user; of several around each other, the outermost says it.

    Args:
        place: What is meant where an error names no file.
        elsewhere: Where else the user may go, an imperative.
        database: The one of SQLite that is used inside, which SQLite's errors do not name; None for the place.

    Raises:
        HostError: With the file or the place, what was said, and what helps.
    """
    try:
        yield
    except Exception as error:
        refused = refusal(error) if isinstance(error, HostError) or not isinstance(error, SeqAssetsError) else None
        if refused is None:
            raise
        found = refused.path or str(database if refused.is_of_database and database is not None else place)
        raise HostError(refused, found, elsewhere) from error


def _of_system(error: BaseException) -> Refusal | None:
    # What has no number was not refused by this machine.
    if not isinstance(error, OSError) or error.errno is None:
        return None
    path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes | os.PathLike) else None
    return Refusal(path, os.strerror(error.errno), _REMEDIES.get(error.errno, _MEND))


def _of_sqlite(error: BaseException) -> Refusal | None:
    original = getattr(error, "orig", error)  # of SQLAlchemy
    if not isinstance(original, sqlite3.OperationalError):
        return None
    what = str(original)
    remedy = next((remedy for said, remedy in _OF_SQLITE.items() if said in what.lower()), None)
    return None if remedy is None else Refusal(None, what, remedy, is_of_database=True)


def _of_duckdb(error: BaseException) -> Refusal | None:
    duckdb = sys.modules.get("duckdb")  # whose error it can be only where it is loaded
    if duckdb is None or not isinstance(error, tuple(getattr(duckdb, name) for name in _OF_DUCKDB)):
        return None
    # Its message names the file, and says what the machine did.
    return Refusal(None, str(error).strip().split("\n")[0], _ROOM)
