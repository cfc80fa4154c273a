"""A table whose metadata is broken shows its last whole state, says so, is not published to, and can be mended."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seq_assets.errors import DamagedError, DamagedWarning, LostRaceError
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.interface import Version
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets.warehouse.storage.repair import repair_tables
from seq_assets.warehouse.storage.storage import LocalStorage
from seq_assets_tests.warehouse.damaging import DAMAGES, content
from seq_assets_tests.warehouse.storage.test_iceberg_tables import DATASET, publish

RAW, REJECTED = Dataset.raw("dkt"), Dataset.rejected("dkt")


def metadata_file(warehouse: LocalWarehouse, number: int, dataset: Dataset = DATASET) -> Path:
    """That of the table before its first version is number 0."""
    (found,) = Path(warehouse.tables.location(dataset), "metadata").glob(f"{number:05}-*.metadata.json")
    return found


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three versions of a table."""
    warehouse = LocalWarehouse(tmp_path_factory.mktemp("prepared") / "home")
    for number, name in enumerate("abc"):
        publish(warehouse.tables, name, [number])
    return warehouse.home


@pytest.fixture
def published(warehouse: LocalWarehouse, prepared: Path) -> list[Version]:
    """Three versions, newest first, in a copy of that home."""
    shutil.copytree(prepared, warehouse.home)
    return warehouse.versions(DATASET)


def lost_from_the_catalog(warehouse: LocalWarehouse, dataset: Dataset = DATASET) -> None:
    catalog: Any = warehouse.tables._catalog
    catalog.drop_table((warehouse.database, dataset.table))


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_broken_metadata_is_read_around_refused_to_writers_and_mended(
    warehouse: LocalWarehouse, published: list[Version], damage: Callable[[Path], None]
) -> None:
    broken, before = metadata_file(warehouse, 3), metadata_file(warehouse, 2)
    damage(broken)
    said = rf"dkt_sequenced_train_5: the catalog names {broken}, which is .*; {before.name}, an older one, is read .*repair`"
    with pytest.warns(DamagedWarning, match=said):
        assert warehouse.versions(DATASET) == published[1:]
    with pytest.raises(
        DamagedError, match=rf"dkt_sequenced_train_5: the catalog names {broken}, which is .*`seq-assets repair`"
    ):
        publish(warehouse.tables, "d", [3])
    with pytest.raises(DamagedError):
        warehouse.tables.versions_to_replace(DATASET)

    (repaired,) = warehouse.repair().tables
    assert (repaired.dataset, repaired.is_repaired, repaired.given_up) == (DATASET, True, ())
    assert repaired.found.startswith(f"the catalog names {broken}, which is ")
    assert repaired.versions == tuple(version.id for version in published[1:])
    assert warehouse.versions(DATASET) == published[1:]
    assert warehouse.repair().tables == ()
    fourth = publish(warehouse.tables, "d", [3])
    assert warehouse.versions(DATASET) == [fourth, *published[1:]]


def test_where_the_metadata_before_is_broken_too_the_next_older_one_is_read(
    warehouse: LocalWarehouse, published: list[Version]
) -> None:
    for number in (2, 3):
        metadata_file(warehouse, number).write_bytes(b"\x00" * 100)
    with pytest.warns(DamagedWarning, match=metadata_file(warehouse, 1).name):
        assert warehouse.versions(DATASET) == published[2:]
    (repaired,) = warehouse.repair().tables
    assert repaired.versions == (published[2].id,)
    assert [reason.split(" (")[0] for reason in repaired.given_up] == [f"{metadata_file(warehouse, 2).name}: it is broken"]


def test_a_table_without_whole_metadata_is_said_to_be_lost_and_left_as_it_is(
    warehouse: LocalWarehouse, published: list[Version]
) -> None:
    for number in (1, 2, 3):
        metadata_file(warehouse, number).unlink()
    with pytest.raises(DamagedError, match="which is missing"):
        warehouse.versions(DATASET)
    there = content(warehouse.home)
    done = warehouse.repair()
    assert [table.is_repaired for table in done.tables] == [False]
    assert len(done.missing) == 1
    assert "dkt_sequenced_train_5 could not be repaired: put back what is missing of " in done.missing[0]
    assert content(warehouse.home) == there
    # The way out that it names.
    shutil.move(warehouse.tables.location(DATASET), warehouse.home / "put_aside")
    (warehouse.home / "catalog.db").rename(warehouse.home / "old_catalog.db")
    assert LocalWarehouse(warehouse.home).repair().missing == ()
    assert len(LocalWarehouse(warehouse.home).versions(DATASET)) == 0


def test_a_table_that_was_only_just_made_is_made_anew(warehouse: LocalWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("seq_assets.warehouse.storage.iceberg_tables.replace_content", killed)
        with pytest.raises(KeyboardInterrupt):
            publish(warehouse.tables, "a", [1])
    metadata_file(warehouse, 0).write_bytes(b"")
    with pytest.raises(DamagedError):
        publish(warehouse.tables, "a", [1])
    (repaired,) = warehouse.repair().tables
    assert (repaired.is_repaired, repaired.versions) == (True, ())
    assert warehouse.versions(DATASET) == []
    version = publish(warehouse.tables, "a", [1])
    assert warehouse.versions(DATASET) == [version]


@pytest.mark.parametrize("what", ["rows", "manifest"])
def test_what_stands_again_is_the_newest_that_is_whole(warehouse: LocalWarehouse, published: list[Version], what: str) -> None:
    """The metadata alone does not tell: what it names has to be there."""
    lost_from_the_catalog(warehouse)
    for file in Path(warehouse.tables.location(DATASET), "metadata").glob(f"snap-{published[0].id}-*"):
        gone = file if what == "manifest" else Path(published[0].files[0])
        gone.unlink()
    (repaired,) = warehouse.repair().tables
    assert repaired.versions == tuple(version.id for version in published[1:])
    assert len(repaired.given_up) == 1
    assert f"its version {published[0].id} is missing" in repaired.given_up[0]


def test_the_metadata_of_another_table_or_environment_does_not_count(
    warehouse: LocalWarehouse, published: list[Version]
) -> None:
    other = Dataset.sequenced("dkt", "train", 6)
    publish(warehouse.tables, "x", [1], dataset=other)
    folder = metadata_file(warehouse, 3).parent
    theirs = folder / "00009-00000000-0000-4000-8000-000000000000.metadata.json"
    shutil.copy(metadata_file(warehouse, 1, other), theirs)
    staging = folder / "00008-00000000-0000-4000-8000-000000000000.metadata.json"
    text = metadata_file(warehouse, 3).read_text()
    staging.write_text(text.replace('"seq_assets.environment":"local"', '"seq_assets.environment":"staging"'))
    lost_from_the_catalog(warehouse)
    (repaired,) = warehouse.repair().tables
    assert repaired.versions == tuple(version.id for version in published)
    assert repaired.given_up == (
        f"{theirs.name}: it belongs to the table at {warehouse.tables.location(other)}",
        f"{staging.name}: it belongs to the environment 'staging', not to 'local'",
    )


def test_what_others_name_is_mended_first_and_what_is_missing_of_it_is_told(warehouse: LocalWarehouse) -> None:
    rejected = [publish(warehouse.tables, f"r{number}", [number], dataset=REJECTED) for number in range(2)]
    raw = [publish(warehouse.tables, f"o{one.id}", [1], dataset=RAW, rejected_version=one.id) for one in rejected]
    sequenced = publish(warehouse.tables, "s", [1], raw_version=raw[1].id)
    for dataset in (DATASET, RAW, REJECTED):
        lost_from_the_catalog(warehouse, dataset)
    done = repair_tables(warehouse.tables)
    assert [table.dataset for table in done.tables] == [REJECTED, RAW, DATASET]
    assert done.missing == ()
    for dataset in (RAW, REJECTED):
        metadata_file(warehouse, 2, dataset).unlink()
    assert repair_tables(warehouse.tables).missing == (
        f"dkt_sequenced_train_5, version {sequenced.id}, names the version {raw[1].id} of dkt_raw_observations, which is not "
        "there: materialize dkt with --force.",
    )


def test_a_repair_that_another_has_overtaken_changes_nothing(warehouse: LocalWarehouse, published: list[Version]) -> None:
    tables = warehouse.tables
    metadata_file(warehouse, 3).unlink()
    damage = tables.damage(DATASET)
    assert damage is not None
    (file, *_) = tables.older_metadata(DATASET, damage)
    warehouse.repair()
    fourth = publish(tables, "d", [3])
    with pytest.raises(LostRaceError):
        tables.register(DATASET, damage, file)
    assert warehouse.versions(DATASET) == [fourth, *published[1:]]


def test_tables_are_looked_for_once_while_at_rest(warehouse: LocalWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    assert warehouse.datasets() == []
    listed: list[str] = []

    def folders(_: Any, folder: str) -> list[str]:
        listed.append(folder)
        return []

    monkeypatch.setattr(LocalStorage, "folders", folders)
    with warehouse.at_rest():
        for model in ("a", "b", "c"):
            assert warehouse.versions(Dataset.raw(model)) == []
    assert listed == [warehouse.storage.root]
