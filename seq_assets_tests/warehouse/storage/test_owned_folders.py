"""Folders for work in progress: gone when it is done, and found when its process is dead."""

from dataclasses import replace
from pathlib import Path

import pytest

from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets.warehouse.ownership import Process
from seq_assets.warehouse.storage.owned_folders import folders_of_the_dead, own_folder

CURRENT = Process.current()
DEAD = replace(CURRENT, started="1")
ELSEWHERE = replace(DEAD, host="other-0")


def test_a_folder_is_there_for_its_work_alone(tmp_path: Path) -> None:
    with own_folder(tmp_path / "a" / "b", ".x_") as folder:
        (folder / "file").touch()
        assert folder.name.startswith(f".x_{CURRENT.to_text()}.")
        assert folders_of_the_dead(tmp_path / "a" / "b", ".x_") == []
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_those_of_the_dead_are_found_by_their_prefix_and_no_other(tmp_path: Path) -> None:
    assert folders_of_the_dead(tmp_path / "missing") == []
    for process in (CURRENT, DEAD, ELSEWHERE):
        (tmp_path / f"{process.to_text()}.0").mkdir()
    for name in ("0123456789abcdef", "theirs", f".x_{DEAD.to_text()}.0"):
        (tmp_path / name).mkdir()
    assert [folder.name for folder in folders_of_the_dead(tmp_path)] == [f"{DEAD.to_text()}.0"]
    assert [folder.name for folder in folders_of_the_dead(tmp_path, ".x_")] == [f".x_{DEAD.to_text()}.0"]


@pytest.mark.parametrize(("process", "stays"), [(DEAD, False), (ELSEWHERE, True), (CURRENT, True)])
def test_the_scratch_of_the_dead_is_gone_when_a_warehouse_needs_some(tmp_path: Path, process: Process, stays: bool) -> None:
    left = tmp_path / "scratch" / f"{process.to_text()}.0"
    left.mkdir(parents=True)
    (left / "stage.duckdb").touch()
    with LocalWarehouse(tmp_path)._scratch():
        assert left.exists() == stays
