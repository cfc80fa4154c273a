"""Tables on AWS: where their files and their catalog are, by the standard `AWS_*` settings.

Credentials come from the standard chain alone and are never looked at here.
"""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seq_assets.warehouse.storage import S3Storage

if TYPE_CHECKING:
    from seq_assets.warehouse.tables import Tables


@dataclass(frozen=True)
class Cloud:
    """The place of an environment's tables.

    Attributes:
        environment: Recorded in each table.
        bucket: The bucket on S3.
        prefix: Below which everything is; may be empty.
        database: The Glue database.
    """

    environment: str
    bucket: str
    prefix: str
    database: str

    @property
    def storage(self) -> S3Storage:
        """Where the tables keep their files: `s3://bucket/prefix/database`."""
        return S3Storage("/".join(part for part in (f"s3://{self.bucket}", self.prefix, self.database) if part))

    def open_tables(self) -> "Tables":
        """The tables, in the Glue catalog."""
        from pyiceberg.catalog.glue import GlueCatalog

        from seq_assets.warehouse.tables import Tables

        # pyiceberg hands nothing of the environment on to Arrow.
        properties = {"s3.endpoint": endpoint("s3"), "glue.endpoint": endpoint("glue"), "client.region": region()}
        given = {name: value for name, value in properties.items() if value}
        catalog = GlueCatalog(self.environment, warehouse=self.storage.root, **given)
        return Tables(catalog, self.database, self.environment, self.storage.root)


def boto3_client(service: str) -> Any:
    """A boto3 client with the standard settings."""
    import boto3

    return boto3.Session(region_name=region()).client(service, endpoint_url=endpoint(service))


def endpoint(service: str) -> str | None:
    """Where a service is reached; None for AWS itself."""
    return os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or os.environ.get("AWS_ENDPOINT_URL") or None


def region() -> str | None:
    """The region that the settings name; None leaves it to the profile."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None
