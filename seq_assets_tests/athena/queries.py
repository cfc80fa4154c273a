"""Queries from their start to their end: states, statistics, results, and the faults that they are told to suffer.

Belongs here: what Athena does around an engine, a storage and a catalog, which are three small interfaces. Not here: how a
request looks on the wire, and Trino, S3 and Glue themselves.
"""

import logging
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from seq_assets_tests.athena.errors import Category, QueryFailedError, QueryStoppedError
from seq_assets_tests.athena.faults import Faults, QueryFault
from seq_assets_tests.athena.results import Column, Result
from seq_assets_tests.athena.statements import (
    Change,
    CreateExternalTable,
    DropTable,
    Query,
    Statement,
    Unload,
    Unsupported,
    bucket_and_key,
    literal,
    quoted,
)

State = Literal["QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]
FINAL_STATES = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
# The catalog and schema of the tables that an UNLOAD makes and drops; nobody sees them in Glue.
UNLOAD_CATALOG, UNLOAD_SCHEMA = "unload", "unload"
_RETRYABLE_ERROR_TYPE, _PERMANENT_ERROR_TYPE, _CANCELLED = 200, 1100, "Query was cancelled."
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineAnswer:
    """What an engine answers: columns, rows as they came, how many rows were written, how many bytes were read."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    written_rows: int | None
    scanned_bytes: int


class Engine(Protocol):
    """Who runs SQL."""

    def run(self, sql: str, *, database: str, stopped: threading.Event, session: str = "") -> EngineAnswer:
        """Run one statement to its end; raises QueryFailedError, or QueryStoppedError once the event is set."""
        ...


class Storage(Protocol):
    """Where results go and files are."""

    def write(self, location: str, content: bytes) -> None:
        """Write one object."""
        ...

    def objects(self, prefix: str) -> list[str]:
        """The locations of all objects below a prefix, in order."""
        ...


class Catalog(Protocol):
    """Who knows tables."""

    def create_table(self, database: str, statement: CreateExternalTable) -> None:
        """Register an external table; raises QueryFailedError."""
        ...


@dataclass
class Execution:
    """One query that was started, and what became of it."""

    text: str
    statement: Statement
    database: str
    catalog: str
    workgroup: str
    output_folder: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: State = "QUEUED"
    reason: str = ""
    error: QueryFailedError | None = None
    result: Result = field(default_factory=Result)
    scanned_bytes: int = 0
    submitted: float = field(default_factory=time.time)
    started: float | None = None
    completed: float | None = None
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def is_over(self) -> bool:
        """Whether the state is final."""
        return self.state in FINAL_STATES

    @property
    def output_location(self) -> str:
        """Where the result is written: a CSV of rows, a text for DDL; what writes rows has none."""
        if isinstance(self.statement, Query):
            return f"{self.output_folder}{self.id}.csv"
        return self.output_folder + self.id + ("" if isinstance(self.statement, Unload | Change) else ".txt")

    @property
    def manifest_location(self) -> str | None:
        """Where the list of the files is that an UNLOAD wrote."""
        return f"{self.output_folder}{self.id}-manifest.csv" if isinstance(self.statement, Unload) else None


class Executions:
    """All queries of one Athena, each in a thread of its own."""

    def __init__(self, engine: Engine, storage: Storage, catalog: Catalog, faults: Faults) -> None:
        """No query yet."""
        self._engine, self._storage, self._catalog, self._faults = engine, storage, catalog, faults
        self._lock = threading.Lock()
        self._executions: dict[str, Execution] = {}
        self._threads: list[threading.Thread] = []

    def start(self, execution: Execution) -> None:
        """Run a query; returns at once."""
        fault, delay = self._faults.of_query(execution.text)
        thread = threading.Thread(
            target=self._run, args=(execution, fault, delay), name=f"athena-query-{execution.id}", daemon=True
        )
        with self._lock:
            self._executions[execution.id] = execution
            self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()

    def find(self, identifier: str) -> Execution | None:
        """The query of this id."""
        with self._lock:
            return self._executions.get(identifier)

    def stop_all(self, timeout: float = 10) -> None:
        """Stop every query and wait for their threads."""
        with self._lock:
            executions, threads = list(self._executions.values()), self._threads
        for execution in executions:
            execution.stopped.set()
        deadline = time.monotonic() + timeout
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, execution: Execution, fault: QueryFault | None, delay: float) -> None:
        try:
            if execution.stopped.wait(delay):
                raise QueryStoppedError
            execution.started = time.time()
            execution.state = "RUNNING"
            if fault and not fault.after_work:
                _suffer(execution, fault)
            self._perform(execution)
            if fault and fault.after_work:
                _suffer(execution, fault)
            _end(execution, "CANCELLED" if execution.stopped.is_set() else "SUCCEEDED")
        except QueryStoppedError:
            _end(execution, "CANCELLED")
        except QueryFailedError as error:
            execution.error = error
            _end(execution, "FAILED", str(error))
        except Exception as error:
            _log.exception("the stack itself failed on query %s", execution.id)
            execution.error = QueryFailedError(f"GENERIC_INTERNAL_ERROR: {error!r}", category=Category.SYSTEM, error_type=200)
            _end(execution, "FAILED", str(execution.error))

    def _perform(self, execution: Execution) -> None:
        statement = execution.statement
        match statement:
            case Query():
                answer = self._query(execution, statement.sql)
                execution.result = Result.of_query(answer.columns, answer.rows)
            case Change():
                execution.result = Result.of_change(self._query(execution, statement.sql).written_rows or 0)
            case Unload():
                self._unload(execution, statement)
            case CreateExternalTable():
                self._catalog.create_table(statement.database or execution.database, statement)
            case DropTable():
                table = f"{quoted(statement.database or execution.database)}.{quoted(statement.name)}"
                self._query(execution, f"DROP TABLE {'IF EXISTS ' if statement.if_exists else ''}{table}")
            case Unsupported():
                raise QueryFailedError(statement.reason)
        if not isinstance(statement, Unload | Change):
            self._storage.write(execution.output_location, execution.result.csv())

    def _query(self, execution: Execution, sql: str, session: str = "") -> EngineAnswer:
        answer = self._engine.run(sql, database=execution.database, stopped=execution.stopped, session=session)
        execution.scanned_bytes += answer.scanned_bytes
        return answer

    def _unload(self, execution: Execution, statement: Unload) -> None:
        bucket, key = bucket_and_key(statement.location)
        folder = f"s3://{bucket}/{key.rstrip('/')}/" if key.strip("/") else f"s3://{bucket}/"
        if self._storage.objects(folder):
            raise QueryFailedError(
                f"HIVE_PATH_ALREADY_EXISTS: Target directory for table '{execution.id}' already exists: {folder}. "
                "You may need to manually clean the data at this location before retrying. "
                "Athena will not delete data in your account."
            )
        table = f"{UNLOAD_CATALOG}.{UNLOAD_SCHEMA}.{quoted('unload_' + execution.id.replace('-', '_'))}"
        create = f"CREATE TABLE {table} WITH (format = 'PARQUET', external_location = {literal(folder)}) AS {statement.query}"
        try:
            answer = self._query(execution, create, session=f"{UNLOAD_CATALOG}.compression_codec={statement.codec}")
        finally:
            # Dropping an external table leaves its files, which are what was asked for. A stop must not stop this.
            self._engine.run(f"DROP TABLE IF EXISTS {table}", database=execution.database, stopped=threading.Event())
        execution.result = Result.of_change(answer.written_rows or 0)
        written = "".join(f"{location}\n" for location in self._storage.objects(folder))
        assert execution.manifest_location is not None
        self._storage.write(execution.manifest_location, written.encode())


def _suffer(execution: Execution, fault: QueryFault) -> None:
    if fault.outcome == "fail":
        if fault.retryable:
            raise QueryFailedError(
                "GENERIC_INTERNAL_ERROR: a fault was switched on, which a retry may mend",
                category=Category.SYSTEM,
                error_type=_RETRYABLE_ERROR_TYPE,
                retryable=True,
            )
        raise QueryFailedError(
            "GENERIC_USER_ERROR: a fault was switched on, which no retry mends",
            category=Category.USER,
            error_type=_PERMANENT_ERROR_TYPE,
        )
    if fault.outcome == "hang":
        execution.stopped.wait()
    raise QueryStoppedError


def _end(execution: Execution, state: State, reason: str = "") -> None:
    """The state comes last: who sees a final state sees everything else."""
    execution.completed = time.time()
    execution.reason = _CANCELLED if state == "CANCELLED" else reason
    execution.state = state
