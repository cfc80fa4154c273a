"""Unchecked: the checks of what a failed run has published.

A step that fails for some of its partitions has published the others, but Dagster then skips the step of their checks. They are
run for these partitions alone, in a run of their own: by a sensor, or, where it is off, by people, to whom the log says so.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from seq_assets.assets.automation.status import sensor_status
from seq_assets.assets.partitions import Grid, range_tags
from seq_assets.environments import Environment

RAW: Final = "raw_observations"
SEQUENCED: Final = ("sequenced_train", "sequenced_validation")
CHECK_OBSERVATIONS_JOB: Final = "check_observations"
CHECK_SEQUENCES_JOB: Final = "check_sequences"


def _check_jobs() -> list[UnresolvedAssetJobDefinition]:
    """The checks alone, of what is published; the graph has them through the sensor."""
    observations, sequences = dg.AssetSelection.checks_for_assets(RAW), dg.AssetSelection.checks_for_assets(*SEQUENCED)
    return [
        dg.define_asset_job(CHECK_OBSERVATIONS_JOB, observations, description="Check published raw observations again."),
        dg.define_asset_job(CHECK_SEQUENCES_JOB, sequences, description="Check published sequences again."),
    ]


def build_check_sensor(environment: Environment, grid: Grid) -> dg.SensorDefinition:
    """Runs the checks that were skipped."""

    @dg.run_failure_sensor(
        name="unchecked",
        request_jobs=_check_jobs(),
        default_status=sensor_status(environment),
        description="Runs the checks of what a run published before it failed, which Dagster skips in that run.",
    )
    def unchecked(context: dg.RunFailureSensorContext) -> Iterator[dg.RunRequest]:
        run = context.dagster_run.run_id
        failed = {event.step_key for event in context.get_step_failure_events()}
        published = _published(context.instance, run, failed)
        models = {key for asset, key in published if asset == RAW}
        for stretch in grid.model_ranges(models):
            yield _request(CHECK_OBSERVATIONS_JOB, run, stretch)
        cells = {key for asset, key in published if asset in SEQUENCED}
        for stretch in grid.cell_ranges(cells):
            yield _request(CHECK_SEQUENCES_JOB, run, stretch)

    return unchecked


@dg.failure_hook(name="say_what_is_unchecked")
def say_what_is_unchecked(context: dg.HookContext) -> None:
    """Of a step that fails: names in the run's log what it published, and how that is checked."""
    asset = context.step_key
    keys = sorted(key for of, key in _published(context.instance, context.run_id, {asset}) if of == asset)
    if keys:
        context.log.warning(
            f"{asset}: {', '.join(keys)} were published, and their checks skipped, as in every run that fails. The sensor "
            f"unchecked runs them if it is on; otherwise choose Execute all on the tab Checks of {asset}."
        )


def _published(instance: dg.DagsterInstance, run: str, failed: Collection[str | None]) -> set[tuple[str, str]]:
    """Asset and partition of what steps materialized that failed."""
    records = instance.get_records_for_run(run, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION).records
    events = (record.event_log_entry.dagster_event for record in records)
    return {
        (event.asset_key.to_user_string(), str(event.partition))
        for event in events
        if event is not None and event.asset_key is not None and event.step_key in failed
    }


def _request(job: str, run: str, keys: Sequence[str]) -> dg.RunRequest:
    return dg.RunRequest(f"{run}@{keys[0]}...{keys[-1]}", job_name=job, tags=range_tags(keys))
