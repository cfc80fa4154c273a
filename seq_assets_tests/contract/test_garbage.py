"""What `gc` removes and what it leaves, in every warehouse: versions, the files of tables, and what killed runs have left."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from seq_assets.errors import ConflictError, DamagedError, NotPublishedError
from seq_assets.models import ModelSpec
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.interface import Garbage, Version
from seq_assets.warehouse.publishing import PublishingWarehouse
from seq_assets.warehouse.retention import Retention
from seq_assets.warehouse.storage import expiry
from seq_assets.warehouse.storage.leases import lease
from seq_assets.warehouse.storage.storage import Storage
from seq_assets_tests.warehouse.building import Workspace, let_time_pass, published_rows, write_file

NOTHING = timedelta(0)
RESULTS = "results of queries"
RAW, TRAIN = Dataset.raw("plain"), Dataset.sequenced("plain", "train", 4)
TABLES = [RAW, Dataset.rejected("plain"), Dataset.vocabulary("plain"), TRAIN]


def publishing(workspace: Workspace) -> PublishingWarehouse:
    assert isinstance(workspace.warehouse, PublishingWarehouse)
    return workspace.warehouse


def storage_of(workspace: Workspace) -> Storage:
    return publishing(workspace).storage


def collect(
    workspace: Workspace, keep: int | None = None, older_than: timedelta = NOTHING, *, dry_run: bool = False
) -> Garbage:
    let_time_pass(storage_of(workspace))
    retention = Retention(keep_of_others=keep, older_than=older_than, clocks_differ_by=NOTHING)
    found = workspace.warehouse.collect_garbage(retention, dry_run=dry_run)
    # Of queries, each building leaves other ones.
    return replace(found, removed=tuple(one for one in found.removed if one.kind != RESULTS))


@pytest.fixture
def spec(workspace: Workspace) -> ModelSpec:
    """A model with a vocabulary."""
    return workspace.sequence_model(features={"item": {"encode": "vocabulary"}})


@pytest.fixture
def raw_spec(workspace: Workspace) -> ModelSpec:
    """A model without sequences."""
    return workspace.model()


def publish(workspace: Workspace, spec: ModelSpec, number: int) -> None:
    """Publishes a version of every table, each with a value more than the one before."""
    items = "".join(f"{item % 3},{item},{item}\n" for item in range(number + 4))
    workspace.write("source.csv", f"pupil,time,item\n{items}")
    workspace.ingest(spec)
    if spec.features:
        workspace.sequence(spec)


def versions(workspace: Workspace) -> dict[Dataset, list[Version]]:
    return {dataset: workspace.warehouse.versions(dataset) for dataset in TABLES}


def files(workspace: Workspace) -> list[str]:
    return [file for file in storage_of(workspace).files(storage_of(workspace).root) if "/query_results/" not in file]


def test_the_newest_versions_stay_with_all_that_they_need(workspace: Workspace, spec: ModelSpec) -> None:
    for number in range(3):
        publish(workspace, spec, number)
    before = versions(workspace)
    rows = [published_rows(workspace.warehouse, version) for version in before[TRAIN][:1]]
    garbage = collect(workspace, keep=1)
    after = versions(workspace)
    kept = {RAW: 1, Dataset.rejected("plain"): 1, Dataset.vocabulary("plain"): 2, TRAIN: 1}
    assert after == {dataset: before[dataset][:number] for dataset, number in kept.items()}
    assert {version.id for version in garbage.expired} == {
        version.id for dataset in TABLES for version in before[dataset][kept[dataset] :]
    }
    assert [published_rows(workspace.warehouse, version) for version in after[TRAIN]] == rows
    for version in (*after[RAW], *after[TRAIN]):
        assert workspace.warehouse.lost_with(version) == []
        assert all(finding.passed for finding in workspace.warehouse.inspect(version))
    gone = {file for dataset in TABLES for version in before[dataset][kept[dataset] :] for file in version.parts}
    assert gone & set(files(workspace)) == set()
    assert {one.kind for one in garbage.removed} >= {"files of rows", "files of Iceberg"}
    publish(workspace, spec, 9)
    assert len(workspace.warehouse.versions(TRAIN)) == 2


@pytest.mark.slow
def test_a_dry_run_says_the_same_and_removes_nothing_and_the_second_time_there_is_nothing(
    workspace: Workspace, spec: ModelSpec
) -> None:
    for number in range(2):
        publish(workspace, spec, number)
    write_file(f"{storage_of(workspace).root}/plain_raw_observations/data/x", b"abc")
    before = files(workspace)
    said = collect(workspace, keep=1, dry_run=True)
    assert files(workspace) == before
    done = collect(workspace, keep=1)
    assert (done.expired, done.removed, done.spared) == (said.expired, said.removed, ())
    assert done.bytes > 0
    assert collect(workspace, keep=1) == Garbage()


@pytest.mark.slow
def test_without_a_number_every_version_stays(workspace: Workspace, raw_spec: ModelSpec) -> None:
    for number in range(2):
        publish(workspace, raw_spec, number)
    before = versions(workspace)
    assert collect(workspace) == Garbage()
    assert versions(workspace) == before


def test_what_was_replaced_or_written_less_long_ago_stays(workspace: Workspace, raw_spec: ModelSpec) -> None:
    for number in range(2):
        publish(workspace, raw_spec, number)
    write_file(f"{storage_of(workspace).root}/plain_raw_observations/data/x", b"abc")
    assert collect(workspace, keep=1, older_than=timedelta(hours=1)) == Garbage()
    assert len(workspace.warehouse.versions(RAW)) == 2


def test_what_a_killed_run_has_left_is_found_by_its_place(workspace: Workspace, spec: ModelSpec) -> None:
    publish(workspace, spec, 0)
    run, storage = uuid.uuid4().hex, storage_of(workspace)
    left = {
        f"plain_raw_observations/data/{run}/train.parquet": "files of rows",
        "plain_raw_observations/metadata/snap-1-0-x.avro": "files of Iceberg",
        "plain_raw_observations/metadata/00002-x.metadata.json": "files of Iceberg",
        "plain_sequenced_train_4/pages/123.json": "pages",
        f"plain_sequenced_train_4/pages/{workspace.warehouse.find(TRAIN).id}.json.{run}": "pages",
        f"other_raw_observations/data/{run}/train.parquet": "files of rows",
        f"other_raw_observations/metadata/00000-{run}.metadata.json": "files of Iceberg",
        f"scratch/{run}/stage/x": "scratch files",
    }
    before = files(workspace)
    for name in left:
        storage.replace(f"{storage.root}/{name}", b"1234567")
    workspace.warehouse.keep_page(workspace.warehouse.find(TRAIN), "a page")
    garbage = collect(workspace, keep=1)
    assert {one.kind for one in garbage.removed} == set(left.values())
    assert sum(one.number for one in garbage.removed) == len(left)
    assert garbage.bytes == 7 * len(left)
    assert [file for file in files(workspace) if file not in before] == [
        f"{storage.root}/plain_sequenced_train_4/pages/{workspace.warehouse.find(TRAIN).id}.json"
    ]
    assert run not in storage.folders(f"{storage.root}/plain_raw_observations/data")


def test_results_of_queries_go(workspace: Workspace) -> None:
    storage = storage_of(workspace)
    location = f"{storage.root}/query_results/x.csv"
    storage.replace(location, b"1234567")
    let_time_pass(storage_of(workspace))
    garbage = workspace.warehouse.collect_garbage(Retention(older_than=NOTHING))
    assert [(one.kind, one.number, one.bytes) for one in garbage.removed] == [(RESULTS, 1, 7)]
    assert storage.files(storage.root) == []


def test_what_is_written_under_a_lease_and_what_was_the_newest_then_stays(workspace: Workspace, raw_spec: ModelSpec) -> None:
    publish(workspace, raw_spec, 0)
    storage = storage_of(workspace)
    let_time_pass(storage_of(workspace))
    with lease(storage):
        let_time_pass(storage_of(workspace))
        location = f"{storage.root}/plain_raw_observations/data/{uuid.uuid4().hex}/train.parquet"
        storage.replace(location, b"not published yet")
        publish(workspace, raw_spec, 1)
        assert collect(workspace, keep=1) == Garbage()
    garbage = collect(workspace, keep=1)
    assert {version.dataset for version in garbage.expired} == {RAW, Dataset.rejected("plain")}
    assert location not in files(workspace)


@pytest.mark.slow
def test_a_lease_that_nobody_holds_any_more_goes_after_a_week(workspace: Workspace, raw_spec: ModelSpec) -> None:
    publish(workspace, raw_spec, 0)
    storage = storage_of(workspace)
    location = f"{storage.root}/leases/elsewhere-00000000_1_2_3_4.{uuid.uuid4().hex}"
    storage.replace(location, b"")
    assert collect(workspace, keep=1) == Garbage()
    in_a_week = Retention(older_than=NOTHING, now=datetime.now(UTC) + timedelta(days=7, minutes=1))
    assert "leases" in [one.kind for one in workspace.warehouse.collect_garbage(in_a_week).removed]
    assert location not in files(workspace)


@pytest.mark.slow
def test_an_expired_version_is_told_from_one_that_never_was(workspace: Workspace, raw_spec: ModelSpec) -> None:
    for number in range(2):
        publish(workspace, raw_spec, number)
    new, old = workspace.warehouse.versions(RAW)
    collect(workspace, keep=1)
    (expired,) = workspace.warehouse.expired(RAW)
    assert (expired.id, expired.by) == (old.id, "gc")
    assert expired.committed_at == old.committed_at
    with pytest.raises(NotPublishedError, match=rf"{old.id} .*was removed by gc on {expired.expired_at:%Y-%m-%d}.*{new.id}"):
        workspace.warehouse.find(RAW, old.id)
    with pytest.raises(NotPublishedError, match="has no version 1;"):
        workspace.warehouse.find(RAW, 1)


@pytest.mark.slow
def test_what_a_newer_program_has_published_is_refused_before_anything_is_removed(
    workspace: Workspace, raw_spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        publish(workspace, raw_spec, number)
    before = files(workspace)
    monkeypatch.setattr(expiry, "installed_version", lambda _: "0.0.0")
    with pytest.raises(ConflictError, match=r"plain_.* was published by seq-assets .*, and this is 0\.0\.0"):
        collect(workspace, keep=1)
    assert files(workspace) == before


@pytest.mark.slow
def test_the_tables_of_a_model_of_which_one_is_damaged_are_left_alone(workspace: Workspace, raw_spec: ModelSpec) -> None:
    for number in range(2):
        publish(workspace, raw_spec, number)
    table = publishing(workspace).tables.to_change(RAW)
    assert table is not None
    name = table.metadata_location.rsplit("/", maxsplit=1)[-1]
    write_file(f"{storage_of(workspace).root}/plain_raw_observations/metadata/{name}", b"broken")
    before = files(workspace)
    (said,) = collect(workspace, keep=1).spared
    assert said.startswith("The tables of plain were left alone.")
    assert "seq-assets repair" in said
    assert files(workspace) == before
    with pytest.raises(DamagedError):
        workspace.ingest(raw_spec)


@pytest.mark.slow
def test_a_catalog_that_has_gone_back_in_time_keeps_what_it_does_not_know(workspace: Workspace, raw_spec: ModelSpec) -> None:
    publish(workspace, raw_spec, 0)
    storage = storage_of(workspace)
    storage.replace(f"{storage.root}/plain_raw_observations/metadata/00009-x.metadata.json", b"{}")
    (said,) = collect(workspace, keep=1).spared
    assert "as if the catalog came from an older backup" in said
