"""Versions that are to go while somebody else changes the table: what was decided still holds, or nothing is changed."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table

from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.interface import ExpiredVersion, Version
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets.warehouse.retention import Retention
from seq_assets.warehouse.storage.expired_versions import expire, expired_in
from seq_assets_tests.warehouse.building import Workspace

RAW = Dataset.raw("plain")
NOW = datetime.now(UTC)


@pytest.fixture
def warehouse(tmp_path: Path) -> LocalWarehouse:
    """Three versions of a model."""
    found = LocalWarehouse(tmp_path / "home")
    workspace = Workspace(tmp_path, found)
    workspace.write("source.csv", "pupil,time,item\n1,1,1\n")
    for _ in range(3):
        workspace.ingest(workspace.model(), force=True)
    return found


def table_of(warehouse: LocalWarehouse) -> Table:
    table = warehouse.tables.to_change(RAW)
    assert table is not None
    return table


def gone(*versions: Version) -> list[ExpiredVersion]:
    return [ExpiredVersion(version.id, version.committed_at, NOW, "gc") for version in versions]


def test_a_tag_that_comes_in_between_keeps_its_version(warehouse: LocalWarehouse) -> None:
    before = warehouse.versions(RAW)
    table = table_of(warehouse)
    warehouse.tag([before[2]], "production")
    with pytest.raises(CommitFailedException):
        expire(table, gone(before[2]))
    assert warehouse.versions(RAW) == before
    assert warehouse.find(RAW, "production") == before[2]


@pytest.mark.slow
def test_of_two_that_remove_versions_one_decides_anew_and_both_are_remembered(warehouse: LocalWarehouse) -> None:
    newest, older, oldest = warehouse.versions(RAW)
    table = table_of(warehouse)
    expire(table_of(warehouse), gone(oldest))
    for wanted in (oldest, older):
        with pytest.raises(CommitFailedException):
            expire(table, gone(wanted))
    expire(table_of(warehouse), gone(older))
    assert warehouse.versions(RAW) == [newest]
    assert [one.id for one in expired_in(table_of(warehouse).metadata)] == [older.id, oldest.id]


@pytest.mark.slow
def test_a_publication_that_comes_in_between_is_no_hindrance(warehouse: LocalWarehouse, tmp_path: Path) -> None:
    *_, oldest = warehouse.versions(RAW)
    table = table_of(warehouse)
    workspace = Workspace(tmp_path, warehouse)
    published = workspace.ingest(workspace.model(), force=True).version
    expire(table, gone(oldest))
    assert warehouse.find(RAW).id == published.id
    assert oldest.id not in [version.id for version in warehouse.versions(RAW)]


def test_a_dry_run_leaves_what_lies_beside_the_tables(tmp_path: Path) -> None:
    warehouse = LocalWarehouse(tmp_path / "home")
    aside = tmp_path / "home" / "catalog.db.damaged-20200101T000000.000000"
    assert warehouse.datasets() == []
    aside.write_bytes(b"x")
    assert len(warehouse.collect_garbage(Retention(), dry_run=True).removed) == 1
    assert aside.exists()
    assert len(warehouse.collect_garbage(Retention()).removed) == 1
    assert not aside.exists()
