"""What the names of folders say changes no value: not above a home, a source or a model file, and not within a source."""

import json
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest

import seq_assets
from seq_assets.environments import Environment
from seq_assets.errors import SourceError
from seq_assets.warehouse.local.profiling import sample_source
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets_tests.warehouse.building import Workspace, csv_text

FOLDERS: Final = Path("item=9", "time=8", "pupil=7", "subset=validation")
"""Named as Hive names the folders of partitions; the values are none of the records'."""
COLUMNS: Final[dict[str, list[Any]]] = {"pupil": [1, 1, 2], "time": [1, 2, 1], "item": [10, 20, 30]}


@pytest.fixture
def there(tmp_path: Path) -> Workspace:
    """A home, a source and a model file, all below such folders."""
    folder = tmp_path / FOLDERS
    return Workspace(folder / "models", LocalWarehouse(folder / "home"))


def values(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in COLUMNS}


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_the_value_in_the_file_wins_whatever_its_folders_are_named(there: Workspace, kind: str) -> None:
    table = pa.table(COLUMNS)
    lines = "".join(f"{json.dumps(row)}\n" for row in table.to_pylist())
    texts = {"csv": csv_text(COLUMNS), "jsonl": lines}
    there.write(f"data/{FOLDERS}/x.{kind}", texts.get(kind, table))
    spec = there.sequence_model(source={"location": "data"})
    there.ingest(spec)
    assert values(there.raw_rows(spec)) == COLUMNS
    assert {row["subset"] for row in there.raw_rows(spec)} == {"train"}
    version = there.sequence(spec).version
    assert version.rows == 2


def test_a_column_that_only_the_path_has_is_missing(there: Workspace) -> None:
    there.write("data/item=9/x.parquet", pa.table({"pupil": [1], "time": [1]}))
    spec = there.model(source={"location": "data"})
    with pytest.raises(SourceError, match="has no column 'item'"):
        there.ingest(spec)


def test_what_is_loaded_and_queried_is_what_the_files_hold(there: Workspace) -> None:
    there.write("source.parquet", pa.table(COLUMNS))
    spec = there.sequence_model(source={"location": "source.parquet"})
    there.ingest(spec)
    there.sequence(spec)
    environment = Environment("local", there.folder.parent / "home", there.folder, "seq_assets_local")
    with seq_assets.connect(environment) as connection:
        found = connection.sql("SELECT pupil, time, item FROM plain_raw_observations ORDER BY pupil, time").fetchall()
        assert found == list(zip(*COLUMNS.values(), strict=True))
        assert connection.sql("SELECT DISTINCT pupil FROM plain_sequenced_train_4 ORDER BY 1").fetchall() == [(1,), (2,)]


def test_a_sample_shows_the_values_of_the_file(there: Workspace) -> None:
    path = there.write(f"{FOLDERS}/x.parquet", pa.table(COLUMNS))
    sampled = sample_source(str(path), ".", "x.parquet")
    assert {column.source: list(column.values) for column in sampled.columns} == COLUMNS
