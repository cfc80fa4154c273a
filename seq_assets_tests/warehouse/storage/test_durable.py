"""What a commit makes reachable was synchronized before it: files, their names, and the folders above them."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets.warehouse.storage.durable import DurableFile, make_folder
from seq_assets.warehouse.storage.storage import LocalStorage
from seq_assets_tests.warehouse.building import PLAIN_COLUMNS, Workspace


class Synchronized:
    """What the operating system was asked to keep: files by their numbers, folders with the names that they had."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._names: dict[int, set[str]] = {}

    def note(self, descriptor: int) -> None:
        found = os.fstat(descriptor).st_ino
        self._names[found] = set(os.listdir(descriptor)) if stat.S_ISDIR(os.fstat(descriptor).st_mode) else set()

    def missing(self, folder: Path) -> list[Path]:
        """What is below a folder, itself included, that a cut of the power would take back."""
        kept = self._names.get(folder.stat().st_ino, set())
        lost = [] if folder.name in self._names.get(folder.parent.stat().st_ino, set()) else [folder]
        for path in folder.iterdir():
            if path.name not in kept:
                lost.append(path)
            elif path.is_dir():
                lost += self.missing(path)
            elif path.stat().st_ino not in self._names:
                lost.append(path)
        return lost


@pytest.fixture
def synchronized(monkeypatch: pytest.MonkeyPatch) -> Synchronized:
    synchronized, fsync = Synchronized(), os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        synchronized.note(descriptor)

    monkeypatch.setattr("os.fsync", noted)
    return synchronized


def test_all_that_a_commit_makes_reachable_is_synchronized_before_it(
    workspace: Workspace, tmp_path: Path, synchronized: Synchronized
) -> None:
    warehouse = workspace.warehouse
    assert isinstance(warehouse, LocalWarehouse)
    catalog: Any = warehouse.tables._catalog
    commits: list[list[Path]] = []

    def note_commit(_: Any) -> None:
        place = tmp_path / "home" / "warehouse"
        commits.append(synchronized.missing(place) if place.exists() else [])

    event.listen(catalog.engine, "commit", note_commit)
    columns = {**PLAIN_COLUMNS, "item": {"type": "string"}}
    spec = workspace.sequence_model(columns=columns, features={"item": {"encode": "vocabulary"}})
    for value in "ab":
        workspace.write("source.csv", f"pupil,time,item\n1,1,{value}\n")
        workspace.ingest(spec)
        workspace.sequence(spec)
    assert len(commits) >= 2 * 4
    assert [lost for lost in commits if lost] == []


def test_the_catalog_waits_for_the_disk_on_every_connection(tmp_path: Path) -> None:
    catalog: Any = LocalWarehouse(tmp_path / "home").tables._catalog
    with catalog.engine.connect() as one, catalog.engine.connect() as other:
        for connection in (one, other):
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 3  # EXTRA


def test_a_folder_is_made_with_those_above_it_and_their_names_are_synchronized(
    tmp_path: Path, synchronized: Synchronized
) -> None:
    make_folder(tmp_path / "a" / "b" / "c")
    assert synchronized.missing(tmp_path / "a") == []


def test_a_small_file_that_is_replaced_keeps_its_new_content(tmp_path: Path, synchronized: Synchronized) -> None:
    storage = LocalStorage(tmp_path / "a")
    for content in (b"first", b"second"):
        storage.replace(f"{storage.root}/pages/1.json", content)
        assert synchronized.missing(tmp_path / "a") == []


def test_a_file_that_cannot_be_synchronized_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError("the disk is gone")

    file = DurableFile(tmp_path / "file", "xb")
    file.write(b"content")
    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        file.close()
    assert file.closed
