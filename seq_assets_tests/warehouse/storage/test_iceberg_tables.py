"""Publication: a table's content is replaced whole, in one commit, whoever else publishes at the same moment."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table
from sqlalchemy.exc import OperationalError

from seq_assets.errors import ConflictError
from seq_assets.models import ColumnType
from seq_assets.sequencing.plans import Dataset
from seq_assets.sequencing.schemas import TableColumn, TableSchema
from seq_assets.warehouse.interface import Version
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets.warehouse.storage import commits
from seq_assets.warehouse.storage import iceberg_tables as publication
from seq_assets.warehouse.storage.iceberg_tables import ATTEMPTS, Tables, dataset_of
from seq_assets_tests.reference import examples
from seq_assets_tests.warehouse import processes
from seq_assets_tests.warehouse.building import read_table

DATASET = Dataset.sequenced("dkt", "train", 5)
NUMBERS = TableSchema((TableColumn("x", ColumnType.INT32),))


def write_file(tables: Tables, name: str, schema: TableSchema, rows: list[dict[str, Any]], dataset: Dataset = DATASET) -> str:
    """A finished file below the table's folder."""
    path = Path(tables.location(dataset)) / "data" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema.stored()), path)
    return str(path)


def publish(
    tables: Tables, name: str, values: Sequence[Any], schema: TableSchema = NUMBERS, dataset: Dataset = DATASET, **metadata: Any
) -> Version:
    """Publishes one file with one column."""
    file = write_file(tables, name, schema, [{schema.names[0]: value} for value in values], dataset)
    return tables.publish(dataset, schema, [file], len(values), {"identity": name, **metadata})


def iceberg(warehouse: LocalWarehouse, dataset: Dataset = DATASET) -> Table:
    """The table as other programs see it."""
    catalog: Any = warehouse.tables._catalog
    table: Table = catalog.load_table((warehouse.database, dataset.table))
    return table


def live_files(table: Table) -> set[str]:
    return {Path(row["file_path"]).stem for row in table.inspect.data_files().to_pylist()}


# Replacing


def test_a_publication_replaces_the_content_and_the_version_before_stays(warehouse: LocalWarehouse) -> None:
    first = publish(warehouse.tables, "a", [1, 2])
    second = publish(warehouse.tables, "b", [3])
    assert warehouse.versions(DATASET) == [second, first]
    assert [read_table(version)["x"].to_pylist() for version in (first, second)] == [[1, 2], [3]]
    assert [version.rows for version in (first, second)] == [2, 1]
    assert first.committed_at <= second.committed_at


def test_other_readers_of_iceberg_see_one_version_at_a_time(warehouse: LocalWarehouse) -> None:
    first = publish(warehouse.tables, "a", [1, 2])
    publish(warehouse.tables, "b", [3])
    table = iceberg(warehouse)
    assert table.scan().to_arrow()["x"].to_pylist() == [3]
    assert table.scan(snapshot_id=first.id).to_arrow()["x"].to_pylist() == [1, 2]
    assert len(table.metadata.snapshots) == 2


def test_a_file_without_rows_is_replaced_too(warehouse: LocalWarehouse) -> None:
    for name in "abc":
        publish(warehouse.tables, name, [])
        assert live_files(iceberg(warehouse)) == {name}
    publish(warehouse.tables, "d", [1])
    assert live_files(iceberg(warehouse)) == {"d"}


def test_a_version_has_no_manifests_of_those_before_however_many_they_are(warehouse: LocalWarehouse) -> None:
    for number in range(5):
        publish(warehouse.tables, f"file{number}", [number])
    table = iceberg(warehouse)
    for snapshot in table.snapshots():
        assert len(snapshot.manifests(table.io)) <= 2
        assert len(list(table.scan(snapshot_id=snapshot.snapshot_id).plan_files())) == 1


def test_files_keep_their_order(warehouse: LocalWarehouse) -> None:
    tables = warehouse.tables
    files = [write_file(tables, name, NUMBERS, [{"x": number}]) for number, name in enumerate("zyx")]
    version = tables.publish(DATASET, NUMBERS, files, 3, {"identity": "a"})
    assert version.files == tuple(files)
    assert warehouse.versions(DATASET) == [version]


def test_every_type_and_lists_of_it_can_be_read_by_other_programs(warehouse: LocalWarehouse) -> None:
    types = [type_ for type_ in ColumnType if type_ is not ColumnType.DATE]
    schema = TableSchema(
        (
            *(TableColumn(f"{type_}_x", type_, nullable=True) for type_ in ColumnType),
            *(TableColumn(f"{type_}_list", type_, length=2) for type_ in types),
        )
    )
    row: dict[str, Any] = {column.name: None for column in schema.columns}
    values = {ColumnType.STRING: "é", ColumnType.BOOL: True, ColumnType.FLOAT32: 0.5, ColumnType.FLOAT64: 0.1}
    for type_ in types:
        row[f"{type_}_x"] = values.get(type_, 7)
        row[f"{type_}_list"] = [values.get(type_, 7)] * 2
    file = write_file(warehouse.tables, "a", schema, [row])
    version = warehouse.tables.publish(DATASET, schema, [file], 1, {"identity": "a"})
    assert iceberg(warehouse).scan().to_arrow().to_pylist() == [row]
    assert version.schema == schema
    assert read_table(version).schema == schema.stored()


def test_metadata_comes_back_as_it_was(warehouse: LocalWarehouse) -> None:
    metadata: dict[str, Any] = {
        "text": "é\"'\n",
        "nested": {"a": [1, 2.5, None, True]},
        "big": 2**63,
        "nothing": None,
        "raw_version": 2**62 + 1,
    }
    version = publish(warehouse.tables, "a", [1], **metadata)
    del metadata["nothing"]
    assert warehouse.find(DATASET) == version
    assert version.metadata == {"identity": "a", **metadata}
    assert version.raw_version == 2**62 + 1


def test_a_table_that_was_never_published_has_no_versions(warehouse: LocalWarehouse) -> None:
    assert warehouse.versions(DATASET) == []
    assert warehouse.datasets() == []


def test_what_other_programs_commit_is_no_version(warehouse: LocalWarehouse) -> None:
    version = publish(warehouse.tables, "a", [1])
    table = iceberg(warehouse)
    table.append(pa.table({"x": pa.array([9], pa.int32())}))
    assert warehouse.versions(DATASET) == [version]
    publish(warehouse.tables, "b", [2])
    assert iceberg(warehouse).scan().to_arrow()["x"].to_pylist() == [2]


# Schemas


def test_a_version_keeps_its_own_columns_when_they_change(warehouse: LocalWarehouse) -> None:
    tables = warehouse.tables
    before = TableSchema((TableColumn("x", ColumnType.INT32), TableColumn("y", ColumnType.STRING)))
    after = TableSchema((TableColumn("z", ColumnType.BOOL), TableColumn("x", ColumnType.INT32)))
    files = [
        write_file(tables, "a", before, [{"x": 1, "y": "one"}]),
        write_file(tables, "b", after, [{"x": 2, "z": True}]),
        write_file(tables, "c", before, [{"x": 3, "y": "three"}]),
    ]
    for file, schema in zip(files, (before, after, before), strict=True):
        tables.publish(DATASET, schema, [file], 1, {"identity": file})
    third, second, first = warehouse.versions(DATASET)
    assert [version.schema for version in (first, second, third)] == [before, after, before]
    assert [read_table(version).to_pylist() for version in (first, second, third)] == [
        [{"x": 1, "y": "one"}],
        [{"z": True, "x": 2}],
        [{"x": 3, "y": "three"}],
    ]
    table = iceberg(warehouse)
    assert table.scan().to_arrow().to_pylist() == [{"x": 3, "y": "three"}]
    assert table.scan(snapshot_id=second.id).to_arrow().to_pylist() == [{"z": True, "x": 2}]


@pytest.mark.parametrize(
    ("before", "after", "one", "other"),
    [
        (TableColumn("x", ColumnType.INT32), TableColumn("x", ColumnType.STRING), 1, "one"),
        (TableColumn("x", ColumnType.FLOAT64), TableColumn("x", ColumnType.INT8), 0.5, 7),
        (TableColumn("x", ColumnType.INT64), TableColumn("x", ColumnType.INT64, length=2), 1, [1, 2]),
        (TableColumn("x", ColumnType.INT32, length=2), TableColumn("x", ColumnType.FLOAT32, length=3), [1, 2], [0.5, 1.5, 2.5]),
        (TableColumn("x", ColumnType.DATE, nullable=True), TableColumn("x", ColumnType.TIMESTAMP), None, 7),
    ],
    ids=["int to string", "float to int", "value to list", "another list", "date to timestamp"],
)
def test_a_column_may_change_its_type_and_old_versions_keep_theirs(
    warehouse: LocalWarehouse, before: TableColumn, after: TableColumn, one: Any, other: Any
) -> None:
    first = publish(warehouse.tables, "a", [one], TableSchema((before,)))
    second = publish(warehouse.tables, "b", [other], TableSchema((after,)))
    assert warehouse.versions(DATASET) == [second, first]
    assert [read_table(version)["x"].to_pylist() for version in (first, second)] == [[one], [other]]
    assert [read_table(version).schema for version in (first, second)] == [
        TableSchema((before,)).stored(),
        TableSchema((after,)).stored(),
    ]
    assert iceberg(warehouse).scan().to_arrow()["x"].to_pylist() == [other]
    third = publish(warehouse.tables, "c", [one], TableSchema((before,)))
    assert iceberg(warehouse).scan().to_arrow()["x"].to_pylist() == [one]
    assert warehouse.versions(DATASET) == [third, second, first]


# Conflicts


def test_a_table_refuses_the_writes_of_another_environment(warehouse: LocalWarehouse) -> None:
    version = publish(warehouse.tables, "a", [1])
    shared = warehouse.tables
    # The environment's name is the catalog's too, so only a shared catalog shows the table at all.
    tables = Tables(shared._catalog, shared._pointers, warehouse.database, "staging", warehouse.storage)
    with pytest.raises(
        ConflictError, match=r"dkt_sequenced_train_5 belongs to the environment 'local', not to 'staging'; set SEQ"
    ):
        publish(tables, "b", [2])
    assert warehouse.versions(DATASET) == [version]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, none of which is taken."""
    taken: list[float] = []
    monkeypatch.setattr("seq_assets.warehouse.storage.iceberg_tables.pause", taken.append)
    return taken


def test_a_lost_race_is_repeated_on_the_new_state(
    warehouse: LocalWarehouse, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A competitor publishes between the load of the table and the commit, three times."""
    publish(warehouse.tables, "a", [1])
    replace_content: Any = commits.replace_content
    competitors = iter("bcd")

    def overtaken(*arguments: Any) -> Any:
        name = next(competitors, None)
        if name is not None:
            monkeypatch.setattr(publication, "replace_content", replace_content)
            publish(warehouse.tables, name, [2])
            monkeypatch.setattr(publication, "replace_content", overtaken)
        return replace_content(*arguments)

    monkeypatch.setattr(publication, "replace_content", overtaken)
    version = publish(warehouse.tables, "e", [3])
    assert [found.metadata["identity"] for found in warehouse.versions(DATASET)] == ["e", "d", "c", "b", "a"]
    assert warehouse.find(DATASET) == version
    assert live_files(iceberg(warehouse)) == {"e"}
    assert len(pauses) == 3


def test_attempts_are_bounded(warehouse: LocalWarehouse, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    version = publish(warehouse.tables, "a", [1])
    attempts = []

    def lose(*arguments: Any) -> Any:
        attempts.append(arguments)
        raise CommitFailedException("somebody was faster")

    monkeypatch.setattr(publication, "replace_content", lose)
    with pytest.raises(ConflictError, match=rf"{ATTEMPTS} attempts were lost .*CommitFailedException: somebody was faster"):
        publish(warehouse.tables, "b", [2])
    assert len(attempts) == ATTEMPTS
    assert max(pauses) <= 0.5
    assert warehouse.versions(DATASET) == [version]


def test_another_error_is_not_repeated(warehouse: LocalWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = []

    def fail(*arguments: Any) -> Any:
        attempts.append(arguments)
        raise OSError("no space left")

    monkeypatch.setattr(publication, "replace_content", fail)
    with pytest.raises(OSError, match="no space left"):
        publish(warehouse.tables, "a", [1])
    assert len(attempts) == 1
    assert warehouse.versions(DATASET) == []


@pytest.mark.slow
def test_processes_that_publish_at_once_all_succeed_one_version_after_the_other(tmp_path: Path) -> None:
    """The first publication of a home creates the catalog, its tables, the namespace and the table: all of it may be a race."""
    homes = [tmp_path / str(number) for number in range(3)]
    barrier, errors = processes.context().Barrier(2), processes.context().Queue()
    arguments = [(barrier, errors, homes, DATASET, name) for name in "ab"]
    assert processes.run_at_once(processes.publish_at_once, arguments, errors) == []
    for home in homes:
        warehouse = LocalWarehouse(home)
        versions = warehouse.versions(DATASET)
        assert sorted(version.metadata["identity"] for version in versions) == ["a0", "a1", "b0", "b1"]
        snapshots = {snapshot.snapshot_id: snapshot for snapshot in iceberg(warehouse).metadata.snapshots}
        assert [snapshots[version.id].parent_snapshot_id for version in versions] == [*(v.id for v in versions[1:]), None]
        for version in versions:
            files = iceberg(warehouse).scan(snapshot_id=version.id).plan_files()
            assert [Path(task.file.file_path).name for task in files] == [Path(file).name for file in version.files]


def test_another_process_may_make_the_catalog_at_the_same_moment(
    warehouse: LocalWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_tables = SqlCatalog.create_tables
    attempts = []

    def overtaken(catalog: SqlCatalog) -> None:
        attempts.append(catalog)
        if len(attempts) <= 2:  # its two tables, each made by the other process
            raise OperationalError("CREATE TABLE", {}, Exception("table already exists"))
        create_tables(catalog)

    monkeypatch.setattr(SqlCatalog, "create_tables", overtaken)
    assert warehouse.datasets() == []
    assert len(attempts) == 3


# Names

MODEL_NAMES = (
    st.lists(
        st.sampled_from(["a", "b0", "sequenced", "train", "validation", "raw", "observations", "rejected", "5", "10", "_"]),
        min_size=1,
    )
    .map("_".join)
    .filter(lambda name: "a" <= name[0] <= "z")
)
HOSTILE_MODELS = [
    "a",
    "a_sequenced_train_5",
    "a_sequenced_validation_10_sequenced_train_5",
    "a_raw_observations",
    "sequenced_train_5",
    "raw_observations",
    "a__",
    "a" * 63,
]


def datasets(model: str) -> list[Dataset]:
    sequenced = [Dataset.sequenced(model, subset, length) for subset in ("train", "validation") for length in (1, 5, 10_000)]
    return [Dataset.raw(model), Dataset.rejected(model), *sequenced]


@settings(deadline=None, max_examples=examples(50))
@given(model=MODEL_NAMES | st.sampled_from(HOSTILE_MODELS))
def test_the_name_of_a_table_tells_its_dataset_whatever_the_model_is_called(model: str) -> None:
    assert [dataset_of(dataset.table) for dataset in datasets(model)] == datasets(model)


@pytest.mark.parametrize(
    "name", ["", "other", "_raw_observations", "A_raw_observations", "a_sequenced_train", "a_sequenced_test_5"]
)
def test_other_names_are_no_datasets(name: str) -> None:
    assert dataset_of(name) is None


def test_datasets_are_told_apart_by_name_and_other_tables_are_left_alone(warehouse: LocalWarehouse) -> None:
    model = "a_sequenced_train_5"
    expected = [Dataset.raw("a"), Dataset.sequenced("a", "train", 5), Dataset.raw(model), Dataset.sequenced(model, "train", 5)]
    for dataset in expected:
        publish(warehouse.tables, "x", [1], dataset=dataset)
    catalog: Any = warehouse.tables._catalog
    catalog.create_table((warehouse.database, "somebody_elses"), pa.schema([("x", pa.int64())]))
    assert warehouse.datasets() == sorted(expected, key=lambda dataset: dataset.table)


# Places


def test_a_moved_home_can_be_read_and_written(tmp_path: Path) -> None:
    old = LocalWarehouse(tmp_path / "old")
    publish(old.tables, "a", [1])
    shutil.move(tmp_path / "old", tmp_path / "new" / "home")
    new = LocalWarehouse(tmp_path / "new" / "home")
    (first,) = new.versions(DATASET)
    assert first.files[0].startswith(str(tmp_path / "new"))
    assert read_table(first)["x"].to_pylist() == [1]
    publish(new.tables, "b", [2])
    assert [version.rows for version in new.versions(DATASET)] == [1, 1]
    assert iceberg(new).scan().to_arrow()["x"].to_pylist() == [2]
    assert not (tmp_path / "old").exists()


def test_a_copied_home_is_independent_of_the_first(tmp_path: Path) -> None:
    old = LocalWarehouse(tmp_path / "old")
    first = publish(old.tables, "a", [1])
    shutil.copytree(tmp_path / "old", tmp_path / "copy")
    copy = LocalWarehouse(tmp_path / "copy")
    publish(copy.tables, "b", [2])
    assert old.versions(DATASET) == [first]
    assert [version.metadata["identity"] for version in copy.versions(DATASET)] == ["b", "a"]
    assert iceberg(old).scan().to_arrow()["x"].to_pylist() == [1]


@pytest.mark.parametrize("name", ["a b", "a#b", "a?b=c&d", "a%20b", "é", "a'b", "warehouse", "a:b@c"])
def test_a_home_may_have_any_name(tmp_path: Path, name: str) -> None:
    warehouse = LocalWarehouse(tmp_path / name)
    version = publish(warehouse.tables, "a", [1])
    assert LocalWarehouse(tmp_path / name).versions(DATASET) == [version]
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
    assert iceberg(warehouse).scan().to_arrow()["x"].to_pylist() == [1]
