"""What tests run in processes of their own, to be killed, starved or raced.

They are forked from one server process that has imported everything already, because imports take seconds.
"""

import hashlib
import json
import multiprocessing
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from multiprocessing.context import ForkServerContext
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog

import seq_assets.warehouse.sources.reading
from seq_assets.errors import DamagedError, SeqAssetsError
from seq_assets.models import ColumnType
from seq_assets.sequencing.plans import Dataset, IngestPlan, SequencePlan
from seq_assets.sequencing.schemas import TableColumn, TableSchema
from seq_assets.warehouse.interface import Version, no_progress
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets.warehouse.sources.records import records_schema
from seq_assets.warehouse.storage.iceberg_tables import Tables
from seq_assets_tests.warehouse.building import PLAIN_COLUMNS, Workspace, read_rows

PATIENCE = 100
"""Seconds after which a process that should have ended has failed; none is ever waited for."""
NUMBERS = TableSchema((TableColumn("x", ColumnType.INT32),))

Plan = IngestPlan | SequencePlan


def context() -> ForkServerContext:
    """How processes are started."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload([__name__])
    return found


def run(target: Callable[..., None], *arguments: Any, patience: float = PATIENCE) -> int:
    """Runs a function in a process of its own, to its end; the exit code, negative for a signal."""
    process = context().Process(target=target, args=arguments)
    process.start()
    process.join(patience)
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
                [pa.repeat(pa.scalar(0, pa.int32()), 1000), rows, *([nothing] * 4), *([one] * len(columns))], schema=schema
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


# Without power

ITEMS_PER_VERSION = 3


def keep_publishing(home: Path, folder: Path, acknowledged: Path) -> None:
    """Publishes version after version; each that is published is noted with what is in it, at a place that keeps its power."""
    workspace = Workspace(folder, LocalWarehouse(home))
    columns = {**PLAIN_COLUMNS, "item": {"type": "string"}}
    spec = workspace.sequence_model(columns=columns, features={"item": {"encode": "vocabulary"}})
    with acknowledged.open("a") as notes:
        for number in count(len(acknowledged.read_text().splitlines())):
            items = [f"{number}_{item}" for item in range(ITEMS_PER_VERSION)]
            workspace.write("source.csv", "pupil,time,item\n" + "".join(f"{number},1,{item}\n" for item in items))
            raw = workspace.ingest(spec).version
            named = {kind: raw.metadata[f"{kind}_version"] for kind in ("rejected", "vocabulary")}
            rejected = workspace.warehouse.find(Dataset.rejected("plain"), named["rejected"])
            vocabulary = workspace.warehouse.find(Dataset.vocabulary("plain"), named["vocabulary"])
            for version in (raw, rejected, vocabulary, workspace.sequence(spec).version):
                note = {"table": version.dataset.table, "id": version.id, "digest": digest(version)}
                notes.write(json.dumps(note) + "\n")
            notes.flush()


def digest(version: Version) -> str:
    """Of the content of a version's files, whichever folder they are in."""
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in version.files)).hexdigest()


def read_everything(home: Path, acknowledged: Path, told: "Queue[list[tuple[str, str]]]") -> None:
    """Reads all versions of a home; what is wrong, as a kind of `tally.CLEAN` and a sentence."""
    warnings.simplefilter("error")  # a reader that falls back to an older version says so, and would have lost one
    notes = [json.loads(note) for note in acknowledged.read_text().splitlines()]
    try:
        told.put(list(_what_is_wrong(LocalWarehouse(home), notes)))
    except Exception as error:
        told.put([("unreadable", f"{type(error).__name__}: {error}")])


def _what_is_wrong(warehouse: LocalWarehouse, notes: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    versions = {
        (dataset.table, version.id): version for dataset in warehouse.datasets() for version in warehouse.versions(dataset)
    }
    for place, version in versions.items():
        if len(read_rows(version)) != version.rows:
            yield "torn", f"{place} has {len(read_rows(version))} rows, not {version.rows}"
    for note in notes:
        found = versions.get((note["table"], note["id"]))
        if found is None:
            yield "lost", f"{note} is gone"
        elif digest(found) != note["digest"]:
            yield "torn", f"{note} has another content"
    ids: dict[str, int] = {}
    for version in reversed(warehouse.versions(Dataset.vocabulary("plain"))):
        found_ids = {row["value"]: row["id"] for row in read_rows(version)}
        if not ids.items() <= found_ids.items():
            yield "torn", f"{version.dataset.table}, version {version.id}, has other ids than the one before"
        ids = found_ids
    for dataset in (Dataset.raw("plain"), Dataset.sequenced("plain", "train", 4)):
        for newest in warehouse.versions(dataset)[:1]:
            problems = [problem for finding in warehouse.inspect(newest) for problem in finding.problems]
            yield from (("torn", f"{dataset.table}: {problem}") for problem in problems)


# Given what no memory holds


def execute_and_tell(home: Path, plan: Plan, told: "Queue[tuple[str, int]]") -> None:
    """Executes a plan, and ends as programs do; tells the error, or an empty one, and by how many MiB its memory grew."""
    warehouse = LocalWarehouse(home)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error = ""
    try:
        warehouse.execute(plan)
    except SeqAssetsError as raised:
        error = f"{type(raised).__name__}: {raised}"
    told.put((error, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024))
    told.close()
    told.join_thread()
    sys.exit(1 if error else 0)


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


def repair_or_publish_at_once(home: Path, plan: Plan | None, barrier: Barrier, errors: "Queue[str]") -> None:
    """Repairs a home, or publishes to it as soon as it is repaired, at the same moment as other processes."""
    barrier.wait(PATIENCE)
    until = time.monotonic() + PATIENCE
    while True:
        try:
            LocalWarehouse(home).repair() if plan is None else LocalWarehouse(home).execute(plan)
        except DamagedError:
            if plan is not None and time.monotonic() < until:
                continue
            errors.put("still damaged")
        except Exception as error:
            errors.put(f"{type(error).__name__}: {error}")
        break
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
