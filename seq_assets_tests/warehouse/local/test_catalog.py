"""A home whose `catalog.db` is lost or broken is never taken for a new one, and is mended with its ids and its history."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.exceptions import NoSuchTableError

from seq_assets.errors import DamagedError
from seq_assets.models import ModelSpec
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.interface import Version
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets.warehouse.storage.iceberg_tables import Tables
from seq_assets_tests.warehouse import processes
from seq_assets_tests.warehouse.building import PLAIN_COLUMNS, Workspace, read_rows
from seq_assets_tests.warehouse.damaging import DAMAGES, content

RAW, VOCABULARY = Dataset.raw("plain"), Dataset.vocabulary("plain")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home of two versions of each table of a model with a vocabulary."""
    folder = tmp_path_factory.mktemp("prepared")
    workspace = Workspace(folder, LocalWarehouse(folder / "home"))
    for items in ("zy", "zyx"):
        spec = model(workspace, items)
        workspace.ingest(spec)
        workspace.sequence(spec)
    return folder / "home"


@pytest.fixture
def home(prepared: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(prepared, tmp_path / "home"))


@pytest.fixture
def workspace(home: Path, tmp_path: Path) -> Workspace:
    return Workspace(tmp_path, LocalWarehouse(home))


def model(workspace: Workspace, items: str, **fields: Any) -> ModelSpec:
    """The model, whose source has these items."""
    workspace.write("source.csv", "pupil,time,item\n" + "".join(f"1,{time},{item}\n" for time, item in enumerate(items)))
    columns = {**PLAIN_COLUMNS, "item": {"type": "string"}}
    return workspace.sequence_model(columns=columns, features={"item": {"encode": "vocabulary"}}, **fields)


def everything(home: Path) -> dict[Dataset, list[Version]]:
    warehouse = LocalWarehouse(home)
    return {dataset: warehouse.versions(dataset) for dataset in warehouse.datasets()}


def ids(warehouse: LocalWarehouse) -> dict[str, int]:
    return {row["value"]: row["id"] for row in read_rows(warehouse.find(VOCABULARY))}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_without_its_catalog_a_home_is_refused_and_mended_as_it_was(
    workspace: Workspace, home: Path, damage: Callable[[Path], None]
) -> None:
    before = everything(home)
    file = home / "catalog.db"
    damage(file)
    there = content(home)

    new = model(workspace, "wzyx")
    asked: list[Callable[[], object]] = [
        lambda: LocalWarehouse(home).versions(RAW),
        lambda: LocalWarehouse(home).versions(Dataset.raw("nobody")),
        lambda: LocalWarehouse(home).datasets(),
        lambda: workspace.ingest(new),
    ]
    for ask in asked:
        with pytest.raises(
            DamagedError, match=r"catalog\.db is .*; it is the catalog of the tables below .*`seq-assets repair`"
        ):
            ask()
    assert content(home) == there

    repaired = LocalWarehouse(home).repair()
    assert repaired.catalog is not None
    assert "catalog.db is " in repaired.catalog
    assert {table.dataset for table in repaired.tables} == set(before)
    assert all(table.is_repaired and table.given_up == () for table in repaired.tables)
    assert repaired.missing == ()
    assert everything(home) == before
    kept = [path for path in home.iterdir() if path.name.startswith("catalog.db.damaged")]
    assert [path.read_bytes() for path in kept if path.is_file()] == [there[name] for name in there if name == "catalog.db"]

    there = content(home)
    again = LocalWarehouse(home).repair()
    assert (again.catalog, again.tables, again.missing) == (None, (), ())
    assert content(home) == there


def test_after_a_repair_values_keep_their_ids(workspace: Workspace, home: Path) -> None:
    newest, known = LocalWarehouse(home).find(RAW), ids(LocalWarehouse(home))
    (home / "catalog.db").unlink()
    LocalWarehouse(home).repair()
    assert workspace.ingest(model(workspace, "wzyx")).previous == newest
    assert ids(LocalWarehouse(home)) == {**known, "w": max(known.values()) + 1}


def test_a_catalog_that_lists_no_table_is_that_of_no_new_home(workspace: Workspace, home: Path) -> None:
    before = everything(home)
    with closing(sqlite3.connect(home / "catalog.db")) as connection, connection:
        connection.execute("DELETE FROM iceberg_tables")
    with pytest.raises(DamagedError, match="does not list plain_raw_observations, plain_rejected_observations, plain_seq"):
        LocalWarehouse(home).datasets()
    with pytest.raises(DamagedError, match=r"the catalog does not list it, though .* holds versions .*dropped on purpose"):
        LocalWarehouse(home).versions(RAW)
    with pytest.raises(DamagedError, match="the catalog does not list plain_raw_observations"):
        workspace.ingest(model(workspace, "a", name="other"))
    LocalWarehouse(home).repair()
    assert everything(home) == before


def test_a_table_that_the_catalog_has_lost_refuses_readers_and_writers_and_no_others(workspace: Workspace, home: Path) -> None:
    catalog: Any = LocalWarehouse(home).tables._catalog
    catalog.drop_table(("seq_assets_local", VOCABULARY.table))
    with pytest.raises(DamagedError, match="plain_vocabulary: the catalog does not list it"):
        workspace.ingest(model(workspace, "wzyx"))
    assert len(workspace.warehouse.versions(RAW)) == 2
    workspace.ingest(model(workspace, "a", name="other"))
    (table,) = workspace.warehouse.repair().tables
    assert (table.dataset, table.is_repaired, len(table.versions)) == (VOCABULARY, True, 2)


def test_a_home_whose_first_run_was_killed_while_it_made_a_table_is_a_new_one(tmp_path: Path) -> None:
    home = tmp_path / "home"
    workspace = Workspace(tmp_path, LocalWarehouse(home))
    metadata = home / "warehouse" / "seq_assets_local" / RAW.table / "metadata"
    metadata.mkdir(parents=True)
    (metadata / "00000-af000000-0000-4000-8000-000000000000.metadata.json").touch()
    (home / "catalog.db").touch()
    assert LocalWarehouse(home).datasets() == []
    assert LocalWarehouse(home).repair().tables == ()
    assert workspace.ingest(model(workspace, "z")).previous is None


def test_a_repair_makes_no_home(tmp_path: Path) -> None:
    assert LocalWarehouse(tmp_path / "home").repair().tables == ()
    assert not (tmp_path / "home").exists()


def test_a_table_that_gets_its_first_version_while_it_is_looked_for_is_found(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = LocalWarehouse(home)
    catalog: Any = warehouse.tables._catalog
    load, asked = catalog.load_table, []

    def not_yet(identifier: Any) -> Any:
        asked.append(identifier)
        if len(asked) == 1:
            raise NoSuchTableError
        return load(identifier)

    monkeypatch.setattr(catalog, "load_table", not_yet)
    assert len(warehouse.versions(RAW)) == 2


def test_a_moved_home_is_mended_in_its_new_place(home: Path, tmp_path: Path) -> None:
    before = {dataset: [version.id for version in versions] for dataset, versions in everything(home).items()}
    moved = Path(shutil.move(home, tmp_path / "elsewhere"))
    (moved / "catalog.db").unlink()
    LocalWarehouse(moved).repair()
    found = everything(moved)
    assert {dataset: [version.id for version in versions] for dataset, versions in found.items()} == before
    assert [len(read_rows(version)) for version in found[RAW]] == [version.rows for version in found[RAW]]


def test_what_a_broken_catalog_still_tells_beats_what_was_never_committed(workspace: Workspace, home: Path) -> None:
    """A publication that lost its race leaves metadata of the same number, which is whole, too, where it was cut off."""
    before = everything(home)
    metadata = home / "warehouse" / "seq_assets_local" / RAW.table / "metadata"
    (newest,) = metadata.glob("00002-*.metadata.json")
    lost = json.loads(newest.read_text())
    lost["snapshots"] = lost["snapshots"][:1]
    lost["current-snapshot-id"] = lost["snapshots"][0]["snapshot-id"]
    lost["refs"]["main"]["snapshot-id"] = lost["snapshots"][0]["snapshot-id"]
    for digit in "0f":
        (metadata / f"00002-{digit * 8}-0000-4000-8000-000000000000.metadata.json").write_text(json.dumps(lost))
    file = home / "catalog.db"
    with closing(sqlite3.connect(file)) as connection:
        of_namespaces = "SELECT rootpage FROM sqlite_master WHERE tbl_name = 'iceberg_namespace_properties'"
        pages = [page for (page,) in connection.execute(of_namespaces)]
        ((size,),) = connection.execute("PRAGMA page_size")
    with file.open("r+b") as opened:
        for page in pages:
            opened.seek((page - 1) * size)
            opened.write(b"x" * size)
    with pytest.raises(DamagedError):
        LocalWarehouse(home).datasets()
    assert LocalWarehouse(home).repair().catalog is not None
    assert everything(home) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("owner", "name", "number"), [(Tables, "register", 0), (Tables, "register", 2), (Path, "rename", 0), (Path, "replace", 0)]
)
def test_a_repair_that_is_stopped_at_any_point_is_done_again(
    home: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, number: int
) -> None:
    before = everything(home)
    (home / "catalog.db").write_bytes(b"garbage" * 1_000)
    work, done = getattr(owner, name), list[int]()

    def stopped(*arguments: Any) -> Any:
        if len(done) == number:
            raise KeyboardInterrupt
        done.append(1)
        return work(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, stopped)
        with pytest.raises(KeyboardInterrupt):
            LocalWarehouse(home).repair()
    with pytest.raises(DamagedError):
        LocalWarehouse(home).datasets()
    LocalWarehouse(home).repair()
    assert everything(home) == before
    assert [path.read_bytes() for path in home.glob("catalog.db.damaged-*")] == [b"garbage" * 1_000]
    assert not (home / "catalog.db.replacement").exists()


def test_what_an_old_catalog_has_left_unfinished_does_not_change_the_new_one(home: Path) -> None:
    before = everything(home)
    (home / "catalog.db").unlink()
    (home / "catalog.db-journal").write_bytes(b"of the old one")
    LocalWarehouse(home).repair()
    assert everything(home) == before
    assert [path.read_bytes() for path in home.glob("catalog.db.damaged-*-journal")] == [b"of the old one"]


@pytest.mark.slow
def test_repairs_and_publications_at_once_lose_nothing(workspace: Workspace, home: Path) -> None:
    before = everything(home)
    (home / "catalog.db").unlink()
    plan = workspace.ingest_plan(model(workspace, "wzyx"))
    barrier, errors = processes.context().Barrier(3), processes.context().Queue()
    arguments = [(home, None, barrier, errors), (home, None, barrier, errors), (home, plan, barrier, errors)]
    assert processes.run_at_once(processes.repair_or_publish_at_once, arguments, errors) == []
    found = everything(home)
    assert found[RAW][-2:] == before[RAW]
    assert found[RAW][0].rows == 4
    assert set(found) == set(before)


def test_who_has_the_catalog_open_follows_another_in_its_place(workspace: Workspace, home: Path) -> None:
    before = LocalWarehouse(home).versions(RAW)
    assert workspace.warehouse.versions(RAW) == before
    (home / "catalog.db").unlink()
    for _ in range(2):
        with pytest.raises(DamagedError, match=r"catalog\.db was removed while it was in use.*`seq-assets repair`"):
            workspace.ingest(model(workspace, "wzyx"))
    LocalWarehouse(home).repair()
    published = workspace.ingest(model(workspace, "wzyx")).version
    assert LocalWarehouse(home).versions(RAW) == [published, *before]
