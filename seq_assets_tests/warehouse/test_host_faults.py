"""What the machine refuses, told from other errors, and said in a sentence."""

import errno
import sqlite3
from pathlib import Path

import duckdb
import pytest
from sqlalchemy.exc import OperationalError

from seq_assets.errors import SettingsError, SourceError
from seq_assets.warehouse.host_faults import explained

PLACE, DATABASE = Path("home"), Path("home/catalog.db")


def of_sqlite(text: str) -> Exception:
    return OperationalError("SELECT 1", None, sqlite3.OperationalError(text))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space"), "'home' cannot be used: No space left on device; make room there"),
        (OSError(errno.EROFS, "", "x"), "'x' cannot be used: Read-only file system; have it mounted for writing"),
        (PermissionError(errno.EACCES, "", "x"), "'x' cannot be used: Permission denied; get the right to write there"),
        (OSError(errno.EIO, "", b"x"), "'x' cannot be used: Input/output error; mend that"),
        (of_sqlite("database is locked"), "'home/catalog.db' cannot be used: database is locked; another process has held it"),
        (
            sqlite3.OperationalError("database or disk is full"),
            "'home/catalog.db' cannot be used: database or disk is full; make",
        ),
        (of_sqlite("attempt to write a readonly database"), "'home/catalog.db' cannot be used: attempt to write a readonly"),
        (
            duckdb.IOException("IO Error: no space in x\nmore"),
            "'home' cannot be used: IO Error: no space in x; make room there",
        ),
        (duckdb.OutOfMemoryException("Out of Memory Error: x"), "'home' cannot be used: Out of Memory Error: x; make room"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
@pytest.mark.parametrize("is_caused", [False, True])
def test_it_is_said_with_the_place_and_the_remedy(error: Exception, sentence: str, is_caused: bool) -> None:
    if is_caused:
        cause, error = error, RuntimeError("something failed")
        error.__cause__ = cause
    with pytest.raises(SettingsError) as caught, explained(PLACE, "go elsewhere", DATABASE):
        raise error
    assert str(caught.value).startswith(sentence)
    assert str(caught.value).endswith(", or go elsewhere.")


@pytest.mark.parametrize(
    "error",
    [
        OSError("the server hung up"),
        of_sqlite("no such table: x"),
        sqlite3.DatabaseError("file is not a database"),
        duckdb.BinderException("no such column"),
        SourceError("the source is gone"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, explained(PLACE, "go elsewhere", DATABASE):
        raise error
    assert caught.value is error


def test_of_several_around_each_other_the_outermost_says_where_else_to_go() -> None:
    with (
        pytest.raises(
            SettingsError, match=r"^'out' cannot be used: No space left on device; make room there, or choose OUT\.$"
        ),
        explained(Path("out"), "choose OUT"),
        explained(PLACE, "go elsewhere", DATABASE),
    ):
        raise OSError(errno.ENOSPC, "No space")
