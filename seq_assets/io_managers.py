"""The I/O managers: a plan goes in, a version comes out, a lazy handle goes back to whoever is downstream.

Belongs here: what Dagster needs to know about executing plans: materializations per partition, metadata, failures that leave
other partitions whole. Not here: how a plan is executed (`seq_assets.warehouse`) or which one is bound
(`seq_assets.environments`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
from dagster_duckdb import DuckDBResource

from seq_assets.dagster_metadata import (
    RAW_KEY,
    REJECTED_KEY,
    publication_metadata,
    publication_sentence,
    version_metadata,
)
from seq_assets.errors import SeqAssetsError
from seq_assets.progress import progress_of
from seq_assets.sequencing.plans import Dataset, PartitionPlans, Plan, RefusedPlan, SkippedPlan
from seq_assets.warehouse.interface import RawObservations, Warehouse
from seq_assets.warehouse.local.warehouse import LocalWarehouse

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FORCE_TAG: Final = "seq_assets/force"
"""A run with this tag builds even what is unchanged."""


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
        return LocalWarehouse(Path(self.home), self.database, self.environment, self._connect)

    @contextmanager
    def _connect(self, config: dict[str, Any]) -> "Iterator[DuckDBPyConnection]":
        settings = {**self.duckdb.connection_config, **config}
        resource = DuckDBResource(database=self.duckdb.database, connection_config=settings)
        with resource.get_connection() as connection:
            try:
                yield connection
            finally:
                connection.close()  # the resource leaves it open when the body fails


class PlanIOManager(dg.ConfigurableIOManager):
    """Executes plans in a warehouse; inputs are handles of versions.

    Both go by partition key (`model`, or `model|sequence_length`), whether a run has one partition or many.
    """

    warehouse: dg.ResourceDependency[WarehouseResource]

    def handle_output(self, context: dg.OutputContext, obj: PartitionPlans) -> None:
        """Publishes every partition that can be; the others fail the step, with their messages, and are not materialized."""
        warehouse = self.warehouse.open()
        if context.asset_key == REJECTED_KEY:
            _record(context, {model: _rejected_metadata(warehouse, model) for model in obj.plans})
            return
        force = context.step_context.dagster_run.tags.get(FORCE_TAG) == "true"
        published: dict[str, dict[str, Any]] = {}
        failed: dict[str, str] = {}
        for key, plan in obj.plans.items():
            try:
                published[key] = _execute(warehouse, plan, force, key, context.log.info)
            except SeqAssetsError as error:
                failed[key] = str(error)
            except Exception as error:
                # A mistake of the program in one partition leaves the others whole too; its traceback is in the log.
                context.log.exception(f"{key} failed")
                failed[key] = f"{type(error).__name__}: {error}"
        if not failed:
            _record(context, published)
            return
        _record_before_failure(context, warehouse, published)
        raise dg.Failure(
            description="\n\n".join(f"{key}: {message}" for key, message in failed.items()),
            metadata={"failed": ", ".join(failed), "published": ", ".join(published) or "none"},
            allow_retries=False,
        )

    def load_input(self, context: dg.InputContext) -> RawObservations:
        """The newest version of each upstream partition that has one; nothing of it is read."""
        warehouse = self.warehouse.open()
        newest = {model: next(iter(warehouse.versions(Dataset.raw(model))), None) for model in context.asset_partition_keys}
        return RawObservations({model: version for model, version in newest.items() if version is not None})


class LocalIOManager(PlanIOManager):
    """On DuckDB, the Arrow kernel and local files."""


def _execute(warehouse: Warehouse, plan: Plan, force: bool, key: str, log: Callable[[str], None]) -> dict[str, Any]:
    """Executes one partition's plan, logs where its observations went, and returns its metadata."""
    if isinstance(plan, SkippedPlan):
        return {"skipped": plan.reason}
    if isinstance(plan, RefusedPlan):
        raise SeqAssetsError(plan.message)
    publication = warehouse.execute(plan, force=force, progress=progress_of(key, log))
    log(f"{key}: {publication_sentence(publication)}")
    return publication_metadata(publication)


def _rejected_metadata(warehouse: Warehouse, model: str) -> dict[str, Any]:
    """What the newest raw version says of the rejected observations that were published with it."""
    raw = warehouse.find(Dataset.raw(model))
    rejected = warehouse.find(Dataset.rejected(model), raw.metadata["rejected_version"])
    return version_metadata(rejected) | {"raw_version": raw.id}


def _record(context: dg.OutputContext, published: Mapping[str, dict[str, Any]]) -> None:
    """Adds each partition's metadata to the materialization that Dagster records for it when the step succeeds."""
    for key, metadata in published.items():
        context.step_context.add_asset_metadata(metadata, asset_key=context.asset_key, partition_key=key)


def _record_before_failure(context: dg.OutputContext, warehouse: Warehouse, published: Mapping[str, dict[str, Any]]) -> None:
    """Records materializations at once, because Dagster records none for a step that fails."""
    for key, metadata in published.items():
        context.log_event(dg.AssetMaterialization(context.asset_key, partition=key, metadata=metadata))
        if context.asset_key == RAW_KEY:
            rejected = _rejected_metadata(warehouse, key)
            context.log_event(dg.AssetMaterialization(REJECTED_KEY, partition=key, metadata=rejected))
