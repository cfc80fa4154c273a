"""Real processes that are killed: command lines, the server of the code, `sequence` at any moment; what others make of it."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus

from seq_assets.assets import build_definitions
from seq_assets.assets.automation import INGEST_JOB
from seq_assets.assets.partitions import range_tags
from seq_assets.environments import current_environment
from seq_assets.io_managers.dead_runs import PROCESS_TAG
from seq_assets.io_managers.plan_io_manager import FORCE_TAG
from seq_assets.materialize import _origin
from seq_assets.warehouse.ad_hoc import AdHocSequences
from seq_assets.warehouse.interface import no_progress
from seq_assets.warehouse.ownership import Process
from seq_assets_tests.athena.fixtures import SHOWN_AT_THE_END
from seq_assets_tests.tally import tally
from seq_assets_tests.warehouse import processes
from seq_assets_tests.warehouse.building import Workspace

CHECKOUT = Path(__file__).parents[2]
ROWS = 3_000_000
KILLS = 100
SEED = 14
Record = Callable[[str, object], None]

pytestmark = pytest.mark.faults


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Waits until something is so, and returns what it is."""
    end = time.monotonic() + processes.PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return found


@pytest.fixture
def large(plain: Workspace) -> Workspace:
    """The model `plain`, whose source takes seconds to read."""
    plain.sequence_model(sequence_lengths=[2])
    rows = "".join(f"{number % 9973},{number},{number % 97}\n" for number in range(ROWS))
    plain.write("source.csv", f"pupil,time,item\n{rows}")
    return plain


@contextmanager
def daemon(log: Path) -> Iterator[None]:
    """Dagster's daemon with its code location, as `make dev` starts it."""
    command = [sys.executable, "-m", "dagster._daemon", "run", "--workspace", str(CHECKOUT / "workspace.yaml")]
    with log.open("wb") as opened:
        started = subprocess.Popen(command, cwd=CHECKOUT, stdout=opened, stderr=subprocess.STDOUT, process_group=0)
        try:
            yield
        finally:
            started.terminate()
            try:
                started.wait(processes.PATIENCE)
            finally:
                # What the daemon has started is in its group; what has ended is not.
                with suppress(ProcessLookupError):
                    os.killpg(started.pid, signal.SIGKILL)


def queued_run(instance: DagsterInstance) -> str:
    """A forced ingest of `plain` that waits in the queue, as the UI would ask for it."""
    environment = current_environment()
    job = build_definitions(environment).resolve_job_def(INGEST_JOB)
    run = instance.create_run_for_job(
        job,
        tags={**range_tags(["plain"]), FORCE_TAG: "true"},
        status=DagsterRunStatus.QUEUED,
        remote_job_origin=_origin(INGEST_JOB),
    )
    return run.run_id


def found(instance: DagsterInstance, run_id: str) -> DagsterRun:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run


def test_two_killed_command_lines_keep_no_run_in_the_queue_and_a_killed_server_takes_its_run_along(
    large: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Record
) -> None:
    command = [sys.executable, "-m", "seq_assets", "materialize", "plain", "--force"]
    killed = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
    dagster_home = current_environment().dagster_home
    wait_for((dagster_home / "dagster.yaml").exists, "a home of Dagster")
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home))
    with DagsterInstance.get() as instance:

        def started() -> bool:
            return [run.status for run in instance.get_runs()] == [DagsterRunStatus.STARTED] * 2

        wait_for(started, "two runs at once")
        for process in killed:
            process.kill()
            process.wait()
        left = {run.run_id for run in instance.get_runs()}
        assert started(), "they are left as they were"
        waiting = queued_run(instance)
        before = time.monotonic()
        with daemon(tmp_path / "daemon.log"):
            wait_for(lambda: found(instance, waiting).status is DagsterRunStatus.STARTED, "the run does not start")
            seconds = time.monotonic() - before
            assert {found(instance, run).status for run in left} == {DagsterRunStatus.CANCELED}

            worker = wait_for(lambda: Process.from_text(found(instance, waiting).tags.get(PROCESS_TAG, "")), "its process")
            server = int(Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[1])
            os.kill(server, signal.SIGKILL)
            before = time.monotonic()
            wait_for(lambda: worker.is_dead, "the run goes on without the server that started it")
            alone = time.monotonic() - before
            wait_for(lambda: found(instance, waiting).is_finished, "the run does not end")
            assert found(instance, waiting).status is DagsterRunStatus.CANCELED
    said = f"The queued run started {seconds:.0f} s after the daemon; a run whose server was killed ended in {alone:.1f} s."
    record_property(SHOWN_AT_THE_END, said)
    record_property(*tally("command lines killed in pairs, then a daemon", 1, {"raw exceptions": 0}))


def sequence(folder: Path, out: Path, source: str) -> None:
    """What the command `sequence` does with a source, in a process of its own, whose settings are not those of the test."""
    environment = current_environment({"SEQ_ASSETS_MODELS": str(folder)})
    sequences = AdHocSequences(environment.registry()["plain"], source, folder, 2, ["train", "validation"], str(out))
    sequences.write(environment.temporary_warehouse, no_progress)


def standing(out: Path) -> dict[str, set[int]]:
    """By folder, the items in its files; each file is read whole."""
    tables = {folder.name: [pq.read_table(file) for file in sorted(folder.glob("*.parquet"))] for folder in out.iterdir()}
    return {
        name: {item for table in found for items in table["item_sequence"].to_pylist() for item in items}
        for name, found in tables.items()
        if not name.startswith(".")
    }


def test_sequence_that_is_killed_at_any_moment_leaves_results_whole_and_nothing_else_once_it_has_run_again(
    plain: Workspace, tmp_path: Path, record_property: Record
) -> None:
    plain.sequence_model(sequence_lengths=[2], split={"strategy": "entity_hash", "validation_fraction": 0.5})
    pupils = range(40)
    for name, first in (("a.csv", 0), ("b.csv", 500)):
        rows = "".join(f"{pupil},{time},{first + pupil}\n" for pupil in pupils for time in range(50))
        plain.write(name, f"pupil,time,item\n{rows}")
    out = tmp_path / "out"
    context, moments = processes.context(), random.Random(SEED)
    arguments = (plain.folder, out)
    longest = 0.0
    for name in ("a.csv", "b.csv", "a.csv"):
        before = time.monotonic()
        assert processes.run(sequence, *arguments, name) == 0
        longest = time.monotonic() - before
    whole = sorted(path.name for path in out.iterdir())
    counts = {"torn": 0, "lost": 0, "unreadable": 0, "raw exceptions": 0}
    for number in range(KILLS):
        name = ("b.csv", "a.csv")[number % 2]
        process = context.Process(target=sequence, args=(*arguments, name))
        process.start()
        time.sleep(moments.uniform(0, longest))
        process.kill()
        process.join()
        try:
            found = standing(out)
        except Exception:
            counts["unreadable"] += 1
            continue
        counts["torn"] += any(items and min(items) < 500 <= max(items) for items in found.values())
        counts["lost"] += any(not items for items in found.values())
        counts["raw exceptions"] += processes.run(sequence, *arguments, name) != 0
        counts["torn"] += len({min(items) >= 500 for items in standing(out).values()}) > 1
        counts["lost"] += sorted(path.name for path in out.iterdir()) != whole
    record_property(*tally("`sequence` killed while it replaces its output", KILLS, counts))
    assert set(counts.values()) == {0}
