"""Dagster's event log in SQLite, written in bursts: everybody reads what Dagster itself would have written."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import AssetObservationData, DagsterEvent, DagsterEventType
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from seq_assets.io_managers.event_log import BurstyEventLog, write_in_bursts
from seq_assets_tests.warehouse.processes import PATIENCE

ASSET = dg.AssetKey("made")
KEYS = ["a", "b", "c"]
JOB = "__ephemeral_asset_job__"


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


@pytest.mark.slow
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
    bursty.report_engine_event("said", run_id=run_id, job_name=JOB)
    assert len(bursty.all_logs(run_id)) == before + 1


def test_what_waits_is_written_soon_whatever_follows(bursty: dg.DagsterInstance, plain: dg.DagsterInstance) -> None:
    run_id = run(bursty, "a")
    before = len(plain.all_logs(run_id))
    bursty.report_engine_event("said", run_id=run_id, job_name=JOB)
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
        instance.report_engine_event("said", run_id=run_id, job_name=JOB)
    with dg.DagsterInstance.from_config(str(home)) as other:
        assert len(other.all_logs(run_id)) == before + 1


@pytest.mark.parametrize("is_index", [True, False], ids=["index", "run"])
def test_what_a_full_disk_keeps_from_one_file_is_written_to_each_file_once(
    is_index: bool, bursty: dg.DagsterInstance, plain: dg.DagsterInstance
) -> None:
    storage = bursty.event_log_storage
    assert isinstance(storage, BurstyEventLog)
    run_id, other = run(bursty, "a"), run(bursty, "b")
    before = [len(plain.all_logs(some)) for some in (run_id, other)]
    observed = [dg.AssetObservation(ASSET, partition=key) for key in KEYS]
    for some, observation in zip((other, run_id, other), observed, strict=True):
        bursty.report_dagster_event(observed_in(some, observation), some)
    with full_disk(storage._engine(INDEX_SHARD_NAME if is_index else run_id)):
        for _ in range(2):
            with pytest.raises(OperationalError, match="disk is full"):
                bursty.all_logs(run_id)
        bursty.report_engine_event("said", run_id=other, job_name=JOB)
    for instance in (bursty, plain):
        assert [len(instance.all_logs(some)) for some in (run_id, other)] == [before[0] + 1, before[1] + 3]
        records = instance.fetch_observations(ASSET, limit=9).records
        assert [record.partition_key for record in records] == KEYS[::-1]


@contextmanager
def full_disk(engine: Engine) -> Iterator[None]:
    """Within it, a database refuses what is committed."""

    def refuse(_: Connection) -> None:
        raise OperationalError("COMMIT", {}, sqlite3.OperationalError("database or disk is full"))

    event.listen(engine, "commit", refuse)
    yield
    event.remove(engine, "commit", refuse)


def observed_in(run_id: str, observation: dg.AssetObservation) -> DagsterEvent:
    return DagsterEvent(
        event_type_value=DagsterEventType.ASSET_OBSERVATION.value,
        job_name=JOB,
        event_specific_data=AssetObservationData(observation),
        message=f"observed in {run_id}",
    )


def test_a_log_that_is_kept_elsewhere_is_left_as_it_is() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        storage = instance.event_log_storage
        write_in_bursts(instance)
        assert instance.event_log_storage is storage
