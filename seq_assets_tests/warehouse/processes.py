"""What tests run in processes of their own, to be killed, starved or raced.

They are forked from one server process that has imported everything already, because imports take seconds.
"""

import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog

import seq_assets.warehouse.sources.reading
from seq_assets.models import ColumnType
from seq_assets.sequencing.plans import Dataset, IngestPlan, SequencePlan
from seq_assets.sequencing.schemas import TableColumn, TableSchema
from seq_assets.warehouse.interface import no_progress
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets.warehouse.sources.records import records_schema
from seq_assets.warehouse.storage.iceberg_tables import Tables

PATIENCE = 100
"""Seconds after which a process that should have ended has failed; none is ever waited for."""
NUMBERS = TableSchema((TableColumn("x", ColumnType.INT32),))

Plan = IngestPlan | SequencePlan


def context() -> ForkServerContext:
    """How processes are started."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload([__name__])
    return found


def run(target: Callable[..., None], *arguments: Any) -> int:
    """Runs a function in a process of its own, to its end; the exit code, negative for a signal."""
    process = context().Process(target=target, args=arguments)
    process.start()
    process.join(PATIENCE)
    code = process.exitcode
    process.kill()
    assert code is not None, "the process did not end"
    return code


def die() -> None:
    """As if somebody had killed the process, or pulled the plug."""
    os.kill(os.getpid(), signal.SIGKILL)


def _replace(owner: Any, name: str, value: Any) -> None:
    """Puts something else in a place of this process, which ends soon."""
    setattr(owner, name, value)


# Killed


def execute_and_die_at(home: Path, plan: Plan, stage: str) -> None:
    """Dies when the progress of a stage is told."""

    def progress(found: str, rows: int) -> None:
        if found.startswith(stage):
            die()

    LocalWarehouse(home).execute(plan, progress=progress)


def execute_and_die_before_commit(home: Path, plan: Plan, table: str) -> None:
    """Dies when all that is left to do is the catalog's commit of one table."""
    commit_table = SqlCatalog.commit_table

    def dying(self: SqlCatalog, iceberg_table: Any, *arguments: Any) -> Any:
        if iceberg_table.name()[-1] == table:
            die()
        return commit_table(self, iceberg_table, *arguments)

    _replace(SqlCatalog, "commit_table", dying)
    LocalWarehouse(home).execute(plan)


def execute_and_die_after_publishing(home: Path, plan: Plan, table: str) -> None:
    """Dies when one table is published."""
    publish = Tables.publish

    def dying(self: Tables, dataset: Dataset, *arguments: Any) -> Any:
        version = publish(self, dataset, *arguments)
        if dataset.table == table:
            die()
        return version

    _replace(Tables, "publish", dying)
    LocalWarehouse(home).execute(plan)


# Told to stop

ENDLESS_BATCHES = 3000
"""Not quite endless, so that a test that fails does not fill the disk."""


class Flag(Protocol):
    """An event, of threads or of processes."""

    def set(self) -> None: ...


def endless_records(running: Flag) -> Callable[..., Iterator[pa.RecordBatch]]:
    """In place of `read_records`: a source that goes on and on, and says once that it does."""

    def read_records(source: Any, columns: Any, *_: Any) -> Iterator[pa.RecordBatch]:
        schema = records_schema(columns)
        for number in range(ENDLESS_BATCHES):
            rows = pa.array(range(1000 * number + 1, 1000 * number + 1001), pa.int64())
            nothing, one = pa.nulls(1000, pa.string()), pa.repeat(pa.scalar("1"), 1000)
            yield pa.RecordBatch.from_arrays(
                [pa.repeat(pa.scalar(0, pa.int32()), 1000), rows, *([nothing] * 3), *([one] * len(columns))], schema=schema
            )
            if number == 3:
                running.set()

    return read_records


def ingest_endlessly(home: Path, plan: IngestPlan, running: Event) -> None:
    """Ingests a source that goes on and on; ends by SIGTERM as programs do, with code 143."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _replace(seq_assets.warehouse.sources.reading, "read_records", endless_records(running))
    LocalWarehouse(home).execute(plan)


# Starved


def execute_with_small_files(home: Path, plan: Plan, largest: int, errors: "Queue[str]") -> None:
    """Executes a plan where no file can grow beyond a size, as on a full disk."""
    warehouse = LocalWarehouse(home)
    assert warehouse.datasets()
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    try:
        warehouse.execute(plan)
    except Exception as error:
        errors.put(f"{type(error).__name__}: {error}")
    else:
        errors.put("")


# Raced


def execute_at_once(home: Path, plans: list[Plan], barrier: Barrier, errors: "Queue[str]") -> None:
    """Executes plans at the same moment as other processes, whether or not anything has changed."""
    for plan in plans:
        barrier.wait(PATIENCE)
        try:
            LocalWarehouse(home).execute(plan, force=True, progress=no_progress)
        except Exception as error:
            errors.put(f"{type(error).__name__}: {error}")
    errors.put("")


def publish_at_once(barrier: Barrier, errors: "Queue[str]", homes: list[Path], dataset: Dataset, name: str) -> None:
    """Publishes twice into each of some fresh homes, at the same moment as the others."""
    for home in homes:
        barrier.wait(PATIENCE)
        try:
            tables = LocalWarehouse(home).tables
            for turn in range(2):
                file = Path(tables.location(dataset)) / "data" / f"{name}{turn}.parquet"
                file.parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(pa.table({"x": [turn]}, NUMBERS.stored()), file)
                tables.publish(dataset, NUMBERS, [str(file)], 1, {"identity": f"{name}{turn}"})
        except Exception as error:
            errors.put(f"{name}, {home.name}: {type(error).__name__}: {error}")
    errors.put("")


def run_at_once(target: Callable[..., None], arguments: list[tuple[Any, ...]], errors: "Queue[str]") -> list[str]:
    """Runs a function in several processes; their errors. Each tells its own, and an empty text when it is done."""
    processes = [context().Process(target=target, args=each) for each in arguments]
    for process in processes:
        process.start()
    told: list[str] = []
    while told.count("") < len(processes):
        told.append(errors.get(timeout=PATIENCE))
    for process in processes:
        process.join(PATIENCE)
    return [error for error in told if error]
