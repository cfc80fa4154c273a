"""DuckDB connections: limits, and queries that end when they are told to stop."""

import glob
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import pyarrow as pa

from seq_assets.warehouse.cancellation import raise_if_canceled
from seq_assets.warehouse.storage.storage import Failure, Storage

if TYPE_CHECKING:
    import duckdb

    from seq_assets.warehouse.rules.questions import Question

MEMORY_LIMIT: Final = "3000MiB"
"""DuckDB's own limit; the process stays under 4 GiB, because its memory exceeds the limit by up to 800 MiB."""
BATCH_ROWS: Final = 1 << 17
_INTERRUPT_SECONDS: Final = 0.2


class Connect(Protocol):
    """Opens a connection to an in-memory DuckDB that spills into `temp_directory`."""

    def __call__(self, config: dict[str, Any]) -> "AbstractContextManager[duckdb.DuckDBPyConnection]":
        """A connection with this configuration, closed at the end of the context."""


@contextmanager
def connect_in_memory(config: dict[str, Any]) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A plain in-memory connection, for use outside Dagster."""
    import duckdb

    with duckdb.connect(":memory:", config=config) as connection:
        yield connection


class Engine:
    """One DuckDB connection, whose queries can be interrupted: by a signal, or because work is canceled."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection") -> None:
        """Wraps an open connection."""
        self._connection = connection
        self._failures: list[Failure] = []
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET preserve_insertion_order = false")

    @classmethod
    @contextmanager
    def open(cls, connect: Connect, scratch: Path, memory_limit: str, storage: Storage) -> "Iterator[Engine]":
        """A fresh engine that spills into the scratch folder and reads the storage's files."""
        with connect({"memory_limit": memory_limit, "temp_directory": str(scratch)}) as connection:
            engine = cls(connection)
            engine.extend(storage.register)
            yield engine

    def register(self, name: str, data: pa.RecordBatchReader | pa.Table) -> None:
        """Makes Arrow data readable under a name; a stream can be read once."""
        self._connection.register(name, data)

    def unregister(self, name: str) -> None:
        """Lets go of it."""
        self._connection.unregister(name)

    def extend(self, register: "Callable[[duckdb.DuckDBPyConnection], Failure]") -> None:
        """Has files be readable that DuckDB alone cannot read; why that fails is raised as it is."""
        self._failures.append(register(self._connection))

    def execute(self, query: str) -> None:
        """Runs a statement to its end."""
        self._interruptible(lambda: self._connection.execute(query))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a small result."""
        return list(self._interruptible(lambda: self._connection.execute(query).fetchall()))

    def row(self, query: str) -> dict[str, Any]:
        """The only row of a result, by column."""
        # All rows are fetched, because the connection takes no other work while a result is unfinished.
        [values] = self.rows(query)
        return dict(zip((column[0] for column in self._connection.description), values, strict=True))

    def answers(self, questions: "Sequence[Question]") -> list[list[dict[str, Any]]]:
        """The rows of each question, one after the other: the connection takes one query at a time."""
        return [[dict(zip(question.columns, row, strict=True)) for row in self.rows(question.query)] for question in questions]

    def stream(self, query: str, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The batches of a result, of so many rows, in its order, as they are made."""
        reader = self._interruptible(lambda: self._connection.sql(query).to_arrow_reader(rows))
        while (batch := self._interruptible(lambda: next(reader, None))) is not None:
            yield batch

    @contextmanager
    def trusting_no_statistics(self) -> Iterator[None]:
        """For statements that read files of others, whose word for the range of their values may be wrong.

        By it, DuckDB leaves out the conditions that every value would meet.
        """
        self.execute("SET disabled_optimizers = 'statistics_propagation'")
        yield
        self.execute("RESET disabled_optimizers")  # after an error, the connection is of no more use

    def _interruptible(self, work: Any) -> Any:
        """Runs work in a thread, so that this one hears signals and cancellation, and interrupts the query if there is one.

        A query in the main thread would keep Python from handling SIGTERM until it ends.
        """
        raise_if_canceled()
        result: Future[Any] = Future()

        def run() -> None:
            try:
                result.set_result(work())
            except BaseException as error:  # handed to the waiting thread as it is
                result.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        try:
            while not _is_done(result):
                raise_if_canceled()
        except BaseException:
            while not _is_done(result):
                self._connection.interrupt()
            raise
        # A source that is read by the query may have raised it, of which DuckDB makes an error of its own.
        raise_if_canceled()
        with failures_told(self._failures):
            return result.result()


@contextmanager
def failures_told(failures: Iterable[Failure]) -> Iterator[None]:
    """Has what a file system raised inside be the error, of which DuckDB makes a text."""
    try:
        yield
    except Exception:
        for failure in failures:
            if error := failure():
                raise error from None
        raise


def _is_done(result: "Future[Any]") -> bool:
    """Whether it is done; waits a little."""
    try:
        result.exception(timeout=_INTERRUPT_SECONDS)
    except TimeoutError:
        return False
    return True


def quoted(name: str) -> str:
    """A name as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(value: str) -> str:
    """A text as a SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def parquet(files: Iterable[str | Path], *options: str) -> str:
    """A table function that reads Parquet files in their order, and nothing but what is in them.

    No character of a path is taken for a pattern, and no folder named `column=value` for a column, which would replace the
    file's own.
    """
    listed = f"[{', '.join(text_literal(glob.escape(str(file))) for file in files)}]"
    return f"read_parquet({', '.join([listed, 'hive_partitioning = false', *options])})"
