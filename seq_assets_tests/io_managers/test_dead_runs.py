"""Runs whose process has died: which are ended, how, and which are never touched."""

import dagster as dg
import pytest

from seq_assets.io_managers.dead_runs import HOST_TAG, PROCESS_TAG, end_dead_runs, process_tags
from seq_assets.warehouse.ownership import Process
from seq_assets_tests.io_managers.leaving import DEAD, ELSEWHERE, add_run, status_of, tags_of


@pytest.mark.parametrize("left", ["NOT_STARTED", "STARTING", "STARTED", "CANCELING"])
def test_a_run_whose_process_is_dead_is_ended_as_canceled_once_and_says_why(
    runs_in_memory: dg.DagsterInstance, left: str
) -> None:
    run = add_run(runs_in_memory, DEAD, left)
    assert end_dead_runs(runs_in_memory) == [run]
    assert end_dead_runs(runs_in_memory) == []
    assert status_of(runs_in_memory, run) == "CANCELED"
    messages = [entry.message for entry in runs_in_memory.all_logs(run)]
    assert any("The process that executed it has died" in message for message in messages)


@pytest.mark.parametrize("left", ["SUCCESS", "FAILURE", "CANCELED"])
def test_what_has_ended_stays_as_it_is(runs_in_memory: dg.DagsterInstance, left: str) -> None:
    run = add_run(runs_in_memory, DEAD, left)
    assert end_dead_runs(runs_in_memory) == []
    assert status_of(runs_in_memory, run) == left


def test_runs_of_living_processes_of_other_hosts_and_of_nobody_stay(runs_in_memory: dg.DagsterInstance) -> None:
    runs = [
        add_run(runs_in_memory, Process.current()),
        add_run(runs_in_memory, ELSEWHERE),
        add_run(runs_in_memory, {}),
        add_run(runs_in_memory, {HOST_TAG: DEAD.host, PROCESS_TAG: "what is this"}),
    ]
    assert end_dead_runs(runs_in_memory) == []
    assert {status_of(runs_in_memory, run) for run in runs} == {"STARTED"}


def test_a_run_that_inherited_the_tags_of_a_dead_one_is_not_dead(runs_in_memory: dg.DagsterInstance) -> None:
    dead = add_run(runs_in_memory, DEAD)
    again = add_run(runs_in_memory, tags_of(DEAD, dead))
    assert end_dead_runs(runs_in_memory) == [dead]
    assert status_of(runs_in_memory, again) == "STARTED"


def test_what_the_process_recorded_last_stands(runs_in_memory: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    run = add_run(runs_in_memory, DEAD)
    looked_at = runs_in_memory.get_runs

    def ended_meanwhile(*arguments: object) -> object:
        found = looked_at(*arguments)  # type: ignore[arg-type]
        record = runs_in_memory.get_run_by_id(run)
        assert record is not None
        runs_in_memory.report_run_failed(record)
        return found

    monkeypatch.setattr(runs_in_memory, "get_runs", ended_meanwhile)
    assert end_dead_runs(runs_in_memory) == []
    assert status_of(runs_in_memory, run) == "FAILURE"


def test_the_tags_of_a_run_name_this_process(runs_in_memory: dg.DagsterInstance) -> None:
    assert process_tags("a run") == tags_of(Process.current(), "a run")
