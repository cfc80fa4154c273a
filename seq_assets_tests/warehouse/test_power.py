"""The power goes at any moment: what was published is there, whole, and the next run succeeds."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Found:
    """What the disk held after its power was cut.

    Attributes:
        acknowledged: How many versions had been published, and should be there.
        wrong: A kind of `tally.CLEAN` and a sentence, for each thing that is wrong.
    """

    acknowledged: int
    wrong: list[tuple[str, str]]


def found_after_cuts(disk: Disk, place: Path, cuts: int) -> Found:
    """What is there after the power was cut so many times while somebody published.

    The first cut of a home hits it in the making, the others come after a publication that was acknowledged. Moments are
    random, within about what a publication takes on this machine: none may matter.
    """
    wrong: list[tuple[str, str]] = []
    seconds = 1.0
    for number in range(cuts):
        home = disk.folder / f"home{number // CUTS_PER_HOME}"
        acknowledged = place / f"{home.name}.acknowledged"
        acknowledged.touch()
        process = processes.context().Process(target=processes.keep_publishing, args=(home, place, acknowledged))
        process.start()
        if number % CUTS_PER_HOME:
            seconds = seconds_until_more(acknowledged)
        time.sleep(random.uniform(0, seconds))
        disk.cut()
        process.kill()
        process.join(processes.PATIENCE)
        disk.restart()
        told = processes.context().Queue()
        assert processes.run(processes.read_everything, home, acknowledged, told) == 0
        wrong += told.get(timeout=processes.PATIENCE)
    return Found(sum(len(notes.read_text().splitlines()) for notes in place.glob("*.acknowledged")), wrong)


def seconds_until_more(acknowledged: Path) -> float:
    """Waits until another version is noted."""
    started, size = time.monotonic(), acknowledged.stat().st_size
    while acknowledged.stat().st_size == size:
        assert time.monotonic() < started + processes.PATIENCE, "nothing is published"
        time.sleep(0.01)
    return time.monotonic() - started


def test_a_cut_disk_forgets_what_nobody_has_synchronized(disk: Disk) -> None:
    (disk.folder / "file").write_text("content")
    disk.cut()
    disk.restart()
    assert not (disk.folder / "file").exists()


@pytest.mark.slow
def test_a_cut_of_the_power_loses_no_version(disk: Disk, tmp_path: Path) -> None:
    found = found_after_cuts(disk, tmp_path, cuts=2)
    assert found.acknowledged >= 2
    assert found.wrong == []


@pytest.mark.faults
def test_a_hundred_cuts_of_the_power_lose_no_version(
    disk: Disk, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    found = found_after_cuts(disk, tmp_path, cuts=100)
    counted = Counter(kind for kind, _ in found.wrong)
    kinds = ("torn", "lost", "unreadable")
    record_property(*tally(f"power cuts, {found.acknowledged:,} versions", 100, {kind: counted[kind] for kind in kinds}))
    assert found.wrong == []
