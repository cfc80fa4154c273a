"""What every warehouse does, whatever it computes with and wherever it publishes.

Each test says which methods of the interface it covers; the last one fails when a method of the interface is covered by none.
"""

import os
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import duckdb
import pyarrow as pa
import pytest

from seq_assets.errors import (
    AuditError,
    ConflictError,
    DamagedError,
    DamagedWarning,
    InputError,
    LostFilesError,
    NotPublishedError,
    SeqAssetsError,
    SourceError,
)
from seq_assets.models import SUBSETS, ModelSpec
from seq_assets.sequencing.plans import Dataset, SequencePlan
from seq_assets.warehouse.engine import parquet
from seq_assets.warehouse.interface import Publication, Repair, Version, Warehouse
from seq_assets.warehouse.publishing import PublishingWarehouse
from seq_assets.warehouse.retention import Retention
from seq_assets_tests.reference import Definition, Feature, accounting, in_order, sequences
from seq_assets_tests.warehouse.building import Row, Workspace, overwrite, published_rows, remove_file, write_file

Test = TypeVar("Test", bound=Callable[..., None])

SPLIT = {"strategy": "entity_hash", "validation_fraction": 0.5}
RECORDS: list[Row] = [{"pupil": number % 7, "time": number // 14, "item": number} for number in range(100)]

_covered: set[str] = set()


def covers(*methods: str) -> Callable[[Test], Test]:
    """Notes which methods of the interface a test covers."""
    _covered.update(methods)
    return lambda test: test


def write_source(workspace: Workspace, records: list[Row] = RECORDS) -> None:
    workspace.write(
        "source.csv", "pupil,time,item\n" + "".join("{pupil},{time},{item}\n".format(**record) for record in records)
    )


@pytest.fixture
def spec(workspace: Workspace) -> ModelSpec:
    """A sequence model whose source is written."""
    write_source(workspace)
    return workspace.sequence_model(split=SPLIT, sequence_lengths=[4, 10])


# Ingest


@covers("execute", "open_input")
def test_an_ingest_publishes_raw_and_rejected_observations(workspace: Workspace, spec: ModelSpec) -> None:
    publication = workspace.ingest(spec)
    raw = publication.version
    assert (publication.previous, publication.unchanged) == (None, False)
    assert raw.dataset == Dataset.raw("plain")
    assert raw.rows == len(RECORDS)
    assert raw.raw_version is None
    found = published_rows(workspace.warehouse, raw)
    for subset in SUBSETS:
        rows = [row for row in found if row["subset"] == subset]
        pupils = {row["pupil"] for row in rows}
        expected = in_order([record for record in RECORDS if record["pupil"] in pupils], "pupil", ["time"])
        assert [{name: row[name] for name in ("pupil", "time", "item")} for row in rows] == expected
    rejected = workspace.warehouse.find(Dataset.rejected("plain"))
    assert (rejected.rows, published_rows(workspace.warehouse, rejected)) == (0, [])
    assert raw.metadata["rejected_version"] == rejected.id


@covers("execute")
def test_a_raw_version_says_what_it_was_made_from_and_what_was_measured(workspace: Workspace, spec: ModelSpec) -> None:
    version = workspace.ingest(spec).version
    metadata = version.metadata
    assert ModelSpec.model_validate(metadata["model"]) == spec
    assert metadata["model_digest"] == spec.digest()
    assert metadata["accounting"]["read"] == len(RECORDS)
    assert set(metadata["metrics"]) == {"pupil", "time", "item"}
    assert metadata["seconds"] > 0
    assert {"identity", "source_fingerprint", "program"} <= set(metadata)
    assert version.schema == workspace.ingest_plan(spec).schema


@covers("execute", "versions")
def test_an_unchanged_source_keeps_its_version(workspace: Workspace, spec: ModelSpec) -> None:
    first = workspace.ingest(spec)
    second = workspace.ingest(spec)
    assert (second.version, second.previous, second.unchanged) == (first.version, first.version, True)
    assert workspace.warehouse.versions(Dataset.raw("plain")) == [first.version]


@covers("stands")
def test_a_plan_stands_that_would_change_nothing(workspace: Workspace, spec: ModelSpec) -> None:
    warehouse, ingest = workspace.warehouse, workspace.ingest_plan(spec)
    assert not warehouse.stands(ingest)
    raw = workspace.ingest(spec).version
    assert warehouse.stands(ingest)
    sequence = SequencePlan.of(spec, "train", 4, raw.id)
    assert not warehouse.stands(sequence)
    workspace.sequence(spec)
    assert warehouse.stands(sequence)
    assert not warehouse.stands(SequencePlan.of(spec, "validation", 4, raw.id))
    os.utime(workspace.folder / "source.csv", ns=(1, 1))
    assert not warehouse.stands(ingest)
    (workspace.folder / "source.csv").unlink()
    with pytest.raises(SourceError):
        warehouse.stands(ingest)


@covers("sample_source")
@pytest.mark.parametrize("form", ["source.csv", "source.parquet"])
def test_a_look_at_a_source_says_what_an_ingest_would_and_publishes_nothing(workspace: Workspace, form: str) -> None:
    records: list[Row] = [*RECORDS[:20], {"pupil": 1, "time": 99, "item": 2**40}]
    write_source(workspace, records)
    workspace.write("source.parquet", pa.Table.from_pylist(records).append_column("more", pa.nulls(21)))
    spec = workspace.model(source={"location": form}, checks={"rejected_ratio": {"max": 0.05}})
    plan = workspace.ingest_plan(spec)
    sample = workspace.warehouse.sample_source(plan, 1_000)
    assert sample.accounting is not None
    assert (sample.accounting.read, sample.accounting.rejected_by_reason) == (21, {"unreadable": 1})
    assert sample.rejected == (f"{form}, row 21, column 'item', value '1099511627776': unreadable",)
    assert sample.problem is None
    assert sample.ignored == (("more",) if form == "source.parquet" else ())
    first = workspace.warehouse.sample_source(plan, 20)
    assert first.accounting is not None
    assert (first.accounting.read, first.accounting.rejected) == (20, 0)
    assert workspace.warehouse.datasets() == []
    strict = workspace.ingest_plan(workspace.model(source={"location": form}))
    problem = workspace.warehouse.sample_source(strict, 1_000).problem
    assert problem is not None
    with pytest.raises(AuditError) as error:
        workspace.warehouse.execute(strict)
    assert problem in str(error.value)


@covers("execute", "versions")
def test_force_rebuilds_what_is_unchanged(workspace: Workspace, spec: ModelSpec) -> None:
    first = workspace.ingest(spec).version
    second = workspace.ingest(spec, force=True)
    assert (second.previous, second.unchanged) == (first, False)
    assert second.version.id != first.id
    assert workspace.warehouse.versions(Dataset.raw("plain")) == [second.version, first]
    assert published_rows(workspace.warehouse, second.version) == published_rows(workspace.warehouse, first)


@covers("execute")
def test_a_changed_source_rebuilds_its_model_whole(workspace: Workspace, spec: ModelSpec) -> None:
    first = workspace.ingest(spec).version
    write_source(workspace, RECORDS[:50])
    second = workspace.ingest(spec)
    assert (second.previous, second.unchanged, second.version.rows) == (first, False, 50)
    assert len(published_rows(workspace.warehouse, first)) == len(RECORDS)


@covers("execute")
def test_a_touched_source_rebuilds(workspace: Workspace, spec: ModelSpec) -> None:
    workspace.ingest(spec)
    os.utime(workspace.folder / "source.csv", ns=(1, 1))
    assert not workspace.ingest(spec).unchanged


@covers("execute")
@pytest.mark.parametrize(
    ("change", "unchanged"),
    [
        ({"description": "other words"}, True),
        ({"window": {"mode": "last"}, "min_length": 2, "padding": {"side": "left"}, "sequence_lengths": [7]}, True),
        ({"features": {"time": {"pad_value": 0}}}, True),
        ({"checks": {"pad_ratio": {"warn": 0.1}}}, True),
        ({"split": {"strategy": "entity_hash", "validation_fraction": 0.5, "seed": 1}}, False),
        ({"order_by": []}, False),
        ({"columns": {"pupil": {"type": "int32"}, "time": {"type": "int64"}, "item": {"type": "int32"}}}, False),
        ({"checks": {"rejected_ratio": {"max": 0.5}}}, False),
    ],
)
def test_raw_observations_are_rebuilt_by_what_decides_them_only(
    workspace: Workspace, spec: ModelSpec, change: dict[str, Any], unchanged: bool
) -> None:
    workspace.ingest(spec)
    changed = workspace.sequence_model(**{"split": SPLIT, "sequence_lengths": [4, 10], **change})
    assert workspace.ingest(changed).unchanged is unchanged


@covers("execute", "datasets", "versions")
def test_what_fails_is_not_published_and_the_last_version_stands(workspace: Workspace, spec: ModelSpec) -> None:
    version = workspace.ingest(spec).version
    write_source(workspace, [*RECORDS, {"pupil": "x", "time": 1, "item": 1}])
    with pytest.raises(AuditError, match=r"1 of 101 records were rejected \(unreadable 1\)"):
        workspace.ingest(spec)
    (workspace.folder / "source.csv").unlink()
    with pytest.raises(SourceError, match="No source file"):
        workspace.ingest(spec)
    assert workspace.warehouse.versions(Dataset.raw("plain")) == [version]
    assert len(workspace.warehouse.versions(Dataset.rejected("plain"))) == 1
    assert len(published_rows(workspace.warehouse, version)) == len(RECORDS)


@covers("raw_files")
def test_the_files_of_each_subset_hold_its_rows_in_order(workspace: Workspace, spec: ModelSpec) -> None:
    raw = workspace.ingest(spec).version
    rows = {subset: published_rows(workspace.warehouse, raw, subset) for subset in SUBSETS}
    assert rows["train"] + rows["validation"] == published_rows(workspace.warehouse, raw)
    for subset in SUBSETS:
        assert {row["subset"] for row in rows[subset]} == {subset}


# Sequences


def definition(sequence_length: int) -> Definition:
    return Definition("pupil", (Feature("item", "int32", -1),), sequence_length)


@covers("histories")
@pytest.mark.parametrize("subset", SUBSETS)
def test_histories_are_counted_by_their_lengths(workspace: Workspace, spec: ModelSpec, subset: Any) -> None:
    raw = workspace.ingest(spec).version
    pupils = Counter(row["pupil"] for row in published_rows(workspace.warehouse, raw, subset))
    histories = workspace.warehouse.histories(raw, subset)
    found = dict(zip(histories.items.tolist(), histories.entities.tolist(), strict=True))
    assert found == Counter(pupils.values())
    assert list(found) == sorted(found)


@covers("source_bytes")
def test_a_source_has_the_bytes_of_its_files(workspace: Workspace, spec: ModelSpec) -> None:
    assert workspace.warehouse.source_bytes(workspace.ingest_plan(spec)) == (workspace.folder / "source.csv").stat().st_size
    remove_file(str(workspace.folder / "source.csv"))
    with pytest.raises(SourceError):
        workspace.warehouse.source_bytes(workspace.ingest_plan(spec))


@covers("source_fingerprint")
def test_a_source_has_the_fingerprint_of_what_was_made_from_it_until_it_changes(workspace: Workspace, spec: ModelSpec) -> None:
    plan = workspace.ingest_plan(spec)
    fingerprint = workspace.warehouse.source_fingerprint(plan)
    assert workspace.warehouse.datasets() == []
    assert workspace.ingest(spec).version.metadata["source_fingerprint"] == fingerprint
    assert workspace.sequence(spec).version.metadata["source_fingerprint"] == fingerprint
    assert workspace.warehouse.source_fingerprint(plan) == fingerprint
    write_source(workspace, RECORDS[:-1])
    changed = workspace.warehouse.source_fingerprint(plan)
    assert changed != fingerprint
    assert workspace.ingest(spec).version.metadata["source_fingerprint"] == changed


@covers("source_fingerprint")
def test_a_source_that_is_not_there_has_no_fingerprint(workspace: Workspace, spec: ModelSpec) -> None:
    gone = workspace.sequence_model(source={"location": "nowhere.csv"})
    with pytest.raises(SourceError, match=r"nowhere\.csv"):
        workspace.warehouse.source_fingerprint(workspace.ingest_plan(gone))


@covers("vocabulary")
def test_the_vocabulary_is_the_one_that_a_version_names(workspace: Workspace) -> None:
    encoded = workspace.sequence_model(sequence_lengths=[4], features={"item": {"encode": "vocabulary"}})
    write_source(workspace, [{"pupil": 1, "time": time, "item": 7} for time in range(3)])
    first, first_cell = workspace.ingest(encoded).version, workspace.sequence(encoded).version
    write_source(workspace, [{"pupil": 1, "time": time, "item": 8} for time in range(2)])
    second, second_cell = workspace.ingest(encoded).version, workspace.sequence(encoded).version
    before = [{"feature": "item", "value": "7", "id": 2, "count": 3}]
    after = [{**before[0], "count": 0}, {"feature": "item", "value": "8", "id": 3, "count": 2}]
    for version, expected in ((first, before), (first_cell, before), (second, after), (second_cell, after)):
        found = workspace.warehouse.vocabulary(version)
        assert found is not None
        assert found.to_pylist() == expected


@covers("vocabulary")
def test_without_an_encoded_feature_there_is_no_vocabulary(workspace: Workspace, spec: ModelSpec) -> None:
    assert workspace.warehouse.vocabulary(workspace.ingest(spec).version) is None
    assert workspace.warehouse.vocabulary(workspace.sequence(spec).version) is None


@covers("histories")
def test_no_observations_have_no_histories(workspace: Workspace) -> None:
    write_source(workspace)
    everyone = workspace.sequence_model(split={"strategy": "entity_hash", "validation_fraction": 0})
    raw = workspace.ingest(everyone).version
    assert workspace.warehouse.histories(raw, "validation").longest == 0


@covers("execute", "raw_files", "open_input")
@pytest.mark.parametrize("subset", SUBSETS)
@pytest.mark.parametrize("length", [4, 10])
def test_sequences_are_those_of_the_reference(workspace: Workspace, spec: ModelSpec, subset: Any, length: int) -> None:
    raw = workspace.ingest(spec).version
    publication = workspace.sequence(spec, subset, length)
    version = publication.version
    assert (publication.previous, publication.unchanged) == (None, False)
    assert version.dataset == Dataset.sequenced("plain", subset, length)
    assert version.raw_version == raw.id
    rows = published_rows(workspace.warehouse, raw, subset)
    expected = sequences(rows, definition(length))
    assert published_rows(workspace.warehouse, version) == expected
    assert version.rows == len(expected)
    assert version.metadata["accounting"] == accounting(rows, definition(length))
    assert version.schema == SequencePlan.of(spec, subset, length, raw.id).schema


@covers("execute")
def test_sequences_are_rebuilt_by_what_decides_them_only(workspace: Workspace, spec: ModelSpec) -> None:
    workspace.ingest(spec)
    first = workspace.sequence(spec)
    again = workspace.sequence(spec)
    assert (again.version, again.previous, again.unchanged) == (first.version, first.version, True)
    forced = workspace.sequence(spec, force=True)
    assert (forced.previous, forced.unchanged) == (first.version, False)
    left = workspace.sequence_model(split=SPLIT, sequence_lengths=[4, 10], padding={"side": "left"})
    assert not workspace.sequence(left).unchanged
    assert not workspace.sequence(spec).unchanged
    workspace.ingest(spec, force=True)
    assert not workspace.sequence(spec).unchanged
    assert len(workspace.warehouse.versions(Dataset.sequenced("plain", "train", 4))) == 5


@covers("execute")
def test_any_raw_version_can_be_sequenced(workspace: Workspace, spec: ModelSpec) -> None:
    first = workspace.ingest(spec).version
    expected = workspace.sequence(spec).version
    write_source(workspace, RECORDS[:10])
    workspace.ingest(spec)
    assert workspace.sequence(spec).version.rows < expected.rows
    again = workspace.warehouse.execute(SequencePlan.of(spec, "train", 4, first.id)).version
    assert again.raw_version == first.id
    assert published_rows(workspace.warehouse, again) == published_rows(workspace.warehouse, expected)


@covers("at_rest")
def test_versions_are_looked_up_once_while_at_rest(workspace: Workspace, spec: ModelSpec) -> None:
    write_source(workspace, RECORDS)
    first, warehouse = workspace.ingest(spec).version, workspace.warehouse
    with warehouse.at_rest():
        assert warehouse.versions(first.dataset) == [first]
        second = workspace.ingest(spec, force=True).version
        assert warehouse.versions(first.dataset) == [first]
    assert warehouse.versions(first.dataset) == [second, first]


@covers("execute")
def test_sequences_of_a_raw_version_that_is_not_there_are_refused(workspace: Workspace, spec: ModelSpec) -> None:
    plan = SequencePlan.of(spec, "train", 4, 7)
    with pytest.raises(NotPublishedError, match="plain_raw_observations has no published version; materialize it first"):
        workspace.warehouse.execute(plan)
    raw = workspace.ingest(spec).version
    with pytest.raises(NotPublishedError, match=f"plain_raw_observations has no version 7; its newest are {raw.id}"):
        workspace.warehouse.execute(plan)
    assert workspace.warehouse.versions(plan.dataset) == []


@covers("execute")
def test_progress_is_told(workspace: Workspace, spec: ModelSpec) -> None:
    told: list[tuple[str, int]] = []

    def progress(stage: str, rows: int) -> None:
        told.append((stage, rows))

    workspace.ingest(spec, progress=progress)
    assert max(rows for _, rows in told) == len(RECORDS)
    told.clear()
    version = workspace.sequence(spec, progress=progress).version
    assert told[-1][1] == version.rows


# Looking


@covers("inspect")
def test_the_blocking_conditions_hold_on_what_is_published(workspace: Workspace, spec: ModelSpec) -> None:
    raw = workspace.warehouse.inspect(workspace.ingest(spec).version)
    assert [(finding.check, finding.problems) for finding in raw] == [
        ("contract", ()),
        ("nothing_lost", ()),
        ("no_leakage", ()),
        ("well_formed", ()),
    ]
    sequenced = workspace.warehouse.inspect(workspace.sequence(spec).version)
    assert [(finding.check, finding.problems) for finding in sequenced] == [
        ("nothing_lost", ()),
        ("no_leakage", ()),
        ("well_formed", ()),
    ]


@covers("inspect")
def test_old_versions_can_be_inspected_after_model_and_source_have_changed(workspace: Workspace, spec: ModelSpec) -> None:
    raw, sequenced = workspace.ingest(spec).version, workspace.sequence(spec).version
    write_source(workspace, RECORDS[:10])
    changed = workspace.sequence_model(order_by=[], window={"mode": "prefix"})
    workspace.ingest(changed)
    workspace.sequence(changed)
    for version in (raw, sequenced):
        assert all(finding.passed for finding in workspace.warehouse.inspect(version))


@covers("datasets")
def test_datasets_are_those_that_are_published_by_name(workspace: Workspace, spec: ModelSpec) -> None:
    assert workspace.warehouse.datasets() == []
    workspace.ingest(spec)
    workspace.sequence(spec, "validation", 10)
    workspace.sequence(spec, "validation", 4)
    assert [dataset.table for dataset in workspace.warehouse.datasets()] == [
        "plain_raw_observations",
        "plain_rejected_observations",
        "plain_sequenced_validation_10",
        "plain_sequenced_validation_4",
    ]


@covers("versions")
def test_a_dataset_that_was_never_published_has_no_versions(warehouse: Warehouse) -> None:
    assert warehouse.versions(Dataset.raw("nobody")) == []


@covers("versions")
def test_versions_are_newest_first_and_each_keeps_its_own_columns(workspace: Workspace, spec: ModelSpec) -> None:
    versions = [workspace.ingest(spec).version]
    for type_ in ("int32", "string", "int64"):
        columns = {"pupil": {"type": "int64"}, "time": {"type": type_}, "item": {"type": "int32"}}
        versions.append(workspace.ingest(workspace.model(split=SPLIT, columns=columns)).version)
    found = workspace.warehouse.versions(Dataset.raw("plain"))
    assert found == versions[::-1]
    assert [found_.schema.stored().field("time").type for found_ in found] == [pa.int64(), pa.string(), pa.int32(), pa.int64()]
    times = [{type(row["time"]) for row in published_rows(workspace.warehouse, version)} for version in versions]
    assert times == [{int}, {int}, {str}, {int}]
    assert [version.committed_at for version in found] == sorted((v.committed_at for v in found), reverse=True)


@covers("find")
def test_a_version_is_found_by_its_id_and_the_newest_without_one(workspace: Workspace, spec: ModelSpec) -> None:
    first, second = workspace.ingest(spec).version, workspace.ingest(spec, force=True).version
    dataset = Dataset.raw("plain")
    assert workspace.warehouse.find(dataset) == second
    assert workspace.warehouse.find(dataset, first.id) == first


@covers("find")
def test_what_is_not_there_is_not_found_and_the_message_says_what_is(workspace: Workspace, spec: ModelSpec) -> None:
    dataset = Dataset.raw("plain")
    with pytest.raises(NotPublishedError, match="plain_raw_observations has no published version; materialize it first"):
        workspace.warehouse.find(dataset)
    with pytest.raises(NotPublishedError, match="plain_raw_observations has no published version"):
        workspace.warehouse.find(dataset, 7)
    versions: list[Version] = [workspace.ingest(spec, force=True).version for _ in range(2)]
    newest = ", ".join(str(version.id) for version in reversed(versions))
    with pytest.raises(NotPublishedError, match=f"plain_raw_observations has no version 7; its newest are {newest}"):
        workspace.warehouse.find(dataset, 7)


@covers("page", "keep_page")
def test_a_text_that_is_kept_with_a_version_is_its_own_until_another_replaces_it(workspace: Workspace, spec: ModelSpec) -> None:
    raw, first = workspace.ingest(spec).version, workspace.sequence(spec).version
    second = workspace.sequence(spec, force=True).version
    assert [workspace.warehouse.page(version) for version in (raw, first, second)] == [None] * 3
    for text in ('{"flow": "Übersicht | 漢字"}', "", "x" * 1_000_000):
        workspace.warehouse.keep_page(first, text)
        assert [workspace.warehouse.page(version) for version in (raw, first, second)] == [None, text, None]


@covers("keep_page")
def test_a_text_that_is_kept_is_none_of_the_tables_files(workspace: Workspace, spec: ModelSpec) -> None:
    raw, sequenced = workspace.ingest(spec).version, workspace.sequence(spec).version
    rows = [published_rows(workspace.warehouse, version) for version in (raw, sequenced)]
    for version in (raw, sequenced):
        workspace.warehouse.keep_page(version, "{}")
    assert workspace.warehouse.find(raw.dataset) == raw
    assert all(finding.passed for version in (raw, sequenced) for finding in workspace.warehouse.inspect(version))
    assert [published_rows(workspace.warehouse, version) for version in (raw, sequenced)] == rows
    assert workspace.sequence(spec, force=True).version.rows == sequenced.rows


@covers("keep_page")
def test_runs_that_keep_a_text_at_once_leave_one_of_them_whole(workspace: Workspace, spec: ModelSpec) -> None:
    version = workspace.ingest(spec).version
    texts = [str(number) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(len(texts)) as pool:
        for _ in pool.map(lambda text: workspace.warehouse.keep_page(version, text), texts):
            assert workspace.warehouse.page(version) in texts
    assert workspace.warehouse.page(version) in texts


@covers("repair")
def test_a_table_that_its_catalog_has_lost_is_refused_and_can_be_mended(workspace: Workspace, spec: ModelSpec) -> None:
    versions = [workspace.ingest(spec, force=True).version for _ in range(2)][::-1]
    warehouse = workspace.warehouse
    assert warehouse.repair() == Repair()
    catalog_of(warehouse).drop_table(identifier(warehouse, versions[0]))
    asked: list[Callable[[], object]] = [
        lambda: warehouse.versions(versions[0].dataset),
        warehouse.datasets,
        lambda: workspace.ingest(spec, force=True),
    ]
    for ask in asked:
        with pytest.raises(DamagedError, match=r"plain_raw_observations.*Run `seq-assets repair`"):
            ask()
    (mended,) = warehouse.repair().tables
    assert (mended.dataset, mended.is_repaired) == (versions[0].dataset, True)
    assert mended.versions == tuple(version.id for version in versions)
    assert warehouse.versions(versions[0].dataset) == versions
    assert warehouse.repair() == Repair()
    assert workspace.ingest(spec).unchanged


@covers("repair")
def test_a_table_whose_metadata_is_gone_shows_the_version_before_and_can_be_mended(
    workspace: Workspace, spec: ModelSpec
) -> None:
    older, newest = (workspace.ingest(spec, force=True).version for _ in range(2))
    warehouse = workspace.warehouse
    table = catalog_of(warehouse).load_table(identifier(warehouse, newest))
    table.io.delete(table.metadata_location)
    with pytest.warns(DamagedWarning, match=r"plain_raw_observations: .* which is missing; 00001-.* is read in its place"):
        assert warehouse.versions(newest.dataset) == [older]
    with pytest.raises(DamagedError, match=r"plain_raw_observations: .* which is missing. Run `seq-assets repair`"):
        workspace.ingest(spec, force=True)
    assert [mended.versions for mended in warehouse.repair().tables] == [(older.id,)]
    again = workspace.ingest(spec, force=True).version
    assert warehouse.versions(newest.dataset) == [again, older]


def catalog_of(warehouse: Warehouse) -> Any:
    """The Iceberg catalog, as other programs have it."""
    assert isinstance(warehouse, PublishingWarehouse)
    return warehouse.tables._catalog


def identifier(warehouse: Warehouse, version: Version) -> tuple[str, str]:
    """What the catalog calls a version's table."""
    assert isinstance(warehouse, PublishingWarehouse)
    return warehouse.tables._database, version.dataset.table


@covers("register")
def test_duckdb_reads_the_files_of_a_version(workspace: Workspace, spec: ModelSpec) -> None:
    raw = workspace.ingest(spec).version
    with duckdb.connect() as connection:
        workspace.warehouse.register(connection)
        counted = connection.execute(f"SELECT count(*), sum(item) FROM {parquet(raw.files)}").fetchone()
    rows = published_rows(workspace.warehouse, raw)
    assert counted == (len(rows), sum(row["item"] for row in rows))


@covers("execute")
def test_models_do_not_touch_each_other(workspace: Workspace, spec: ModelSpec) -> None:
    other = workspace.sequence_model(name="plain_sequenced_train_4", split=SPLIT, sequence_lengths=[4])
    publications: list[Publication] = [
        workspace.ingest(spec),
        workspace.ingest(other),
        workspace.sequence(spec),
        workspace.sequence(other),
    ]
    assert [publication.previous for publication in publications] == [None] * 4
    assert len({publication.version.dataset for publication in publications}) == 4
    assert all(len(workspace.warehouse.versions(dataset)) == 1 for dataset in workspace.warehouse.datasets())


# Files that somebody has removed


@covers("lost_files", "lost_with", "require_whole", "reading", "stands")
@pytest.mark.parametrize("part", ["rows", pytest.param("manifest", marks=pytest.mark.slow), "list of manifests"])
def test_a_version_whose_files_are_gone_is_named_and_built_anew(workspace: Workspace, spec: ModelSpec, part: str) -> None:
    raw = workspace.ingest(spec).version
    sequenced = workspace.sequence(spec).version
    warehouse = workspace.warehouse
    assert [warehouse.lost_files(version) for version in (raw, sequenced)] == [[], []]
    [gone, *_] = [file for file in sequenced.parts if part_of(file) == part]
    remove_file(gone)
    assert warehouse.lost_files(sequenced) == [f"{gone!r} is not there"]
    sentence = rf"^{sequenced.dataset.table}, version {sequenced.id}, cannot be read: '.*{re.escape(gone[-20:])}' is not there"
    with pytest.raises(LostFilesError, match=sentence):
        warehouse.require_whole(sequenced)
    with pytest.raises(LostFilesError, match=sentence), warehouse.reading(sequenced):
        raise ValueError("whatever the engine says")
    with pytest.raises(ValueError, match="something else"), warehouse.reading(raw):
        raise ValueError("something else")
    plan = SequencePlan.of(spec, "train", spec.lengths[0], raw.id)
    assert (warehouse.stands(plan), warehouse.stands(workspace.ingest_plan(spec))) == (False, True)
    again = warehouse.execute(plan)
    assert not again.unchanged
    assert again.version.metadata["rebuilt_because"] == f"of version {sequenced.id}, {gone!r} is not there"
    assert warehouse.lost_files(again.version) == []
    assert len(published_rows(warehouse, again.version)) == again.version.rows == sequenced.rows
    assert workspace.sequence(spec).unchanged


def part_of(file: str) -> str:
    """What a file is to its version."""
    if "/metadata/" not in file:
        return "rows"
    return "list of manifests" if file.rpartition("/")[2].startswith("snap-") else "manifest"


@covers("inspect")
def test_a_file_that_is_overwritten_is_named_by_what_reads_it(workspace: Workspace, spec: ModelSpec) -> None:
    workspace.ingest(spec)
    sequenced = workspace.sequence(spec).version
    [file] = sequenced.files
    overwrite(workspace.warehouse, file)
    assert workspace.warehouse.lost_files(sequenced) == []
    sentence = rf"{re.escape(file[-20:])}' has its size and another content \(.*\)\. .*materialize plain --force"
    with pytest.raises(LostFilesError, match=sentence), workspace.warehouse.reading(sequenced, file):
        raise ValueError("whatever the engine says")
    with pytest.raises(SeqAssetsError, match=re.escape(file[-20:])):
        workspace.warehouse.inspect(sequenced)
    assert not workspace.sequence(spec, force=True).unchanged


def test_a_file_that_is_cut_short_is_as_good_as_gone(workspace: Workspace, spec: ModelSpec) -> None:
    raw = workspace.ingest(spec).version
    with workspace.warehouse.open_input(raw.files[0]) as opened:
        content = opened.read()
    remove_file(raw.files[0])
    write_file(raw.files[0], content[:-5])
    lost = f"{raw.files[0]!r} has {len(content) - 5:,} bytes in place of {len(content):,}"
    assert workspace.warehouse.lost_files(raw) == [lost]
    again = workspace.ingest(spec)
    assert (again.unchanged, again.version.metadata["rebuilt_because"]) == (False, f"of version {raw.id}, {lost}")


@pytest.mark.slow
def test_raw_observations_stand_only_with_what_was_rejected(workspace: Workspace, spec: ModelSpec) -> None:
    raw = workspace.ingest(spec).version
    rejected = workspace.warehouse.find(Dataset.rejected("plain"), raw.metadata["rejected_version"])
    # Where nothing was rejected, a version need not have a manifest, but it has a list of them.
    gone = next(file for file in sorted(rejected.parts, reverse=True) if file.endswith(".avro"))
    remove_file(gone)
    assert workspace.warehouse.lost_files(raw) == []
    assert workspace.warehouse.lost_with(raw) == [f"{gone!r} is not there"]
    assert not workspace.warehouse.stands(workspace.ingest_plan(spec))
    again = workspace.ingest(spec)
    assert again.version.metadata["rebuilt_because"] == f"of version {raw.id}, {gone!r} is not there"
    assert workspace.ingest(spec).unchanged


def test_sequences_of_raw_observations_that_are_gone_are_refused_with_the_remedy(workspace: Workspace, spec: ModelSpec) -> None:
    old = workspace.ingest(spec).version
    raw = workspace.ingest(spec, force=True).version
    remove_file(raw.files[0])
    with pytest.raises(LostFilesError, match=rf"load another version \({old.id}\), or run seq-assets materialize plain"):
        workspace.sequence(spec)


@covers("tag", "untag", "find")
def test_a_version_with_a_name_is_found_by_it_and_kept_with_all_that_it_needs(workspace: Workspace, spec: ModelSpec) -> None:
    warehouse, in_a_week = workspace.warehouse, datetime.now(UTC) + timedelta(days=7)
    for _ in range(2):
        workspace.ingest(spec, force=True)
        workspace.sequence(spec, force=True)
    new, old = warehouse.versions(Dataset.sequenced("plain", "train", 4))
    warehouse.tag([old], "production")
    warehouse.tag([old], "production")
    assert warehouse.find(old.dataset, "production").tags == ("production",)
    assert warehouse.find(old.dataset, str(old.id)) == old
    with pytest.raises(ConflictError, match=rf"version {old.id} has the name 'production' already; .* --force"):
        warehouse.tag([new], "production")
    with pytest.raises(NotPublishedError, match="no version named 'staging'; its names are: production"):
        warehouse.find(old.dataset, "staging")
    for wrong in ("main", "1", "a b", ""):
        with pytest.raises(InputError, match="cannot be a version's name"):
            warehouse.tag([new], wrong)
    assert warehouse.collect_garbage(Retention(keep_of_others=1, now=in_a_week)).expired == ()
    warehouse.require_whole(warehouse.find(Dataset.raw("plain"), old.raw_version))
    warehouse.tag([new], "production", move=True)
    assert warehouse.find(old.dataset, "production") == new
    assert old.id in {one.id for one in warehouse.collect_garbage(Retention(keep_of_others=1, now=in_a_week)).expired}
    assert (warehouse.untag(old.dataset, "production"), warehouse.untag(old.dataset, "production")) == (True, False)
    with pytest.raises(NotPublishedError, match="is there no more"):
        warehouse.tag([old], "late")


@covers("collect_garbage", "expired")
def test_versions_that_nobody_keeps_go_and_are_remembered(workspace: Workspace, spec: ModelSpec) -> None:
    old = workspace.ingest(spec).version
    new = workspace.ingest(spec, force=True).version
    in_a_week = Retention(keep_of_others=1, now=datetime.now(UTC) + timedelta(days=7))
    assert workspace.warehouse.expired(old.dataset) == []
    assert old.id in {version.id for version in workspace.warehouse.collect_garbage(in_a_week).expired}
    assert workspace.warehouse.versions(old.dataset) == [new]
    assert [version.id for version in workspace.warehouse.expired(old.dataset)] == [old.id]


def test_every_method_of_the_interface_is_covered() -> None:
    concrete = {name for name, value in vars(Warehouse).items() if callable(value) and not name.startswith("_")}
    assert Warehouse.__abstractmethods__ <= _covered
    assert concrete <= _covered
