"""Dagster's event log in SQLite, as a process writes it that records thousands of events in a row.

Dagster opens several connections for each event, each with a SQLAlchemy engine of its own, which takes more than the event
itself. Here connections share their engines, and events that come in bursts are written together. Nothing else differs: the
files, the statements and their order are Dagster's, so that a webserver reads them meanwhile. Not here: what is recorded.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import dagster as dg
from dagster._core.events import EVENT_TYPE_TO_PIPELINE_RUN_STATUS
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

MOST_WAITING: Final = 500
"""Events that are written together."""
SECONDS_TO_WAIT: Final = 0.5
"""Until events are written, whatever comes or does not come after them."""


def write_in_bursts(instance: dg.DagsterInstance) -> None:
    """Has an instance write its event log so, where that is in Dagster's SQLite; any other is left as it is."""
    storage = instance.event_log_storage
    if type(storage) is SqliteEventLogStorage:
        instance._event_storage = BurstyEventLog(storage._base_dir)
        instance._event_storage.register_instance(instance)


@dataclass(frozen=True)
class _Burst:
    """Events that are written together.

    Attributes:
        events: In their order.
        written: The files that have them already, where another one could not be written.
    """

    events: list[dg.EventLogEntry]
    written: set[str] = field(default_factory=set)


class BurstyEventLog(SqliteEventLogStorage):
    """Events wait for a moment, unless they change what a run is; whoever reads sees all of them, once."""

    def __init__(self, base_dir: str) -> None:
        """Opens the log in a folder, whose files may be there already."""
        self._waiting: list[dg.EventLogEntry] = []
        self._unfinished: list[_Burst] = []
        self._open: dict[str, Connection] = {}
        # Whoever writes what waits reads, too: a lock that the same thread may take again.
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None
        super().__init__(base_dir)
        self._engine = cache(self._new_engine)
        self.has_table = cache(super().has_table)  # type: ignore[method-assign]

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Stores an event, soon."""
        with self._lock:
            self._waiting.append(event)
            is_of_run = event.is_dagster_event and event.dagster_event_type in EVENT_TYPE_TO_PIPELINE_RUN_STATUS
            if is_of_run or len(self._waiting) >= MOST_WAITING:
                self._write_waiting()
            elif self._timer is None:
                self._timer = threading.Timer(SECONDS_TO_WAIT, self._write_in_time)
                self._timer.daemon = True
                self._timer.start()

    def dispose(self) -> None:
        """Writes what waits."""
        self._write_waiting()
        super().dispose()

    def _write_in_time(self) -> None:
        # What cannot be written now is written with the next event, or fails whoever stores that.
        with suppress(Exception):
            self._write_waiting()

    def _write_waiting(self) -> None:
        """Writes what waits: one transaction of each file."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            bursts = [*self._unfinished, *([_Burst(self._waiting)] if self._waiting else [])]
            # Writing asks for connections, which has what waits be written first: nothing does any more.
            self._unfinished, self._waiting = [], []
            try:
                while bursts:
                    self._write(bursts[0])
                    del bursts[0]
            finally:
                self._unfinished = bursts

    def _write(self, burst: _Burst) -> None:
        runs = dict.fromkeys(event.run_id for event in burst.events)
        with ExitStack() as transactions:
            # The index is committed last: what it refuses twice is in no file twice then.
            for shard in (INDEX_SHARD_NAME, *runs):
                transactions.enter_context(self._transaction(shard, burst.written))
            for event in burst.events:
                super().store_event(event)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._lock:
            if shard in self._open:
                yield self._open[shard]
                return
            self._write_waiting()
            with self._engine(shard).connect() as connection, connection.begin():
                yield connection

    @contextmanager
    def _transaction(self, shard: str, written: set[str]) -> Iterator[None]:
        """Within it, all that is done in a file is one transaction; that of a file which is written already is undone."""
        with self._connect(shard) as connection:
            self._open[shard] = connection
            try:
                yield
            finally:
                del self._open[shard]
            if shard in written:
                connection.rollback()
        written.add(shard)

    def _new_engine(self, shard: str) -> Engine:
        engine = create_engine(
            self.conn_string_for_shard(shard), poolclass=NullPool, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
        )
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        return engine
