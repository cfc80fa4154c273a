"""The Athena warehouse as a Dagster resource. A module of its own, because `dagster_aws` takes a second to load.

Belongs here: what is Dagster's about production. Not here: how plans are executed there (`seq_assets.warehouse.athena`).
"""

from pathlib import Path
from typing import Any

from dagster_aws.athena import AthenaClientResource

from seq_assets.io_managers.resources import WarehouseResource
from seq_assets.warehouse.athena.warehouse import AthenaWarehouse
from seq_assets.warehouse.interface import Warehouse
from seq_assets.warehouse.storage.cloud import Cloud, region


class AthenaWarehouseResource(WarehouseResource):
    """Athena, S3 and the Glue catalog; the boto3 client of Athena, and its workgroup, are Dagster's resource's."""

    home: str
    bucket: str
    prefix: str
    database: str
    environment: str
    athena: AthenaClientResource

    def open(self) -> Warehouse:
        """The warehouse; `home` holds its scratch files."""
        cloud = Cloud(self.environment, self.bucket, self.prefix, self.database)
        return AthenaWarehouse(Path(self.home), cloud=cloud, workgroup=self.athena.workgroup, open_athena=self._open_athena)

    def _open_athena(self) -> Any:
        import boto3

        # The resource takes boto3's default session, which does not know AWS_REGION.
        boto3.setup_default_session(region_name=region())
        return self.athena.get_client().client
