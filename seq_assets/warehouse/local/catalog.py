"""The catalog of a home: `catalog.db`, an SQLite database that says which metadata file of each table stands.

Belongs here: the database, how it is opened, and that a commit is there to stay. Not here: tables and their versions
(`storage.iceberg_tables`).
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

from pyiceberg.catalog.sql import SqlCatalog
from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError


class HomeCatalog(SqlCatalog):
    """As pyiceberg's, but what it has committed is there to stay."""

    def _init_catalog(self) -> None:
        """Configures every connection before the first one is opened, which makes the database where it is missing."""
        event.listen(self.engine, "connect", _synchronize_fully)
        super()._init_catalog()


def _synchronize_fully(connection: Any, _: Any) -> None:
    """Has a commit stay that was told: SQLite's default leaves it to chance whether its journal comes back, and undoes it."""
    connection.execute("PRAGMA synchronous = EXTRA").close()


def open_catalog(file: Path, environment: str, warehouse: Path) -> HomeCatalog:
    """The catalog in a file; it makes its two tables where they are missing.

    Args:
        file: The database.
        environment: The catalog's name, which is part of the keys in it.
        warehouse: The folder below which all tables are.
    """
    # Seconds that a writer waits for another process' write, which takes milliseconds.
    url = URL.create("sqlite", database=str(file), query={"timeout": "60"})
    properties = {
        "uri": url.render_as_string(hide_password=False),
        "warehouse": str(warehouse),
        "py-io-impl": "seq_assets.warehouse.local.file_io.HomeFileIO",
    }
    for _ in range(2):
        # Another process may be making each of the two at the same moment.
        with suppress(OperationalError):
            return HomeCatalog(environment, **properties)
    return HomeCatalog(environment, **properties)
