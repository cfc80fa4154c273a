"""Folders of Parquet files as tables, for as long as queries need them."""

import logging
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from seq_assets.errors import SeqAssetsError, SettingsError
from seq_assets.sequencing.schemas import TableSchema
from seq_assets.warehouse.athena.sql import ATHENA_TYPES, hive_type, table_name
from seq_assets.warehouse.cancellation import raise_if_canceled
from seq_assets.warehouse.storage.cloud import glue_explained

logger = logging.getLogger(__name__)

SCRATCH_TABLE_PREFIX: Final = "scratch_"
_HIVE: Final = "org.apache.hadoop.hive.ql.io.parquet"


@dataclass(frozen=True)
class ExternalTables:
    """Makes tables over folders in one database of the Glue catalog, which is told itself: statements would be queries.

    Attributes:
        glue: The boto3 client of Glue.
        database: Where the tables are.
        are_left: Whether they are left to whoever removes the database.
    """

    glue: Any
    database: str
    are_left: bool = False

    @contextmanager
    def over(self, folder: str, columns: Sequence[tuple[str, str]]) -> Iterator[str]:
        """A table over the files directly in a folder, as an identifier; its files outlive it.

        An attempt to make or to drop it may have done so and failed afterwards; the next one takes no offence.

        Args:
            folder: `s3://…/`; it may be empty.
            columns: Names, and types as Hive's DDL writes them.

        Raises:
            SettingsError: Glue refuses.
            RetryableError: Glue is out of reach, or has too much to do.
        """
        raise_if_canceled()
        name = f"{SCRATCH_TABLE_PREFIX}{uuid.uuid4().hex}"
        try:
            # Nobody else makes a table of this name.
            with self._explained(name), suppress(self.glue.exceptions.AlreadyExistsException):
                self.glue.create_table(DatabaseName=self.database, TableInput=_described(name, folder, columns))
            yield table_name(self.database, name)
        finally:
            if not self.are_left:
                self._drop(name)

    def _drop(self, name: str) -> None:
        """Drops a table as well as it can: it shows nothing that is published, and what ended its use is what must be told."""
        try:
            with self._explained(name), suppress(self.glue.exceptions.EntityNotFoundException):
                self.glue.delete_table(DatabaseName=self.database, Name=name)
        except SeqAssetsError as error:
            logger.warning("The scratch table %s is left for gc: %s", name, error)

    def _explained(self, name: str) -> AbstractContextManager[None]:
        return glue_explained(f"glue://{self.database}/{name}", SettingsError)


def _described(name: str, folder: str, columns: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """A table as Glue is told of it, and as Athena's `CREATE EXTERNAL TABLE … STORED AS PARQUET` tells it."""
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"EXTERNAL": "TRUE"},
        "StorageDescriptor": {
            "Columns": [{"Name": column.lower(), "Type": type_} for column, type_ in columns],
            "Location": f"{folder.rstrip('/')}/",
            "InputFormat": f"{_HIVE}.MapredParquetInputFormat",
            "OutputFormat": f"{_HIVE}.MapredParquetOutputFormat",
            "SerdeInfo": {
                "SerializationLibrary": f"{_HIVE}.serde.ParquetHiveSerDe",
                "Parameters": {"serialization.format": "1"},
            },
        },
    }


def columns_of(schema: TableSchema) -> list[tuple[str, str]]:
    """The columns of finished files, with their types as Hive's DDL writes them."""
    found = []
    for column in schema.columns:
        type_ = hive_type(ATHENA_TYPES[column.type])
        found.append((column.name, type_ if column.length is None else f"array<{type_}>"))
    return found
