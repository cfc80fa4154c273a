"""What killed queries and commands leave in the Glue catalog: scratch tables, and databases of `sequence`.

Belongs here: telling them by name, place and age from everything else that a catalog holds. Not here: their files, which are
found with all other scratch files (`storage.leftovers`).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from seq_assets.errors import SettingsError
from seq_assets.warehouse.athena.external_tables import SCRATCH_TABLE_PREFIX
from seq_assets.warehouse.interface import Removed
from seq_assets.warehouse.storage.cloud import Cloud, glue_explained
from seq_assets.warehouse.storage.leftovers import SCRATCH, Leftover

_HEX: Final = "[0-9a-f]{32}"


@dataclass(frozen=True)
class CatalogLeftovers:
    """Leftovers in the Glue catalog of one environment.

    Attributes:
        glue: The boto3 client of Glue.
        cloud: The place of the environment's tables.
        made_before: Only what was made before this time is taken for left.
    """

    glue: Any
    cloud: Cloud
    made_before: datetime

    def find(self) -> Iterator[Leftover]:
        """Those of the database, then databases.

        Raises:
            SettingsError: Glue refuses.
            RetryableError: Glue is out of reach, or has too much to do.
        """
        database = self.cloud.database
        tables = [table["Name"] for table in self._tables(database) if self._is_scratch(table)]
        if tables:
            yield Leftover(Removed("scratch tables", database, len(tables), 0), self._each(tables, self._drop_table))
        databases = [found["Name"] for found in self._databases() if self._is_of_sequence(found)]
        if databases:
            said = Removed("scratch databases", database, len(databases), 0)
            yield Leftover(said, self._each(databases, self._drop_database))

    def _is_scratch(self, table: Mapping[str, Any]) -> bool:
        """Whether a table has a scratch table's name, lies in this environment's place, and is old."""
        return (
            re.fullmatch(f"{SCRATCH_TABLE_PREFIX}{_HEX}", table["Name"]) is not None
            and self._location(table).startswith(f"{self.cloud.storage.root}/")
            and table["CreateTime"] < self.made_before
        )

    def _is_of_sequence(self, database: Mapping[str, Any]) -> bool:
        """Whether a database has the name of one of `sequence`, all of its tables lie in its scratch folder, and it is old."""
        name = database["Name"]
        if not re.fullmatch(f"{re.escape(self.cloud.database)}_sequence_{_HEX}", name):
            return False
        folder = f"{self.cloud.storage.root}/{SCRATCH}/{name}/"
        return database["CreateTime"] < self.made_before and all(
            self._location(table).startswith(folder) and table["CreateTime"] < self.made_before for table in self._tables(name)
        )

    def _location(self, table: Mapping[str, Any]) -> str:
        return f"{table.get('StorageDescriptor', {}).get('Location', '').rstrip('/')}/"

    def _tables(self, database: str) -> list[Mapping[str, Any]]:
        with self._explained(database), suppress(self.glue.exceptions.EntityNotFoundException):
            pages = self.glue.get_paginator("get_tables").paginate(DatabaseName=database)
            return [table for page in pages for table in page["TableList"]]
        return []

    def _databases(self) -> list[Mapping[str, Any]]:
        with self._explained(f"{self.cloud.database}_sequence_*"):
            return [found for page in self.glue.get_paginator("get_databases").paginate() for found in page["DatabaseList"]]

    def _each(self, names: list[str], drop: Callable[[str], None]) -> Callable[[], None]:
        def remove() -> None:
            for name in names:
                with self._explained(name), suppress(self.glue.exceptions.EntityNotFoundException):
                    drop(name)

        return remove

    def _drop_table(self, name: str) -> None:
        self.glue.delete_table(DatabaseName=self.cloud.database, Name=name)

    def _drop_database(self, name: str) -> None:
        self.glue.delete_database(Name=name)

    def _explained(self, name: str) -> AbstractContextManager[None]:
        return glue_explained(f"glue://{name}", SettingsError)
