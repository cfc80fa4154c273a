"""Machines with real faults: disks that are full or may only be read, and a catalog that somebody holds. Needs root."""

import os
import random
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import seq_assets
from seq_assets.cli.commands import cli
from seq_assets.warehouse.local.ingest import SMALL_SOURCE
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets_tests.tally import CLEAN, tally
from seq_assets_tests.warehouse.building import Workspace, read_rows

SEED = 14
DISKS = 20
ROWS = 20_000
MANY_ROWS = 2_000_000
SECONDS_HELD = 100
Record = Callable[[str, object], None]

pytestmark = pytest.mark.faults


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Something mounted on a folder, which is made; it is unmounted afterwards on every path."""
    if os.geteuid() != 0:
        pytest.skip("a disk of its own can only be mounted by root")
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", *options, str(folder)], check=True)
    try:
        yield
    finally:
        # As soon as nobody uses it any more: the catalog keeps its connections.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def disk(folder: Path, size: int) -> AbstractContextManager[None]:
    """A small disk in memory."""
    return mounted(folder, "-t", "tmpfs", "-o", f"size={size}", "tmpfs")


def materialize(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["materialize", "plain", *arguments])


def is_sentence(result: Result) -> bool:
    """Whether a command that failed said so as it should; what else it said is printed."""
    is_clean = result.exit_code == 1 and "Traceback" not in result.output and "cannot be used: " in result.stderr
    if not is_clean:
        print(result.exit_code, result.output)
    return is_clean


@pytest.fixture
def model(workspace: Workspace) -> Workspace:
    """The model `plain`, encoded, of a source with some rows; nothing is built."""
    workspace.sequence_model(sequence_lengths=[2, 20], features={"item": {"encode": "vocabulary"}})
    write_rows(workspace, ROWS)
    return workspace


def write_rows(workspace: Workspace, rows: int, note: str = "") -> None:
    records = "".join(f"{number % 9973},{number},{number * 7919 % 30011},{note}\n" for number in range(rows))
    workspace.write("source.csv", f"pupil,time,item,note\n{records}")


def test_a_disk_that_is_full_at_any_moment_leaves_the_last_version_and_a_sentence(
    model: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Record
) -> None:
    home, moments = tmp_path / "small", random.Random(SEED)
    monkeypatch.setenv("SEQ_ASSETS_HOME", str(home))
    counts, full = dict.fromkeys(CLEAN, 0), 0
    for _ in range(DISKS):
        with disk(home, 64 << 20):
            assert materialize().exit_code == 0
            before = [LocalWarehouse(home).find(dataset) for dataset in LocalWarehouse(home).datasets()]
            used = subprocess.run(["du", "-sB1", str(home)], capture_output=True, text=True, check=True).stdout
            size = int(used.split()[0]) + moments.randrange(1 << 21)
            subprocess.run(["mount", "-o", f"remount,size={size}", str(home)], check=True)
            result = materialize("--force")
            full += result.exit_code == 1
            counts["raw exceptions"] += result.exit_code != 0 and not is_sentence(result)
            warehouse = LocalWarehouse(home)
            try:
                counts["lost"] += any(version not in warehouse.versions(version.dataset) for version in before)
                newest = [warehouse.find(version.dataset) for version in before]
                counts["torn"] += any(len(read_rows(version)) != version.rows for version in newest)
            except Exception:
                counts["unreadable"] += 1
            subprocess.run(["mount", "-o", f"remount,size={64 << 20}", str(home)], check=True)
            again = materialize("--force")
            counts["raw exceptions"] += again.exit_code != 0 and not is_sentence(again)
            counts["unreadable"] += again.exit_code != 0
    record_property(*tally(f"disks with up to 2 MiB left while a model is built ({full} became full)", DISKS, counts))
    assert full > DISKS // 2
    assert set(counts.values()) == {0}


def test_a_disk_that_is_full_when_duckdb_writes_its_own_files_is_a_sentence(
    model: Workspace, tmp_path: Path, record_property: Record
) -> None:
    # Of a source as large as this, DuckDB keeps the records in a file.
    write_rows(model, MANY_ROWS, note="." * (SMALL_SOURCE // MANY_ROWS))
    scratch = tmp_path / "home" / "scratch"
    scratch.parent.mkdir()
    with disk(scratch, 4 << 20):
        result = materialize()
        assert list(scratch.iterdir()) == []
    assert is_sentence(result), result.output
    assert "make room there, or set SEQ_ASSETS_HOME" in result.stderr
    record_property(*tally("a disk that is full when DuckDB writes its own files", 1, {"raw exceptions": 0}))


def test_a_home_that_may_only_be_read_is_read_and_not_written(
    model: Workspace, tmp_path: Path, record_property: Record
) -> None:
    home = tmp_path / "home"
    assert materialize().exit_code == 0
    with mounted(home, "--bind", str(home)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(home)], check=True)
        result = materialize("--force")
        assert CliRunner().invoke(cli, ["models"]).exit_code == 0
        assert CliRunner().invoke(cli, ["versions", "plain"]).exit_code == 0
        assert len(seq_assets.load("plain", sequence_length=20).to_numpy()["pupil"])
    assert is_sentence(result), result.output
    record_property(*tally("a home that may only be read", 1, {"raw exceptions": 0, "unreadable": 0}))


def test_a_catalog_that_somebody_holds_is_waited_for_once_and_then_a_sentence(
    model: Workspace, tmp_path: Path, record_property: Record
) -> None:
    assert materialize().exit_code == 0
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with closing(sqlite3.connect(tmp_path / "home" / "catalog.db")) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            held.set()
            over.wait(SECONDS_HELD)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    before = time.monotonic()
    result = CliRunner().invoke(cli, ["models"])
    seconds = time.monotonic() - before
    over.set()
    thread.join()
    assert is_sentence(result), result.output
    assert "/home/catalog.db' cannot be used: database is locked; another process has held it" in result.stderr
    assert 59 < seconds < SECONDS_HELD
    assert materialize("--force").exit_code == 0
    record_property(*tally(f"a catalog that is held for {SECONDS_HELD} s", 1, {"raw exceptions": 0}))
