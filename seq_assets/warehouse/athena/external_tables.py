"""Folders of Parquet files as tables, for as long as queries need them."""

import logging
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from seq_assets.errors import SeqAssetsError
from seq_assets.sequencing.schemas import TableSchema
from seq_assets.warehouse.athena.client import AthenaClient
from seq_assets.warehouse.athena.sql import ATHENA_TYPES, hive_type, table_name, text_literal
from seq_assets.warehouse.cancellation import tidying

logger = logging.getLogger(__name__)

SCRATCH_TABLE_PREFIX = "scratch_"


@dataclass(frozen=True)
class ExternalTables:
    """Makes tables over folders in one database of the Glue catalog.

    Attributes:
        athena: Runs the statements.
        database: Where the tables are.
        are_left: Whether they are left to whoever removes the database: each would take a query, which takes seconds.
    """

    athena: AthenaClient
    database: str
    are_left: bool = False

    @contextmanager
    def over(self, folder: str, columns: Sequence[tuple[str, str]]) -> Iterator[str]:
        """A table over the files directly in a folder, as an identifier; its files outlive it.

        An attempt to make or to drop it may have done so and failed afterwards; the next one takes no offence.

        Args:
            folder: `s3://…/`; it may be empty.
            columns: Names, and types as Hive's DDL writes them.
        """
        name = f"{SCRATCH_TABLE_PREFIX}{uuid.uuid4().hex}"
        described = ", ".join(f"`{column}` {type_}" for column, type_ in columns)
        location = text_literal(f"{folder.rstrip('/')}/")
        table = f"`{self.database}`.`{name}`"
        try:
            self.athena.execute(
                f"CREATE EXTERNAL TABLE IF NOT EXISTS {table} ({described}) STORED AS PARQUET LOCATION {location}"
            )
            yield table_name(self.database, name)
        finally:
            if not self.are_left:
                self._drop(table)

    def _drop(self, table: str) -> None:
        """Drops a table as well as it can: it shows nothing that is published, and what ended its use is what must be told."""
        try:
            with tidying():
                self.athena.execute(f"DROP TABLE IF EXISTS {table}")
        except SeqAssetsError as error:
            logger.warning("The scratch table %s is left for gc: %s", table, error)


def columns_of(schema: TableSchema) -> list[tuple[str, str]]:
    """The columns of finished files, with their types as Hive's DDL writes them."""
    found = []
    for column in schema.columns:
        type_ = hive_type(ATHENA_TYPES[column.type])
        found.append((column.name, type_ if column.length is None else f"array<{type_}>"))
    return found
