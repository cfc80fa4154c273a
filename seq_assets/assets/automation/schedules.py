"""Schedules: what runs at a time of day, whether anything has changed or not.

Belongs here: times. Not here: what is started by an event (`sensors`).
"""

import dagster as dg

from seq_assets.assets.automation.garbage import GC_JOB
from seq_assets.assets.automation.jobs import INGEST_JOB
from seq_assets.assets.partitions import Grid, range_tags
from seq_assets.assets.raw_observations import plan_ingest
from seq_assets.environments import Environment
from seq_assets.sequencing.plans import IngestPlan


def build_schedules(environment: Environment, grid: Grid) -> list[dg.ScheduleDefinition]:
    """One a day, which also tries again what failed since, and one a week, which removes what nobody needs."""
    running = dg.DefaultScheduleStatus.RUNNING if environment.runs_by_itself else dg.DefaultScheduleStatus.STOPPED

    @dg.schedule(
        name="daily",
        job_name=INGEST_JOB,
        cron_schedule="0 3 * * *",
        execution_timezone="UTC",
        default_status=running,
        description="Ingests every model that has a readable file and a source in this environment; what is unchanged is left.",
    )
    def daily(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        readable = {name for name in grid.registry.names if isinstance(plan_ingest(grid, name), IngestPlan)}
        if not readable:
            return dg.SkipReason("No model has a readable file and a source in this environment.")
        time = context.scheduled_execution_time.isoformat()
        ranges = grid.model_ranges(readable)
        return [dg.RunRequest(f"{keys[0]}...{keys[-1]}@{time}", tags=range_tags(keys)) for keys in ranges]

    weekly = dg.ScheduleDefinition(
        name="gc",
        job_name=GC_JOB,
        cron_schedule="0 5 * * 0",
        execution_timezone="UTC",
        default_status=running,
        description="Removes versions beyond those that model files keep, and what killed processes have left.",
    )
    return [daily, weekly]
