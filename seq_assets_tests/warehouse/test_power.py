"""The power goes at any moment: what was published is there, whole, and the next run succeeds."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seq_assets_tests.tally import tally
from seq_assets_tests.warehouse import processes
from seq_assets_tests.warehouse.power import Disk, why_no_disk

CUTS_PER_HOME = 10
"""Then a new home begins, so that first publications are hit too, and a home can be read whole after each cut."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    reason = why_no_disk(tmp_path)
    if reason is not None:
        pytest.skip(reason)
    with Disk.attached(tmp_path) as disk:
        yield disk


def wrong_after_cuts(disk: Disk, place: Path, cuts: int, longest: float) -> list[tuple[str, str]]:
    """What is wrong with the homes of a disk after its power was cut so many times, each within so many seconds."""
    wrong: list[tuple[str, str]] = []
    for number in range(cuts):
        home = disk.folder / f"home{number // CUTS_PER_HOME}"
        acknowledged = place / f"{home.name}.acknowledged"
        acknowledged.touch()
        process = processes.context().Process(target=processes.keep_publishing, args=(home, place, acknowledged))
        process.start()
        time.sleep(random.uniform(0, longest))  # another moment in each run: none may matter
        disk.cut()
        process.kill()
        process.join(processes.PATIENCE)
        disk.restart()
        told = processes.context().Queue()
        assert processes.run(processes.read_everything, home, acknowledged, told) == 0
        wrong += told.get(timeout=processes.PATIENCE)
    return wrong


def test_a_cut_disk_forgets_what_nobody_has_synchronized(disk: Disk) -> None:
    (disk.folder / "file").write_text("content")
    disk.cut()
    disk.restart()
    assert not (disk.folder / "file").exists()


def test_a_cut_of_the_power_loses_no_version(disk: Disk, tmp_path: Path) -> None:
    assert wrong_after_cuts(disk, tmp_path, cuts=2, longest=2.0) == []


@pytest.mark.faults
def test_a_hundred_cuts_of_the_power_lose_no_version(
    disk: Disk, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    wrong = wrong_after_cuts(disk, tmp_path, cuts=100, longest=4.0)
    counted = Counter(kind for kind, _ in wrong)
    record_property(*tally("power cuts", 100, {kind: counted[kind] for kind in ("torn", "lost", "unreadable")}))
    assert wrong == []
