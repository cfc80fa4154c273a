"""A code location as Dagster itself hosts it: the webserver's GraphQL, the daemon's iterations, an instance on disk.

Only what would start processes is replaced: the code location is loaded in this process, and runs are executed in it too.
"""

import asyncio
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.reconstruct import ReconstructableJob
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget

from seq_assets.environments import CODE_LOCATION, DEFINITIONS_MODULE, prepare_dagster_home
from seq_assets_tests.assets.building import School

if TYPE_CHECKING:
    from graphene import Schema  # type: ignore[import-untyped]

MOST_ITERATIONS: Final = 20
IN_THIS_PROCESS: Final = {"module": "dagster._core.launcher.sync_in_memory_run_launcher", "class": "SyncInMemoryRunLauncher"}
"""Of a hosted code location: a run is executed as soon as it is launched."""
NOT_AT_ALL: Final = {"module": "dagster._core.test_utils", "class": "MockedRunLauncher"}
"""Of a hosted code location: a run that is launched never begins."""

LAUNCH_BACKFILL: Final = """
mutation($parameters: LaunchBackfillParams!) { started: launchPartitionBackfill(backfillParams: $parameters) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
RETRY_BACKFILL: Final = """
mutation($parameters: ReexecutionParams!) { started: reexecutePartitionBackfill(reexecutionParams: $parameters) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
LAUNCH_RUN: Final = """
mutation($parameters: ExecutionParams!) { started: launchPipelineExecution(executionParams: $parameters) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
START_SENSOR: Final = """
mutation($selector: SensorSelector!) { started: startSensor(sensorSelector: $selector) { __typename
  ... on PythonError { message } } }"""
BACKFILL: Final = """
query($id: String!) { backfill: partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status
  assetBackfillData { assetBackfillStatuses { ... on AssetPartitionsStatusCounts {
    assetKey { path } numPartitionsTargeted numPartitionsMaterialized numPartitionsFailed numPartitionsInProgress } } } } } }"""
RUNS: Final = """
query($filter: RunsFilter!) { runs: runsOrError(filter: $filter) { ... on Runs { results { runId jobName status
  assetSelection { path } tags { key value }
  eventConnection { events { ... on ExecutionStepFailureEvent {
    error { message } failureMetadata { description } } } } } } } }"""
ASSETS: Final = """
query { assetNodes { assetKey { path }
  assetPartitionStatuses {
    ... on DefaultPartitionStatuses { materializedPartitions failedPartitions unmaterializedPartitions } }
  latestMaterializationByPartition { partition metadataEntries { __typename label
    ... on IntMetadataEntry { intRepr } ... on FloatMetadataEntry { floatValue } ... on TextMetadataEntry { text } } }
  assetChecksOrError { ... on AssetChecks { checks { name canExecuteIndividually partitionStatuses {
    ... on AssetCheckDefaultPartitionStatuses { succeededPartitions failedPartitions inProgressPartitions
      skippedPartitions executionFailedPartitions } } } } } } }"""


@dataclass(frozen=True)
class AssetShown:
    """What the UI shows of an asset.

    Attributes:
        partitions: The partition keys by status, such as `materializedPartitions`.
        metadata: By partition, the metadata of its newest materialization; other than numbers and texts, the type of the entry.
        checks: By check, the partition keys by status, such as `succeededPartitions`; a status without partitions is absent.
    """

    partitions: Mapping[str, set[str]]
    metadata: Mapping[str, Mapping[str, Any]]
    checks: Mapping[str, Mapping[str, set[str]]]


@dataclass(frozen=True)
class RunShown:
    """What the UI shows of a run; of a whole job it names no assets."""

    job: str
    status: str
    assets: frozenset[str]
    first: str
    last: str
    failures: tuple[str, ...]


@dataclass(frozen=True)
class Hosted:
    """A hosted code location.

    Attributes:
        process: Dagster's view of it, as the webserver and the daemon have one.
    """

    process: WorkspaceProcessContext

    @property
    def instance(self) -> dg.DagsterInstance:
        """Keeps runs and events on disk."""
        return self.process.instance

    def query(self, text: str, **variables: Any) -> Any:
        """What the webserver answers."""
        context = self.process.create_request_context()
        result = asyncio.run(_schema().execute_async(text, context_value=context, variable_values=variables))
        assert not result.errors, result.errors
        return result.data

    def backfill(self, assets: Iterable[str]) -> str:
        """Backfills all partitions of assets, as the UI does, until it is over; returns its id."""
        parameters = {"assetSelection": [{"path": [asset]} for asset in assets], "allPartitions": True}
        return str(self._started(LAUNCH_BACKFILL, parameters, "backfillId"))

    def retry(self, backfill: str) -> str:
        """Backfills what failed in a backfill once more."""
        return str(self._started(RETRY_BACKFILL, {"parentRunId": backfill, "strategy": "FROM_FAILURE"}, "backfillId"))

    def run(self, job: str, tags: Mapping[str, str], checks: Iterable[dg.AssetCheckKey] = ()) -> str:
        """Runs a job, or of it these checks alone, until it is over; returns its id."""
        selector: dict[str, Any] = {
            "repositoryName": "__repository__",
            "repositoryLocationName": CODE_LOCATION,
            "jobName": job,
        }
        handles = [{"assetKey": {"path": key.asset_key.path}, "name": key.name} for key in checks]
        if handles:
            selector |= {"assetSelection": [], "assetCheckSelection": handles}
        metadata = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
        run: Mapping[str, str] = self._started(LAUNCH_RUN, {"selector": selector, "executionMetadata": metadata}, "run")
        return run["runId"]

    def succeeded(self, run: str) -> bool:
        """Whether a run succeeded."""
        record = self.instance.get_run_by_id(run)
        return record is not None and record.is_success

    def _started(self, mutation: str, parameters: Mapping[str, Any], what: str) -> Any:
        started = self.query(mutation, parameters=parameters)["started"]
        assert what in started, started
        self._work_through()
        return started[what]

    def launch(self, job: str, tags: Mapping[str, str]) -> str:
        """Asks for a run of a job, which then waits in the queue; returns its id."""
        selector = {"repositoryName": "__repository__", "repositoryLocationName": CODE_LOCATION, "jobName": job}
        metadata = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
        parameters = {"selector": selector, "executionMetadata": metadata}
        return str(self.query(LAUNCH_RUN, parameters=parameters)["started"]["run"]["runId"])

    def launch_what_may(self) -> None:
        """What the daemon does once with the queue: it launches the runs that the limits allow."""
        from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

        with QueuedRunCoordinatorDaemon(interval_seconds=0) as queue:
            for _ in queue.run_iteration(self.process):
                pass

    def status(self, run: str) -> str:
        """The status of a run."""
        record = self.instance.get_run_by_id(run)
        assert record is not None
        return record.status.name

    def turn_on(self, *sensors: str) -> None:
        """Turns sensors on, as the UI does."""
        for name in sensors:
            selector = {"repositoryName": "__repository__", "repositoryLocationName": CODE_LOCATION, "sensorName": name}
            self.query(START_SENSOR, selector=selector)

    def tick(self, minutes: int) -> list[RunShown]:
        """What the daemon does at a minute from now: its sensors are evaluated once, and what they request is run.

        Returns:
            The runs that were requested, oldest first.
        """
        before = {run.run_id for run in self.instance.get_runs()}
        self.evaluate_sensors(minutes)
        self._work_through()
        runs = self.query(RUNS, filter={})["runs"]["results"]
        return [_run_shown(run) for run in reversed(runs) if run["runId"] not in before]

    def evaluate_sensors(self, minutes: int) -> None:
        """What the daemon does once, at a minute from now, with the sensors that are on."""
        from dagster._core.test_utils import freeze_time
        from dagster._daemon.sensor import execute_sensor_iteration

        with freeze_time(datetime.now(UTC) + timedelta(minutes=minutes)):
            list(execute_sensor_iteration(self.process, logging.getLogger(__name__), None, None))

    def _work_through(self) -> None:
        """What the daemon does, without its pauses, until no backfill is in progress and no run is queued."""
        from dagster._daemon.backfill import execute_backfill_iteration

        logger = logging.getLogger(__name__)
        for _ in range(MOST_ITERATIONS):
            errors = [error for error in execute_backfill_iteration(self.process, logger) if error is not None]
            assert not errors, errors
            self.launch_what_may()
            open_backfills = [
                backfill for backfill in self.instance.get_backfills() if not backfill.status.name.startswith("COMPLETED")
            ]
            if not open_backfills and all(run.is_finished for run in self.instance.get_runs()):
                return
        raise AssertionError(f"the work is not over after {MOST_ITERATIONS} iterations of the daemon")

    def backfill_shown(self, backfill: str) -> tuple[str, dict[str, tuple[int, ...]]]:
        """A backfill's status, and by asset how many partitions were targeted, materialized and failed; none is in progress."""
        shown = self.query(BACKFILL, id=backfill)["backfill"]
        counts = {count["assetKey"]["path"][0]: count for count in shown["assetBackfillData"]["assetBackfillStatuses"]}
        assert not any(count["numPartitionsInProgress"] for count in counts.values())
        names = ("numPartitionsTargeted", "numPartitionsMaterialized", "numPartitionsFailed")
        return shown["status"], {asset: tuple(count[name] for name in names) for asset, count in counts.items()}

    def runs_shown(self, backfill: str) -> list[RunShown]:
        """The runs of a backfill, oldest first."""
        runs = self.query(RUNS, filter={"tags": [{"key": "dagster/backfill", "value": backfill}]})["runs"]["results"]
        return [_run_shown(run) for run in reversed(runs)]

    def assets_shown(self) -> dict[str, AssetShown]:
        """All assets by name."""
        return {node["assetKey"]["path"][0]: self._asset_shown(node) for node in self.query(ASSETS)["assetNodes"]}

    @staticmethod
    def _asset_shown(node: Mapping[str, Any]) -> AssetShown:
        events = [event for event in node["latestMaterializationByPartition"] if event is not None]
        return AssetShown(
            partitions=_by_status(node["assetPartitionStatuses"]),
            metadata={event["partition"]: _metadata_shown(event["metadataEntries"]) for event in events},
            checks={
                check["name"]: _by_status(check["partitionStatuses"]) for check in node["assetChecksOrError"].get("checks", [])
            },
        )


def _by_status(statuses: Mapping[str, list[str]]) -> dict[str, set[str]]:
    """Partition keys by status; a status without partitions is absent."""
    return {status: set(keys) for status, keys in statuses.items() if keys}


@cache
def _schema() -> "Schema":
    """The webserver's schema, which takes a second to make."""
    from dagster_graphql.schema import create_schema

    return create_schema()


def _metadata_shown(entries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for entry in entries:
        kind, label = entry["__typename"], entry["label"]
        if kind == "IntMetadataEntry":
            values[label] = int(entry["intRepr"])
        else:
            values[label] = entry.get("floatValue", entry.get("text", kind))
    return values


def _run_shown(run: Mapping[str, Any]) -> RunShown:
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    single = tags.get("dagster/partition", "")
    return RunShown(
        job=run["jobName"],
        status=run["status"],
        assets=frozenset(key["path"][0] for key in run["assetSelection"] or ()),
        first=tags.get("dagster/asset_partition_range_start", single),
        last=tags.get("dagster/asset_partition_range_end", single),
        failures=tuple(
            event["failureMetadata"]["description"] if event["failureMetadata"] else event["error"]["message"]
            for event in run["eventConnection"]["events"]
            if "failureMetadata" in event
        ),
    )


@contextmanager
def hosted(school: School, launcher: Mapping[str, str] = IN_THIS_PROCESS, **settings: str) -> Iterator[Hosted]:
    """Hosts the code location over a school's model files, on an instance of its own as `make dev` configures it.

    Args:
        school: The model files and their sources.
        launcher: What becomes of runs.
        settings: Further environment variables.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SEQ_ASSETS_ENV", "SEQ_ASSETS_DATABASE", "MODE", "DAGSTER_HOME"):
            patch.delenv(name, raising=False)
        patch.setenv("SEQ_ASSETS_HOME", str(school.environment.home))
        patch.setenv("SEQ_ASSETS_MODELS", str(school.models_folder))
        for name, value in settings.items():
            patch.setenv(name, value)
        home = prepare_dagster_home(school.environment)
        _replace_launcher(home, launcher)
        patch.setenv("DAGSTER_HOME", str(home))
        _forget_definitions()
        origin = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name=DEFINITIONS_MODULE), location_name=CODE_LOCATION)
        try:
            with (
                dg.DagsterInstance.get() as instance,
                WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(origin)) as process,
            ):
                yield Hosted(process)
        finally:
            _forget_definitions()


def _replace_launcher(home: Path, launcher: Mapping[str, str]) -> None:
    """Replaces nothing but the launcher of the configuration."""
    file = home / "dagster.yaml"
    configuration = yaml.safe_load(file.read_text(encoding="utf-8")) | {"run_launcher": dict(launcher)}
    file.write_text(yaml.safe_dump(configuration), encoding="utf-8")


def _forget_definitions() -> None:
    """Lets the module be loaded anew, with the environment's variables as they are then."""
    sys.modules.pop(DEFINITIONS_MODULE, None)
    ReconstructableJob.get_definition.cache_clear()
    ReconstructableJob.get_repository_definition.cache_clear()
