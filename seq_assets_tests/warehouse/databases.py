"""DuckDB databases that are used again: to open one takes longer than most of what tests ask of it.

Belongs here: the real engine on a database that somebody has left clean. Not here: connections that a test, a resource or the
package configures in its own way; those stay theirs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from seq_assets.warehouse.engine import Connect, Engine, connect_in_memory
from seq_assets.warehouse.storage.storage import Storage

_LEFT = "SELECT database_name FROM duckdb_databases() WHERE NOT internal AND database_name <> 'memory'"


class Databases:
    """Open databases, each with one user at a time."""

    def __init__(self) -> None:
        """None is open."""
        self._free: list[duckdb.DuckDBPyConnection] = []

    @contextmanager
    def connect(self, config: dict[str, Any]) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection with this configuration; only a database that nothing failed on and that is clean is used again."""
        database = self._configured(config)
        try:
            with database.cursor() as connection:
                yield connection
                clean = _detached(connection)
        except BaseException:
            database.close()
            raise
        if clean:
            self._free.append(database)
        else:
            database.close()

    def _configured(self, config: dict[str, Any]) -> duckdb.DuckDBPyConnection:
        while self._free:
            database = self._free.pop()
            try:
                for name, value in config.items():
                    database.execute(f"SET GLOBAL {name} = '{value}'")
            except duckdb.Error:  # one that has spilled keeps to its folder
                database.close()
            else:
                return database
        return duckdb.connect(":memory:", config=config)

    def close(self) -> None:
        """Closes what is open."""
        while self._free:
            self._free.pop().close()


def _detached(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether what was attached is not any more; what else a user makes is temporary and ends with its connection."""
    try:
        for (attached,) in connection.execute(_LEFT).fetchall():
            connection.execute(f'DETACH "{attached}"')
    except duckdb.Error:  # such as of a file whose path DuckDB takes for a pattern; closing does not mind
        return False
    return True


@contextmanager
def used_again() -> Iterator[None]:
    """Within it, engines with the package's own way to connect share databases one after the other."""
    databases, fresh = Databases(), Engine.open.__func__  # type: ignore[attr-defined]

    def opened(cls: type[Engine], connect: Connect, scratch: Path, memory_limit: str, storage: Storage) -> Any:
        return fresh(cls, databases.connect if connect is connect_in_memory else connect, scratch, memory_limit, storage)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "open", classmethod(opened))
        yield
    databases.close()
