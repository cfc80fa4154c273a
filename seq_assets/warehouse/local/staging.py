"""`StagingWarehouse`: the local engine on S3 and the Glue catalog, for whoever has no Athena."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from seq_assets.warehouse.interface import Repair
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets.warehouse.publishing import PublishingWarehouse
from seq_assets.warehouse.storage.cloud import Cloud
from seq_assets.warehouse.storage.storage import Storage

if TYPE_CHECKING:
    from seq_assets.warehouse.storage.iceberg_tables import Tables


@dataclass(eq=False)
class StagingWarehouse(LocalWarehouse):
    """As the local warehouse, but its tables are on S3 and in the Glue catalog.

    Attributes:
        cloud: Where they are.
    """

    cloud: Cloud = field(kw_only=True)

    @cached_property
    def storage(self) -> Storage:
        """The prefix on S3."""
        return self.cloud.storage

    def _open_tables(self) -> "Tables":
        """The tables in the Glue catalog."""
        return self.cloud.open_tables()

    def repair(self) -> Repair:
        """Mends damaged tables; Glue's catalog has no file."""
        return PublishingWarehouse.repair(self)
