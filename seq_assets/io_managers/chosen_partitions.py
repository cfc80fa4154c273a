"""Refusing a run that was launched without a partition.

It is refused before its first step: of a step with an input, Dagster itself asks for the partitions before any code of an asset
or of an I/O manager could say what is missing, and shows a traceback.
"""

from collections.abc import Iterator

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_START_TAG, PARTITION_NAME_TAG


def require_partitions(context: dg.InitResourceContext) -> None:
    """Refuses a run without a partition that would materialize partitioned assets; checks alone are of all that is published.

    Raises:
        DagsterInvariantViolationError: With what to choose. An error of another kind is hidden behind one of a resource.
    """
    run = context.run
    if run is None or PARTITION_NAME_TAG in run.tags or ASSET_PARTITION_RANGE_START_TAG in run.tags:
        return
    assets = sorted(_partitioned_assets(context.instance, run))
    if not assets:
        return
    sentence = (
        f"The run of {run.job_name} has no partition, and {', '.join(assets)} are made by partition: choose some in the dialog "
        f"of Materialize all, or set the tag {PARTITION_NAME_TAG} to one, such as dkt (observations) or dkt|100 (sequences)."
    )
    if context.log is not None:
        context.log.error(sentence)
    raise dg.DagsterInvariantViolationError(sentence)


def _partitioned_assets(instance: dg.DagsterInstance | None, run: dg.DagsterRun) -> Iterator[str]:
    """What the steps of the run would materialize."""
    if instance is None or run.execution_plan_snapshot_id is None:
        return
    plan = instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
    for step in (step for step in plan.steps if step.key in plan.step_keys_to_execute):
        for properties in (output.properties for output in step.outputs):
            if properties is not None and properties.asset_key is not None and properties.is_asset_partitioned:
                yield properties.asset_key.to_user_string()
