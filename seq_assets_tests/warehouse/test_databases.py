"""Open databases that tests share one after the other: nobody meets what somebody else left."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from seq_assets.warehouse.engine import Engine, connect_in_memory
from seq_assets.warehouse.storage.storage import LocalStorage
from seq_assets_tests.warehouse.databases import Databases


@pytest.fixture
def databases() -> Iterator[Databases]:
    databases = Databases()
    yield databases
    databases.close()


def config(folder: Path, memory: str = "100MiB") -> dict[str, Any]:
    return {"memory_limit": memory, "temp_directory": str(folder)}


def settings(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT current_setting('memory_limit'), current_setting('temp_directory')").fetchall()


def mark(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CREATE TABLE main.mark (x INTEGER)")


def is_marked(connection: duckdb.DuckDBPyConnection) -> bool:
    return bool(connection.execute("FROM duckdb_tables() WHERE table_name = 'mark'").fetchall())


def test_one_is_used_again_with_other_settings(databases: Databases, tmp_path: Path) -> None:
    with databases.connect(config(tmp_path / "a")) as connection:
        mark(connection)
        assert settings(connection) == [("100.0 MiB", str(tmp_path / "a"))]
    with databases.connect(config(tmp_path / "b", "200MiB")) as connection:
        assert is_marked(connection)
        assert settings(connection) == [("200.0 MiB", str(tmp_path / "b"))]


def test_what_an_engine_makes_is_gone(databases: Databases, tmp_path: Path) -> None:
    for _ in range(2):
        with databases.connect(config(tmp_path)) as connection:
            connection.execute(f"ATTACH '{tmp_path / 'stage.duckdb'}' AS stage")
            connection.execute("CREATE TEMP TABLE files AS SELECT 1")
            connection.execute("CREATE TEMP VIEW accepted AS SELECT 1")


def test_two_at_a_time_have_one_each(databases: Databases, tmp_path: Path) -> None:
    with databases.connect(config(tmp_path)) as one, databases.connect(config(tmp_path)) as other:
        mark(one)
        assert not is_marked(other)


def test_one_whose_use_failed_is_not_used_again(databases: Databases, tmp_path: Path) -> None:
    with databases.connect(config(tmp_path)) as connection:
        mark(connection)
    with pytest.raises(duckdb.Error), databases.connect(config(tmp_path)) as connection:
        connection.execute("SELECT nothing")
    with databases.connect(config(tmp_path)) as connection:
        assert not is_marked(connection)


def test_one_that_has_spilled_is_not_used_again(databases: Databases, tmp_path: Path) -> None:
    with databases.connect(config(tmp_path / "a", "20MiB")) as connection:
        mark(connection)
        connection.execute("CREATE TEMP TABLE large AS SELECT range AS x, md5(range::VARCHAR) AS y FROM range(1_000_000)")
    with databases.connect(config(tmp_path / "b")) as connection:
        assert settings(connection) == [("100.0 MiB", str(tmp_path / "b"))]
        assert not is_marked(connection)


def test_a_connection_of_somebodys_own_stays_theirs(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []

    def connect(config: dict[str, Any]) -> Any:
        asked.append(config)
        return connect_in_memory(config)

    with Engine.open(connect, tmp_path, "100MiB", LocalStorage(tmp_path)) as engine:
        assert engine.rows("SELECT 1") == [(1,)]
    assert asked == [config(tmp_path)]
