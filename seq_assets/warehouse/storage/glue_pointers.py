"""What the Glue catalog says of tables, whatever is in the files that it names."""

from dataclasses import dataclass
from typing import Final

from pyiceberg.catalog.glue import GlueCatalog, _construct_table_input
from pyiceberg.exceptions import CommitFailedException, NoSuchIcebergTableError, NoSuchTableError
from pyiceberg.table.metadata import TableMetadata

from seq_assets.errors import LostRaceError
from seq_assets.warehouse.storage.table_metadata import Pointer

_LOCATION: Final = "metadata_location"
_PREVIOUS: Final = "previous_metadata_location"


@dataclass(frozen=True)
class GluePointers:
    """What the Glue catalog says of the tables of one database.

    Attributes:
        catalog: The catalog.
        database: The Glue database.
    """

    catalog: GlueCatalog
    database: str

    def find(self, table: str) -> Pointer | None:
        """What it says of a table; None where it lists no such table.

        Raises:
            NoSuchIcebergTableError: It lists one that is of another kind.
        """
        try:
            parameters = self.catalog._get_glue_table(self.database, table).get("Parameters", {})
        except NoSuchTableError:
            return None
        location = parameters.get(_LOCATION)
        if location is None:
            raise NoSuchIcebergTableError(f"{self.database}.{table} names no metadata of Iceberg")
        return Pointer(location, parameters.get(_PREVIOUS))

    def move(self, table: str, pointer: Pointer, metadata: TableMetadata, location: str) -> None:
        """Has another metadata file stand; Glue itself refuses, if the table has changed since it was looked at.

        Raises:
            LostRaceError: It says something else by now.
        """
        found = self.catalog._get_glue_table(self.database, table)
        parameters = found.get("Parameters", {})
        lost = LostRaceError(f"{self.database}.{table} was changed by another at the same time; try again.")
        if parameters.get(_LOCATION) != pointer.location:
            raise lost
        parameters.pop(_PREVIOUS, None)
        changed = _construct_table_input(table, location, metadata.properties, metadata, found)
        try:
            self.catalog._update_glue_table(self.database, table, changed, found["VersionId"])
        except CommitFailedException as error:
            raise lost from error
