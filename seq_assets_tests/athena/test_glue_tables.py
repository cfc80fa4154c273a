"""Existing tables of the Glue catalog as sources: the same observations as from files, read by Athena alone."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seq_assets.environments import current_environment
from seq_assets.errors import SourceError
from seq_assets.models import ModelSpec
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.storage.cloud import Cloud
from seq_assets_tests.athena.fixtures import AthenaClient
from seq_assets_tests.warehouse.building import Row, Workspace, published_rows

pytestmark = pytest.mark.athena

ANSWERS = pa.table(
    {
        "pupil": pa.array([number % 5 for number in range(40)], pa.int64()),
        "at": pa.array(
            [datetime(2026, 1, 1) + timedelta(milliseconds=37 * number) for number in range(40)], pa.timestamp("ms")
        ),
        "day": pa.array([date(2026, 1, 1 + number % 28) for number in range(40)], pa.date32()),
        "item": pa.array([None if number == 7 else number * 3 for number in range(40)], pa.int32()),
        "score": pa.array([number / 4 for number in range(40)], pa.float32()),
        "name": pa.array([f"skill {number % 3}" for number in range(40)], pa.string()),
        "passed": pa.array([number % 2 == 0 for number in range(40)], pa.bool_()),
        "unread": pa.array(range(40), pa.int64()),
    }
)
HIVE_COLUMNS = "pupil bigint, `at` timestamp, `day` date, item int, score float, name string, passed boolean, unread bigint"
MODEL: Mapping[str, Any] = {
    "order_by": ["at"],
    "columns": {
        "pupil": {"type": "int64"},
        # Athena reads the timestamps of Hive in milliseconds.
        "at": {"type": "timestamp", "unit": "ms"},
        "day": {"type": "date"},
        "item": {"type": "int16"},
        "score": {"type": "float32"},
        "name": {"type": "string"},
        "passed": {"type": "bool"},
    },
    "features": {"item": {"pad_value": -1}, "name": {"encode": "vocabulary"}},
    "split": {"strategy": "entity_hash", "validation_fraction": 0.4},
    "checks": {"rejected_ratio": {"max": 0.1}},
    "sequence_lengths": [4],
}


@pytest.fixture
def workspace(production: AthenaClient, tmp_path: Path) -> Workspace:
    folder = tmp_path / "models"
    folder.mkdir()
    return Workspace(folder, current_environment().warehouse())


def put(athena: AthenaClient, key: str, table: pa.Table, **options: Any) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    athena.s3.put_object(Bucket=athena.bucket, Key=f"{athena.unique}/{key}", Body=sink.getvalue().to_pybytes())


def hive_table(athena: AthenaClient, table: pa.Table = ANSWERS) -> str:
    put(athena, "answers/part.parquet", table, use_deprecated_int96_timestamps=True)
    athena.run(f"CREATE EXTERNAL TABLE answers ({HIVE_COLUMNS}) STORED AS PARQUET LOCATION '{athena.folder}/answers/'")
    return f"glue://{athena.database}/answers"


def model(workspace: Workspace, location: str, **fields: Any) -> ModelSpec:
    return workspace.model(**{**MODEL, "source": {"location": location}, **fields})


def published(workspace: Workspace, spec: ModelSpec) -> tuple[list[Row], list[Row], list[Row], Mapping[str, Any]]:
    """Raw rows, without their places in files; rejected rows; sequences; and what was counted and measured."""
    import seq_assets

    raw = workspace.ingest(spec).version
    workspace.sequence(spec, "train", 4)
    rows = seq_assets.load_observations(spec.name).to_arrow().drop_columns(["_file", "_row"])
    rejected = workspace.warehouse.find(Dataset.rejected(spec.name))
    found = []
    for file in rejected.files:
        with workspace.warehouse.open_input(file) as opened:
            found += pq.read_table(opened).drop_columns(["file", "row"]).to_pylist()
    sequences = seq_assets.load(spec.name, sequence_length=4).to_arrow()
    return rows.to_pylist(), found, sequences.to_pylist(), {**raw.metadata["metrics"], **raw.metadata["accounting"]}


def test_a_hive_table_gives_what_its_files_give(production: AthenaClient, workspace: Workspace) -> None:
    from_table = published(workspace, model(workspace, hive_table(production), name="from_table"))
    from_files = published(workspace, model(workspace, f"{production.folder}/answers/", name="from_files"))
    assert from_table == from_files
    rows, rejected, sequences, counted = from_table
    assert (len(rows), len(rejected), counted["rejected_by_reason"]) == (39, 1, {"null": 1})
    assert sequences


def test_texts_and_bytes_of_a_table_that_are_too_long_reject_their_rows(production: AthenaClient, workspace: Workspace) -> None:
    texts = ["é" * 10, "é" * 11, "a" * 21, None]
    table = pa.table({"u": [1, 2, 3, 4], "v": texts, "w": [b"a" * 20, b"a", b"a", b"a" * 21]})
    put(production, "long/part.parquet", table)
    columns = "u bigint, v string, w binary"
    production.run(f"CREATE EXTERNAL TABLE long ({columns}) STORED AS PARQUET LOCATION '{production.folder}/long/'")
    spec = workspace.model(
        source={"location": f"glue://{production.database}/long", "options": {"max_value_bytes": 20}},
        entity="u",
        order_by=[],
        columns={
            "u": {"type": "int64"},
            "v": {"type": "string", "nullable": True},
            "w": {"type": "string", "nullable": True},
        },
        checks={"rejected_ratio": {"max": 1.0}},
    )
    workspace.ingest(spec)
    rejected = workspace.warehouse.find(Dataset.rejected(spec.name))
    found = [(row["column"], row["value"], row["reason"]) for row in published_rows(workspace.warehouse, rejected)]
    assert sorted(found) == [
        ("v", "a" * 21, "too_long"),
        ("v", "é" * 11, "too_long"),
        ("w", "61", "unreadable"),
        ("w", "61", "unreadable"),
        ("w", "61" * 20, "unreadable"),
        ("w", "61" * 21, "too_long"),
    ]


def test_an_iceberg_table_is_read_and_its_new_snapshots_are_seen(production: AthenaClient, workspace: Workspace) -> None:
    catalog = Cloud("prod", production.bucket, production.unique, production.database).open_tables()._catalog
    microseconds = ANSWERS.set_column(1, "at", ANSWERS["at"].cast(pa.timestamp("us")))
    table = catalog.create_table(
        (production.database, "answers"), microseconds.schema, location=f"{production.folder}/iceberg/answers"
    )
    table.append(microseconds)
    spec = model(workspace, f"glue://{production.database}/answers")
    first = workspace.ingest(spec)
    assert (first.version.rows, first.version.metadata["ignored_columns"]) == (39, ["unread"])
    assert workspace.ingest(spec).unchanged
    table.append(microseconds.slice(0, 1).set_column(0, "pupil", pa.array([77], pa.int64())))
    second = workspace.ingest(spec)
    assert (second.version.rows, second.unchanged) == (40, False)


def test_timestamps_of_hive_that_would_be_rounded_are_refused(production: AthenaClient, workspace: Workspace) -> None:
    columns = {**MODEL["columns"], "at": {"type": "timestamp"}}
    with pytest.raises(SourceError, match=r"answers is one of Hive, whose timestamps Athena rounds .*columns\.at\.unit: ms"):
        workspace.ingest(model(workspace, hive_table(production), columns=columns))


def test_timestamps_of_iceberg_are_exact_and_local_where_they_name_no_zone(
    production: AthenaClient, workspace: Workspace
) -> None:
    catalog = Cloud("prod", production.bucket, production.unique, production.database).open_tables()._catalog
    moment = 1_698_546_600_123_457
    table = pa.table(
        {
            "pupil": pa.array([1], pa.int64()),
            "plain": pa.array([moment], pa.timestamp("us")),
            "in_utc": pa.array([moment], pa.timestamp("us", "UTC")),
            "day": pa.array([date(2023, 7, 1)], pa.date32()),
        }
    )
    location = f"{production.folder}/iceberg/moments"
    catalog.create_table((production.database, "moments"), table.schema, location=location).append(table)
    local = {"type": "timestamp", "timezone": "Europe/Amsterdam"}
    for contract, hours in (({"type": "timestamp"}, 0), (local, 2)):
        spec = workspace.model(
            source={"location": f"glue://{production.database}/moments"},
            order_by=[],
            columns={"pupil": {"type": "int64"}, **dict.fromkeys(["plain", "in_utc", "day"], contract)},
        )
        [row] = published_rows(workspace.warehouse, workspace.ingest(spec).version)
        shift = hours * 3_600_000_000
        midnight = int(datetime(2023, 7, 1, tzinfo=UTC).timestamp()) * 1_000_000
        assert (row["plain"], row["in_utc"], row["day"]) == (moment - shift, moment, midnight - shift)


def test_a_hive_table_whose_files_change_is_read_again(production: AthenaClient, workspace: Workspace) -> None:
    spec = model(workspace, hive_table(production))
    assert workspace.ingest(spec).version.rows == 39
    assert workspace.ingest(spec).unchanged
    more = ANSWERS.slice(0, 3).set_column(0, "pupil", pa.array([90, 91, 92], pa.int64()))
    put(production, "answers/more.parquet", more, use_deprecated_int96_timestamps=True)
    assert workspace.ingest(spec).version.rows == 42


def test_ties_of_a_table_are_refused_unless_the_model_allows_any_order(production: AthenaClient, workspace: Workspace) -> None:
    location = hive_table(production)
    with pytest.raises(SourceError, match=r"answers: 39 accepted rows have the same pupil and order_by .*`ties: any`"):
        workspace.ingest(model(workspace, location, order_by=[]))
    raw = workspace.ingest(model(workspace, location, order_by=[], ties="any")).version
    assert raw.rows == 39


def test_what_is_no_table_is_named(production: AthenaClient, workspace: Workspace) -> None:
    with pytest.raises(SourceError, match=r"No table at 'glue://.*/nothing' in the Glue catalog"):
        workspace.ingest(model(workspace, f"glue://{production.database}/nothing"))
    columns = {**MODEL["columns"], "missing": {"type": "int8"}}
    with pytest.raises(SourceError, match=r"glue://.*/answers has no column 'missing' \(columns.missing\); found: pupil, at"):
        workspace.ingest(model(workspace, hive_table(production), columns=columns))


def test_the_local_environment_does_not_read_tables(tmp_path: Path) -> None:
    from seq_assets.warehouse.local.warehouse import LocalWarehouse

    there = Workspace(tmp_path, LocalWarehouse(tmp_path / "home"))
    with pytest.raises(SourceError, match="is a table, which the environment prod alone can read"):
        there.ingest(model(there, "glue://lake/answers"))
