"""`gc` interrupted, killed and raced: what is kept can be read, no run fails, and the next one finishes.

Belongs here: the moments. What is removed, and what is not, is in `contract.test_garbage`.
"""

import random
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from seq_assets.models import ModelSpec
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.interface import Garbage, Version
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets.warehouse.retention import Retention
from seq_assets.warehouse.storage.storage import LocalStorage
from seq_assets_tests.tally import tally
from seq_assets_tests.warehouse import processes
from seq_assets_tests.warehouse.building import Workspace, published_rows

RAW, TRAIN = Dataset.raw("plain"), Dataset.sequenced("plain", "train", 4)
RECORDS = 40


def collect(home: Path, keep: int = 1) -> Garbage:
    time.sleep(0.01)
    nothing = timedelta(0)
    return LocalWarehouse(home).collect_garbage(Retention(keep_of_others=keep, older_than=nothing, clocks_differ_by=nothing))


def model_in(folder: Path, home: Path) -> tuple[Workspace, ModelSpec]:
    folder.mkdir(exist_ok=True)
    workspace = Workspace(folder, LocalWarehouse(home))
    rows = "".join(f"{number % 3},{number},{number}\n" for number in range(RECORDS))
    workspace.write("source.csv", f"pupil,time,item\n{rows}")
    return workspace, workspace.sequence_model()


def publish(workspace: Workspace, spec: ModelSpec, times: int = 1) -> None:
    for _ in range(times):
        workspace.ingest(spec, force=True)
        workspace.sequence(spec, force=True)


def require_readable(home: Path) -> list[Version]:
    """Each version that is listed has all of its rows, and what it names is there."""
    warehouse = LocalWarehouse(home)
    found = [version for dataset in (RAW, TRAIN) for version in warehouse.versions(dataset)]
    assert found
    for version in found:
        rows = published_rows(warehouse, version)
        items = [row["item"] for row in rows] if version.dataset == RAW else [x for row in rows for x in row["item_sequence"]]
        assert sorted(item for item in items if item >= 0) == list(range(RECORDS))
        if version.dataset == TRAIN:
            warehouse.require_whole(warehouse.find(RAW, version.raw_version))
        assert warehouse.lost_with(version) == []
    return found


class InterruptedHereError(BaseException):
    """As if the process ended."""


@pytest.mark.slow
def test_wherever_it_is_interrupted_what_is_kept_is_whole_and_the_next_one_finishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, spec = model_in(tmp_path / "models", tmp_path / "home")
    publish(workspace, spec, 2)
    expected = LocalStorage(collect_copy(tmp_path, "whole")[0]).files(str(tmp_path / "whole" / "warehouse"))
    remove = LocalStorage.remove_files
    number = 0
    while True:
        home = Path(shutil.copytree(tmp_path / "home", tmp_path / f"copy_{number}"))
        left = number

        def interrupted(storage: LocalStorage, locations: Any) -> None:
            nonlocal left
            for location in locations:
                if left == 0 and "/leases/" not in location:
                    raise InterruptedHereError
                left -= 1
                remove(storage, [location])

        with monkeypatch.context() as patched:
            patched.setattr(LocalStorage, "remove_files", interrupted)
            try:
                collect(home)
            except InterruptedHereError:
                require_readable(home)
            else:
                break
        collect(home)
        require_readable(home)
        assert len(LocalStorage(home).files(str(home / "warehouse"))) == len(expected)
        number += 7
    assert number > 0


def collect_copy(folder: Path, name: str) -> tuple[Path, Garbage]:
    home = Path(shutil.copytree(folder / "home", folder / name))
    return home, collect(home)


# Killed


def kill_and_go_on(folder: Path, times: int, choice: random.Random) -> int:
    """Kills collections, each with something to remove, and lets every fourth end; how many were killed."""
    home = folder / "home"
    workspace, spec = model_in(folder / "models", home)
    publish(workspace, spec, 3)
    begun = time.monotonic()
    assert collect(home).expired
    seconds, killed = time.monotonic() - begun, 0
    for number in range(1, times + 1):
        publish(workspace, spec)
        started = processes.context().Event()
        process = processes.context().Process(target=_collect_in_a_process, args=(home, started))
        process.start()
        assert started.wait(processes.PATIENCE)
        process.join(choice.uniform(0, 2 * seconds))
        killed += process.is_alive()
        process.kill()
        process.join(processes.PATIENCE)
        require_readable(home)
        if number % 4 == 0:
            collect(home)
            assert len(require_readable(home)) == 2
            assert collect(home) == Garbage()
    return killed


def _collect_in_a_process(home: Path, started: Any) -> None:
    started.set()
    collect(home)


@pytest.mark.slow
def test_a_kill_at_any_moment_tears_nothing_and_the_next_one_finishes(tmp_path: Path) -> None:
    assert kill_and_go_on(tmp_path, 8, random.Random(1)) > 0


@pytest.mark.faults
def test_two_hundred_kills_tear_and_lose_nothing(tmp_path: Path, record_property: Callable[[str, Any], None]) -> None:
    assert kill_and_go_on(tmp_path, 200, random.Random(0)) > 100
    record_property(*tally("`kill -9` of `gc`", 200, {"torn": 0, "lost": 0, "unreadable": 0}))


# Raced


def race(folder: Path, rounds: int, choice: random.Random) -> int:
    """A publication, two collections and a reader begin together, round after round; how many versions were removed."""
    home = folder / "home"
    workspace, spec = model_in(folder / "models", home)
    publish(workspace, spec, 2)
    removed = 0
    with ThreadPoolExecutor(4) as pool:
        for number in range(rounds):
            barrier = threading.Barrier(4)
            delays = [choice.uniform(0, 0.2) for _ in range(4)]
            # What only one of them does, others must not see half of.
            work: list[Callable[[], Any]] = [
                lambda: Workspace(workspace.folder, LocalWarehouse(home)).ingest(spec, force=True),
                lambda: collect(home, keep=2),
                lambda: collect(home, keep=2),
                lambda: read_newest(home),
            ]
            if number % 2:
                work[0] = lambda: Workspace(workspace.folder, LocalWarehouse(home)).sequence(spec, force=True)

            def begin(one: Callable[[], Any], delay: float, barrier: threading.Barrier = barrier) -> Any:
                barrier.wait(processes.PATIENCE)
                time.sleep(delay)
                return one()

            done = [found.result() for found in [pool.submit(begin, *each) for each in zip(work, delays, strict=True)]]
            removed += len(done[1].expired) + len(done[2].expired)
            assert done[1].spared == done[2].spared == ()
    publish(workspace, spec)
    # How much goes in the rounds is left to chance.
    removed += len(collect(home).expired)
    assert len(require_readable(home)) == 2
    return removed


def read_newest(home: Path) -> None:
    warehouse = LocalWarehouse(home)
    newest = warehouse.find(TRAIN)
    assert sum(row["sequence_size"] for row in published_rows(warehouse, newest)) == RECORDS
    raw = warehouse.find(RAW, newest.raw_version)
    assert len(published_rows(warehouse, raw)) == RECORDS


@pytest.mark.slow
def test_publications_readers_and_other_collections_beside_it_never_fail(tmp_path: Path) -> None:
    assert race(tmp_path, 2, random.Random(1)) > 0


@pytest.mark.faults
def test_a_thousand_races_fail_nobody(tmp_path: Path, record_property: Callable[[str, Any], None]) -> None:
    assert race(tmp_path, 1_000, random.Random(0)) > 1_000
    counted = {"torn": 0, "lost": 0, "unreadable": 0, "raw exceptions": 0}
    record_property(*tally("races of `gc` with a publication, another `gc` and a reader", 1_000, counted))
