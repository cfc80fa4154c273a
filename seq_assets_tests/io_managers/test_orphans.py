"""Children of processes that are killed: they end, as they do when they are told to stop."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from seq_assets.io_managers import plan_io_manager
from seq_assets.io_managers.dead_runs import process_tags
from seq_assets.io_managers.orphans import _WATCH, cancel_run, end_with_parent
from seq_assets_tests.io_managers.leaving import add_run, status_of
from seq_assets_tests.warehouse import processes


def work_until_told_to_stop(folder: Path, working: Event) -> None:
    """Says what it hears of, and in which order."""

    def stopped(*_: object) -> None:
        (folder / "stopped").touch()
        os._exit(0)

    signal.signal(signal.SIGTERM, stopped)
    for _ in range(2):
        end_with_parent((folder / "first").touch)
    assert [thread.name for thread in threading.enumerate()].count(_WATCH) == 1
    (folder / "pid").write_text(str(os.getpid()))
    working.set()
    time.sleep(processes.PATIENCE)


def start_a_child_and_die(folder: Path, working: Event) -> None:
    """What a code server does with a run, and what becomes of it."""
    # By a fork, because a server of forks of its own would have to import everything first.
    process = multiprocessing.get_context("fork").Process(target=work_until_told_to_stop, args=(folder, working))
    process.start()
    assert working.wait(processes.PATIENCE)
    processes.die()


def test_a_child_is_told_to_stop_when_its_parent_is_killed(tmp_path: Path) -> None:
    arguments = (tmp_path, processes.context().Event())
    assert processes.run(start_a_child_and_die, *arguments) == -signal.SIGKILL
    end = time.monotonic() + processes.PATIENCE
    while not (tmp_path / "stopped").exists():
        assert time.monotonic() < end, "the child goes on"
        time.sleep(0.02)
    assert (tmp_path / "first").exists()


def test_a_process_that_is_nobodys_child_is_not_watched() -> None:
    end_with_parent(lambda: None)
    assert _WATCH not in [thread.name for thread in threading.enumerate()]


def test_the_run_of_a_child_counts_as_being_canceled_unless_it_has_ended(runs_in_memory: dg.DagsterInstance) -> None:
    runs = [add_run(runs_in_memory, {}, status) for status in ("STARTED", "SUCCESS")]
    for run in runs:
        cancel_run(runs_in_memory, run)
    assert [status_of(runs_in_memory, run) for run in runs] == ["CANCELING", "SUCCESS"]


@pytest.mark.parametrize(
    ("executor", "is_worker"),
    [(dg.in_process_executor, True), (dg.multiprocess_executor, False)],
    ids=["in process", "multiprocess"],
)
def test_a_step_ends_with_its_parent_and_names_its_process_where_that_executes_the_whole_run(
    executor: dg.ExecutorDefinition, is_worker: bool, runs_in_memory: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: list[Callable[[], None]] = []
    monkeypatch.setattr(plan_io_manager, "end_with_parent", first.append)
    run = add_run(runs_in_memory, {})
    step: Any = SimpleNamespace(job_def=SimpleNamespace(executor_def=executor), instance=runs_in_memory, run_id=run)
    assert plan_io_manager._in_charge(step) == (process_tags(run) if is_worker else {})
    [before_it_ends] = first
    before_it_ends()
    assert status_of(runs_in_memory, run) == ("CANCELING" if is_worker else "STARTED")
