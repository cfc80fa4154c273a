"""Dagster's event log in SQLite, written in bursts: everybody reads what Dagster itself would have written."""

import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from seq_assets.io_managers.event_log import BurstyEventLog, write_in_bursts
from seq_assets_tests.warehouse.processes import PATIENCE

ASSET = dg.AssetKey("made")
KEYS = ["a", "b", "c"]


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(KEYS))
def made(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Logs, and is materialized."""
    context.log.info(f"made {context.partition_key}")
    return dg.MaterializeResult(metadata={"key": context.partition_key}, tags={"key": context.partition_key})


@dg.asset_check(asset=made)
def judged() -> dg.AssetCheckResult:
    """Fails."""
    return dg.AssetCheckResult(passed=False, metadata={"number": 1})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def bursty(home: Path) -> Iterator[dg.DagsterInstance]:
    """An instance that writes in bursts."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        write_in_bursts(instance)
        yield instance


@pytest.fixture
def plain(bursty: dg.DagsterInstance, home: Path) -> Iterator[dg.DagsterInstance]:
    """Another of the same home, as a webserver has it."""
    assert isinstance(bursty.event_log_storage, BurstyEventLog)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        yield instance


def run(instance: dg.DagsterInstance, key: str) -> str:
    result = dg.materialize([made, judged], instance=instance, partition_key=key)
    assert result.success
    return result.run_id


def log_of(instance: dg.DagsterInstance, run_id: str) -> list[tuple[str, str]]:
    """Step and message of each entry."""
    return [(entry.step_key or "", entry.user_message) for entry in instance.all_logs(run_id)]


def checked(instance: dg.DagsterInstance) -> list[str]:
    """The status of each execution of the check, newest first."""
    history = instance.event_log_storage.get_asset_check_execution_history(judged.check_key, limit=9)
    return [record.status.value for record in history]


def test_a_finished_run_is_there_for_everybody_as_dagster_writes_it(
    bursty: dg.DagsterInstance, plain: dg.DagsterInstance
) -> None:
    runs = [run(bursty, key) for key in KEYS]
    for run_id in runs:
        assert len(log_of(plain, run_id)) == len(log_of(plain, run(plain, "a")))
        assert log_of(plain, run_id) == log_of(bursty, run_id)
    for instance in (bursty, plain):
        assert checked(instance) == ["FAILED"] * 6
        records = instance.fetch_materializations(ASSET, limit=9).records
        assert [record.partition_key for record in records] == ["a"] * 3 + ["c", "b", "a"]
        assert [record.run_id for record in records[3:]] == runs[::-1]
    tagged = bursty.get_event_tags_for_asset(ASSET, filter_tags={"key": "c"})
    assert tagged == plain.get_event_tags_for_asset(ASSET, filter_tags={"key": "c"})


def test_who_writes_reads_at_once_what_waits(bursty: dg.DagsterInstance) -> None:
    run_id = run(bursty, "a")
    before = len(bursty.all_logs(run_id))
    bursty.report_engine_event("said", run_id=run_id, job_name="__ephemeral_asset_job__")
    assert len(bursty.all_logs(run_id)) == before + 1


def test_what_waits_is_written_soon_whatever_follows(bursty: dg.DagsterInstance, plain: dg.DagsterInstance) -> None:
    run_id = run(bursty, "a")
    before = len(plain.all_logs(run_id))
    bursty.report_engine_event("said", run_id=run_id, job_name="__ephemeral_asset_job__")
    end = time.monotonic() + PATIENCE
    while len(plain.all_logs(run_id)) == before:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert len(plain.all_logs(run_id)) == before + 1


def test_what_waits_is_written_when_the_instance_is_closed(home: Path) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        write_in_bursts(instance)
        run_id = run(instance, "a")
        before = len(instance.all_logs(run_id))
        instance.report_engine_event("said", run_id=run_id, job_name="__ephemeral_asset_job__")
    with dg.DagsterInstance.from_config(str(home)) as other:
        assert len(other.all_logs(run_id)) == before + 1


def test_a_log_that_is_kept_elsewhere_is_left_as_it_is() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        storage = instance.event_log_storage
        write_in_bursts(instance)
        assert instance.event_log_storage is storage
