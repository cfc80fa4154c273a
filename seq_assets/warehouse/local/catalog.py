"""The catalog of a home: `catalog.db`, an SQLite database that says which metadata file of each table stands.

Belongs here: the database: how it is opened, that a commit is there to stay, that a lost or broken one is never taken for a new
home, and how another takes its place. Not here: tables and their versions (`storage.iceberg_tables`), and what is whole of them
(`storage.repair`).
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
from pyiceberg.table.metadata import TableMetadata
from sqlalchemy import event, select, update
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError, DisconnectionError, OperationalError
from sqlalchemy.orm import Session

from seq_assets.errors import DamagedError, LostRaceError
from seq_assets.warehouse.storage.durable import synchronize_folder
from seq_assets.warehouse.storage.iceberg_tables import REMEDY, dataset_of
from seq_assets.warehouse.storage.storage import Storage
from seq_assets.warehouse.storage.table_metadata import Pointer, metadata_files

_JOURNAL: Final = "-journal"
"""After the name of a database: what SQLite has not finished there, which belongs to that database alone."""
_FILE: Final = "file"
_IDENTITY: Final = "identity"


class HomeCatalog(SqlCatalog):
    """As pyiceberg's, but what it has committed is there to stay, and it follows the file when another takes its place.

    A connection goes on to work in a file that somebody has moved or removed, where nobody would find what it commits.
    """

    _is_made = False

    def _init_catalog(self) -> None:
        """Configures every connection before the first one is opened, which makes the database where it is missing."""
        event.listen(self.engine, "connect", self._configure)
        event.listen(self.engine, "checkout", _require_same_file)
        with self.engine.connect() as connection:
            # Whatever keeps it from being read is told here: pyiceberg would take it for a sign of a new catalog.
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
        super()._init_catalog()
        self._is_made = True

    def _configure(self, connection: Any, record: Any) -> None:
        # SQLite's default leaves it to chance whether its journal comes back after a commit, and undoes it.
        connection.execute("PRAGMA synchronous = EXTRA").close()
        record.info[_FILE] = file = Path(str(self.engine.url.database))
        record.info[_IDENTITY] = _identity(file)
        if self._is_made and file.stat().st_size == 0:
            raise DamagedError(f"{file} was removed while it was in use. {REMEDY}")


def _require_same_file(_: Any, record: Any, __: Any) -> None:
    if _identity(record.info[_FILE]) != record.info[_IDENTITY]:
        raise DisconnectionError("another file has taken its place")


def _identity(file: Path) -> tuple[int, int] | None:
    """Which file it is; None where there is none."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@dataclass(frozen=True)
class HomePointers:
    """What a home's catalog says of the tables of one database.

    Attributes:
        catalog: The catalog.
        database: The namespace.
    """

    catalog: SqlCatalog
    database: str

    def find(self, table: str) -> Pointer | None:
        """What it says of a table; None where it lists no such table."""
        with Session(self.catalog.engine) as session:
            row = session.execute(
                select(IcebergTables.metadata_location, IcebergTables.previous_metadata_location).where(*self._is(table))
            ).first()
        return None if row is None or row[0] is None else Pointer(row[0], row[1])

    def move(self, table: str, pointer: Pointer, metadata: TableMetadata, location: str) -> None:
        """Has another metadata file stand.

        Raises:
            LostRaceError: It says something else by now.
        """
        where = (*self._is(table), IcebergTables.metadata_location == pointer.location)
        values = {"metadata_location": location, "previous_metadata_location": None}
        with Session(self.catalog.engine) as session:
            moved: Any = session.execute(update(IcebergTables).where(*where).values(**values))
            session.commit()
        if moved.rowcount < 1:
            raise LostRaceError(f"{self.database}.{table} was changed by another at the same time; try again.")

    def _is(self, table: str) -> tuple[Any, ...]:
        return (
            IcebergTables.catalog_name == self.catalog.name,
            IcebergTables.table_namespace == self.database,
            IcebergTables.table_name == table,
        )


@dataclass(frozen=True)
class CatalogFile:
    """`catalog.db`, whatever is there.

    Attributes:
        home: The folder that it is in.
        environment: The catalog's name, which is part of the keys in it.
        storage: Where the tables of a database of this home are.
    """

    home: Path
    environment: str
    storage: Storage

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.home / "catalog.db"

    def open(self) -> HomeCatalog:
        """The catalog, which is made where a home is new.

        Raises:
            DamagedError: It is missing, empty, a folder or no database, while there are tables.
        """
        found = self.what_is_missing()
        if found is not None:
            raise self._damaged(found)
        with self.explained():
            return _open(self.path, self.environment, self.home / "warehouse")

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Has an error of SQLite about a broken file become one for the user."""
        try:
            yield
        except DatabaseError as error:
            # Its subclasses are about what was asked, or whether it can be done now.
            if type(error) is not DatabaseError:
                raise
            raise self._damaged(f"is broken ({error.orig})") from error

    def what_is_missing(self) -> str | None:
        """Why there is no database, though there should be one; None where there is one, or where a home is new."""
        if self.path.is_dir():
            return "is a folder"
        if self._is_there() or not self._has_tables():
            return None
        # Whoever makes a new home makes its catalog before its tables.
        return None if self._is_there() else f"is {'empty' if self.path.exists() else 'missing'}"

    def what_is_wrong(self) -> str | None:
        """Why the database is none that could be used; None where nothing is wrong with it, or where a home is new."""
        missing = self.what_is_missing()
        if missing is not None or not self._is_there():
            return missing
        try:
            with closing(sqlite3.connect(self.path, timeout=60)) as connection:
                found = [row[0] for row in connection.execute("PRAGMA quick_check")]
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            return f"is broken ({error})"
        return None if found == ["ok"] else f"is broken ({found[0]})"

    def hints(self, database: str) -> Mapping[str, str]:
        """What can still be read of a broken database: which metadata file of a table stood."""
        query = "SELECT table_name, metadata_location FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ?"
        found: dict[str, str] = {}
        # What cannot be read is told by the metadata files themselves.
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)) as connection:
            for table, location in connection.execute(query, (self.environment, database)):
                found[table] = location
        return found

    @contextmanager
    def replacement(self, aside: Path) -> Iterator[HomeCatalog]:
        """An empty catalog, which stands in place of the present one when the context ends without an error.

        Args:
            aside: What is there now is kept under this name.
        """
        file = self.home / "catalog.db.replacement"
        for left in (file, _journal_of(file)):
            left.unlink(missing_ok=True)
        catalog = _open(file, self.environment, self.home / "warehouse")
        try:
            yield catalog
        finally:
            catalog.close()
        self._put_aside(aside)
        file.replace(self.path)
        synchronize_folder(self.home)

    def aside(self) -> Path:
        """A name that nothing has, for what is there now."""
        return self.home / f"catalog.db.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"

    def _put_aside(self, aside: Path) -> None:
        """Gives what is there another name; its journal first, which another database of its name would be changed by."""
        for path, kept in ((_journal_of(self.path), _journal_of(aside)), (self.path, aside)):
            if path.exists():
                path.rename(kept)

    def _is_there(self) -> bool:
        return self.path.is_file() and self.path.stat().st_size > 0

    def _has_tables(self) -> bool:
        root = self.storage.root
        names = (name for name in self.storage.folders(root) if dataset_of(name))
        return any(file.number for name in names for file in metadata_files(self.storage, f"{root}/{name}"))

    def _damaged(self, found: str) -> DamagedError:
        return DamagedError(f"{self.path} {found}; it is the catalog of the tables below {self.storage.root}. {REMEDY}")


def _journal_of(file: Path) -> Path:
    return file.with_name(file.name + _JOURNAL)


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Within it, no other process repairs the home."""
    descriptor = os.open(home, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open(file: Path, environment: str, warehouse: Path) -> HomeCatalog:
    """The catalog in a file; it makes its two tables where they are missing."""
    # Seconds that a writer waits for another process' write, which takes milliseconds.
    url = URL.create("sqlite", database=str(file), query={"timeout": "60"})
    properties = {
        "uri": url.render_as_string(hide_password=False),
        "warehouse": str(warehouse),
        "py-io-impl": "seq_assets.warehouse.local.file_io.HomeFileIO",
    }
    for _ in range(2):
        try:
            return HomeCatalog(environment, **properties)
        except OperationalError as error:
            # Another process may be making each of the two at the same moment.
            if "already exists" not in str(error.orig):
                raise
    return HomeCatalog(environment, **properties)
