"""The I/O managers: a plan goes in, a version comes out, a lazy handle goes back to whoever is downstream.

Belongs here: what Dagster needs to know about executing plans: materializations per partition, metadata, failures that leave
other partitions whole. Not here: how a plan is executed (`seq_assets.warehouse`) or which one is bound
(`seq_assets.environments`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Protocol

import dagster as dg
from dagster._core.execution.context.system import StepExecutionContext

from seq_assets.errors import RetryableError, SeqAssetsError
from seq_assets.io_managers.chosen_partitions import require_partitions
from seq_assets.io_managers.damage import damage_logged
from seq_assets.io_managers.data_versions import cell_data_version, newest_materializations, raw_data_version
from seq_assets.io_managers.dead_runs import process_tags
from seq_assets.io_managers.metadata import (
    RAW_KEY,
    REJECTED_KEY,
    in_reading_order,
    page_metadata,
    publication_metadata,
    publication_sentence,
    version_metadata,
)
from seq_assets.io_managers.orphans import cancel_run, end_with_parent
from seq_assets.io_managers.pages import page_of
from seq_assets.io_managers.partition_keys import partition_tags
from seq_assets.io_managers.progress import progress_of
from seq_assets.io_managers.resources import WarehouseResource
from seq_assets.io_managers.upstream import upstream_of
from seq_assets.models import ModelSpec
from seq_assets.sequencing.plans import Dataset, PartitionPlans, Plan, RefusedPlan, SequencePlan
from seq_assets.warehouse.cancellation import raise_if_canceled
from seq_assets.warehouse.interface import RawObservations, Version, Warehouse

WAREHOUSE_KEY: Final = "seq_assets_warehouse"
IO_MANAGER_KEY: Final = "seq_assets_io_manager"
"""Of the resources: names of their own, because a graph may stand in a project that has an `io_manager`."""
FORCE_TAG: Final = "seq_assets/force"
"""A run with this tag builds even what is unchanged."""
WAREHOUSE_POOL: Final = "warehouse"
"""Dagster's pool of all that works in the warehouse: its limit is how many runs do so at a time."""
MOST_RETRIES: Final = 3
SECONDS_BEFORE_RETRY: Final = 5.0
"""Before the first retry; before each further one, three times as long."""


class Present(Protocol):
    """Makes the handle of a version that people work with."""

    def __call__(self, warehouse: Warehouse, version: Version, /) -> object:
        """The handle; nothing of the version is read."""


class PlanIOManager(dg.IOManager):
    """Executes plans in a warehouse; inputs are handles of versions.

    Both go by partition key (`model`, or `model|sequence_length`), whether a run has one partition or many.
    """

    def __init__(self, warehouse: WarehouseResource, present: Present) -> None:
        """Takes the warehouse of the run, and what makes the handles that assets downstream receive."""
        self._warehouse = warehouse
        self._present = present

    @classmethod
    def definition(cls, present: Present) -> dg.IOManagerDefinition:
        """An I/O manager on whatever warehouse a run has as its resource `seq_assets_warehouse`."""

        @dg.io_manager(required_resource_keys={WAREHOUSE_KEY}, description=cls.__doc__)
        def bound(context: dg.InitResourceContext) -> PlanIOManager:
            require_partitions(context)
            return cls(getattr(context.resources, WAREHOUSE_KEY), present)

        return bound

    def handle_output(self, context: dg.OutputContext, obj: PartitionPlans) -> None:
        """Publishes every partition that can be; the others fail the step, with their messages, and are not materialized.

        The step is tried again if one of them may pass by itself; what was published then stands unchanged.
        """
        _require_plans(context, obj)
        with _retrying(context):
            self._publish(context, obj)

    def _publish(self, context: dg.OutputContext, obj: PartitionPlans) -> None:
        warehouse = self._warehouse.open()
        instance = context.step_context.instance
        instance.add_run_tags(context.step_context.run_id, partition_tags(obj.plans) | _in_charge(context.step_context))
        if context.asset_key == REJECTED_KEY:
            for model in obj.plans:
                _record_rejected(context, warehouse, model, obj.specs.get(model))
            return
        models = {plan.model for plan in obj.plans.values() if isinstance(plan, SequencePlan)}
        raw_events = newest_materializations(instance, RAW_KEY, models) if models else {}
        force = obj.force or context.step_context.dagster_run.tags.get(FORCE_TAG) == "true"
        published: dict[str, dict[str, Any]] = {}
        failed: dict[str, str] = {}
        may_pass = False
        for key, plan in obj.plans.items():
            try:
                published[key] = _execute(warehouse, plan, obj.specs, force, key, context.log)
            except SeqAssetsError as error:
                failed[key] = str(error)
                may_pass |= isinstance(error, RetryableError)
            except Exception as error:
                # What failed because work was told to stop is no failure.
                raise_if_canceled()
                # A mistake of the program in one partition leaves the others whole too; its traceback is in the log.
                context.log.exception(f"{key} failed")
                failed[key] = f"{type(error).__name__}: {error}"
            else:
                # At once, so that a run that is told to stop has recorded what it published.
                _record(context, key, plan, published[key], raw_events)
        if not failed:
            return
        if context.asset_key == RAW_KEY:
            # A step that fails has no further output.
            for key in published:
                _record_rejected(context, warehouse, key, obj.specs.get(key))
        failure = dg.Failure(
            description="\n\n".join(f"{key}: {message}" for key, message in failed.items()),
            metadata={"failed": ", ".join(failed), "published": ", ".join(published) or "none"},
            allow_retries=False,
        )
        if may_pass:
            raise _retry(context) from failure
        raise failure

    def load_input(self, context: dg.InputContext) -> object:
        """Handles of the newest versions of the upstream partitions, bound to the run's warehouse; nothing of them is read.

        Of one partition its handle; of several, or where the input is annotated as a `dict`, the handles by partition key. A
        partition that is not published fails the step. An input annotated as `RawObservations` has the published ones alone.
        """
        with _retrying(context):
            upstream = upstream_of(context)
            warehouse = self._warehouse.open()
            if upstream.asked_for is RawObservations:
                return upstream.raw_observations(warehouse)
            handles = {key: self._present(warehouse, version) for key, version in upstream.newest(warehouse).items()}
        return handles if upstream.is_dict else next(iter(handles.values()))


class LocalIOManager(PlanIOManager):
    """On DuckDB and the Arrow kernel; local files, or S3 in staging."""


class AthenaIOManager(PlanIOManager):
    """On Athena, S3 and the Glue catalog."""


def _in_charge(step: StepExecutionContext) -> dict[str, str]:
    """Has this process end with the one that started it; the tags of a run that it executes from beginning to end."""
    if step.job_def.executor_def.name != dg.in_process_executor.name:
        # The run is in the charge of the parent, or of whoever else asked for this step.
        end_with_parent(lambda: None)
        return {}
    end_with_parent(partial(cancel_run, step.instance, step.run_id))
    return process_tags(step.run_id)


def _require_plans(context: dg.OutputContext, obj: object) -> None:
    """Refuses what is no plan.

    Raises:
        dg.Failure: Naming what returned it.
    """
    if isinstance(obj, PartitionPlans):
        return
    if not context.has_asset_key:
        name = f"The output {context.name} of {context.op_def.name}"
    elif context.has_asset_partitions:
        name = f"{context.asset_key.to_user_string()}, partition {', '.join(context.asset_partition_keys)}"
    else:
        name = context.asset_key.to_user_string()
    raise dg.Failure(
        f"{name}: found {type(obj).__name__}; allowed: {PartitionPlans.__name__}, a plan for each partition. For an "
        f"asset of your own, leave out io_manager_key={IO_MANAGER_KEY!r}, or name your own I/O manager.",
        allow_retries=False,
    )


@contextmanager
def _retrying(context: dg.OutputContext | dg.InputContext) -> Iterator[None]:
    """Has the step tried again if what stops it as a whole may pass by itself; of damaged tables, its log tells."""
    try:
        with damage_logged(context.log):
            yield
    except RetryableError as error:
        raise _retry(context) from dg.Failure(str(error), allow_retries=False)
    except SeqAssetsError as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def _retry(context: dg.OutputContext | dg.InputContext) -> dg.RetryRequested:
    """Not a retry policy of the asset: that would also try again what somebody has terminated."""
    seconds = SECONDS_BEFORE_RETRY * 3**context.step_context.previous_attempt_count
    return dg.RetryRequested(max_retries=MOST_RETRIES, seconds_to_wait=seconds)


def _execute(
    warehouse: Warehouse, plan: Plan, specs: Mapping[str, ModelSpec], force: bool, key: str, log: dg.DagsterLogManager
) -> dict[str, Any]:
    """Executes one partition's plan, logs where its observations went, and returns its metadata."""
    if isinstance(plan, RefusedPlan):
        raise SeqAssetsError(plan.message)
    publication = warehouse.execute(plan, force=force, progress=progress_of(key, log.info))
    log.info(f"{key}: {publication_sentence(publication)}")
    version = publication.version
    glance = publication_metadata(publication, specs.get(version.dataset.model))
    return in_reading_order(glance | _page(warehouse, version, key, log))


def _page(warehouse: Warehouse, version: Version, key: str, log: dg.DagsterLogManager) -> dict[str, Any]:
    try:
        return page_metadata(page_of(warehouse, version, log))
    except Exception:
        # What is published is published, also where its page cannot be made; why is in the log.
        log.exception(f"{key}: its page could not be made")
        return {}


def _record(
    context: dg.OutputContext, key: str, plan: Plan, metadata: Mapping[str, Any], raw_events: Mapping[str, int]
) -> None:
    """Records a materialization, at once: of a step that fails Dagster would record none."""
    version = metadata["version"]
    if isinstance(plan, SequencePlan):
        tags = cell_data_version(plan, version, raw_events.get(plan.model))
    else:
        tags = raw_data_version(version)
    tags |= partition_tags([key])
    context.log_event(dg.AssetMaterialization(context.asset_key, partition=key, metadata=metadata, tags=tags))


def _record_rejected(context: dg.OutputContext, warehouse: Warehouse, model: str, spec: ModelSpec | None) -> None:
    """Records the rejected observations that the newest raw version was published with."""
    raw = warehouse.find(Dataset.raw(model))
    rejected = warehouse.find(Dataset.rejected(model), raw.metadata["rejected_version"])
    metadata = version_metadata(rejected, spec) | {"raw_version": str(raw.id)}
    tags = raw_data_version(metadata["version"]) | partition_tags([model])
    context.log_event(dg.AssetMaterialization(REJECTED_KEY, partition=model, metadata=metadata, tags=tags))
