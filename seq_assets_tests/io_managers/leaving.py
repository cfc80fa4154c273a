"""Runs as a process leaves them that is killed, for tests of what becomes of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import dagster as dg
from dagster import DagsterRunStatus

from seq_assets.io_managers.dead_runs import EXECUTED_TAG, HOST_TAG, PROCESS_TAG
from seq_assets.warehouse.ownership import Process

DEAD: Final = replace(Process.current(), started="1")
"""A process of this machine that is not there any more."""
ELSEWHERE: Final = replace(DEAD, host="other-0")


@dg.op
def work() -> None:
    """Nothing."""


@dg.job
def a_job() -> None:
    work()


def tags_of(process: Process, run_id: str) -> dict[str, str]:
    """The tags of a run that a process executes."""
    return {HOST_TAG: process.host, PROCESS_TAG: process.to_text(), EXECUTED_TAG: run_id}


def add_run(instance: dg.DagsterInstance, tags: Mapping[str, str] | Process, status: str = "STARTED") -> str:
    """A run with tags, or with those that a process gives it; returns its id."""
    run = instance.create_run_for_job(a_job, status=DagsterRunStatus[status])
    instance.add_run_tags(run.run_id, tags_of(tags, run.run_id) if isinstance(tags, Process) else tags)
    return run.run_id


def status_of(instance: dg.DagsterInstance, run_id: str) -> str:
    """The status of a run."""
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status.name
