"""Warehouses as Dagster resources.

Belongs here: what Dagster configures of a warehouse, and how it is opened. Not here: the one on Athena (`athena_resource`),
because `dagster_aws` takes a second to load, and which one is bound (`seq_assets.environments`).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_duckdb import DuckDBResource

from seq_assets.warehouse.interface import Warehouse
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets.warehouse.storage.cloud import Cloud

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class WarehouseResource(dg.ConfigurableResource, ABC):  # type: ignore[type-arg]
    """A warehouse as a Dagster resource."""

    @abstractmethod
    def open(self) -> Warehouse:
        """The warehouse."""


class LocalWarehouseResource(WarehouseResource):
    """The local warehouse, whose DuckDB is Dagster's resource."""

    home: str
    database: str
    environment: str
    duckdb: DuckDBResource

    def open(self) -> Warehouse:
        """The warehouse below `home`."""
        return LocalWarehouse(Path(self.home), self.database, self.environment, connect=self.connect)

    @contextmanager
    def connect(self, config: dict[str, Any]) -> "Iterator[DuckDBPyConnection]":
        """A connection of the resource, with this configuration too."""
        settings = {**self.duckdb.connection_config, **config}
        resource = DuckDBResource(database=self.duckdb.database, connection_config=settings)
        with resource.get_connection() as connection:
            try:
                yield connection
            finally:
                connection.close()  # the resource leaves it open when the body fails


class StagingWarehouseResource(LocalWarehouseResource):
    """The local engine on S3 and the Glue catalog."""

    bucket: str
    prefix: str

    def open(self) -> Warehouse:
        """The warehouse; `home` holds its scratch files."""
        from seq_assets.warehouse.local.staging import StagingWarehouse

        cloud = Cloud(self.environment, self.bucket, self.prefix, self.database)
        return StagingWarehouse(Path(self.home), self.database, self.environment, connect=self.connect, cloud=cloud)
