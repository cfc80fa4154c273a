"""Folders of Parquet files as tables, for as long as queries need them."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from seq_assets.sequencing.schemas import TableSchema
from seq_assets.warehouse.athena.client import AthenaClient
from seq_assets.warehouse.athena.sql import ATHENA_TYPES, hive_type, table_name, text_literal

SCRATCH_TABLE_PREFIX = "scratch_"


@dataclass(frozen=True)
class ExternalTables:
    """Makes tables over folders in one database of the Glue catalog.

    Attributes:
        athena: Runs the statements.
        database: Where the tables are.
    """

    athena: AthenaClient
    database: str

    @contextmanager
    def over(self, folder: str, columns: Sequence[tuple[str, str]]) -> Iterator[str]:
        """A table over the files directly in a folder, as an identifier; its files outlive it.

        Args:
            folder: `s3://…/`; it may be empty.
            columns: Names, and types as Hive's DDL writes them.
        """
        name = f"{SCRATCH_TABLE_PREFIX}{uuid.uuid4().hex}"
        described = ", ".join(f"`{column}` {type_}" for column, type_ in columns)
        location = text_literal(f"{folder.rstrip('/')}/")
        self.athena.execute(
            f"CREATE EXTERNAL TABLE `{self.database}`.`{name}` ({described}) STORED AS PARQUET LOCATION {location}"
        )
        try:
            yield table_name(self.database, name)
        finally:
            self.athena.execute(f"DROP TABLE `{self.database}`.`{name}`")


def columns_of(schema: TableSchema) -> list[tuple[str, str]]:
    """The columns of finished files, with their types as Hive's DDL writes them."""
    found = []
    for column in schema.columns:
        type_ = hive_type(ATHENA_TYPES[column.type])
        found.append((column.name, type_ if column.length is None else f"array<{type_}>"))
    return found
