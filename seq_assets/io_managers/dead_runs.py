"""Runs whose process has died without a word: killed, or gone with the machine. To Dagster they would run for ever.

A run that is in progress counts against the limits of the queue, and may hold a slot of a pool: two dead ones stall it. So
each run knows the process that executes it, and is ended as canceled once that is known to be dead.

Belongs here: which runs are dead, and how they end. Not here: who looks for them (the command line at its start, a sensor).
"""

from typing import Final

import dagster as dg

from seq_assets.warehouse.ownership import Process

HOST_TAG: Final = "seq_assets/host"
PROCESS_TAG: Final = "seq_assets/process"
EXECUTED_TAG: Final = "seq_assets/executed_run"
"""Which run the process executes: a run that is executed again inherits the tags of the one before."""
_IN_PROGRESS: Final = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def process_tags(run_id: str) -> dict[str, str]:
    """The tags of a run that this process executes from beginning to end."""
    process = Process.current()
    return {HOST_TAG: process.host, PROCESS_TAG: process.to_text(), EXECUTED_TAG: run_id}


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Ends as canceled each run of this host whose process is known to be dead, and gives its slots of pools back.

    Returns:
        Their ids.
    """
    # Of other hosts nothing can be said.
    mine = dg.RunsFilter(statuses=_IN_PROGRESS, tags={HOST_TAG: Process.current().host})
    dead = [run.run_id for run in instance.get_runs(mine) if _is_dead(run)]
    return [run_id for run_id in dead if _end(instance, run_id)]


def _is_dead(run: dg.DagsterRun) -> bool:
    process = Process.from_text(run.tags.get(PROCESS_TAG, ""))
    return process is not None and run.tags.get(EXECUTED_TAG) == run.run_id and process.is_dead


def _end(instance: dg.DagsterInstance, run_id: str) -> bool:
    # Looked up again: what a process recorded last may have come after the first look, but not after its death.
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return False
    instance.report_run_canceled(
        run,
        "The process that executed it has died: it was killed, or the machine was restarted. What is published stands, and "
        "nothing is half published; run it again to go on.",
    )
    if instance.event_log_storage.supports_global_concurrency_limits:
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    return True
