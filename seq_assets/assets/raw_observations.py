"""`raw_observations` and `rejected_observations`: each model's source, read once, checked, split and sorted."""

from collections.abc import Iterator

import dagster as dg

from seq_assets.assets.partitions import Grid
from seq_assets.errors import ModelFileError
from seq_assets.sequencing.plans import IngestPlan, PartitionPlans, Plan, RefusedPlan


def build_raw_observations(grid: Grid, owners: list[str], kinds: set[str]) -> dg.AssetsDefinition:
    """The multi-asset over the grid's models: one pass of a source makes both tables."""

    def out(description: str) -> dg.AssetOut:
        return dg.AssetOut(
            description=description, owners=owners, kinds=kinds, tags={"layer": "raw"}, group_name="observations"
        )

    @dg.multi_asset(
        name="raw_observations",
        outs={
            "raw_observations": out(
                "Observations that met their model's contract, typed, assigned to train or validation, and stored in the order "
                "of entity and time. Models without sequences read this table directly. The vocabulary of a model's encoded "
                "features is published with it."
            ),
            "rejected_observations": out(
                "Why records were refused: file, row, column, the value as it stood and the reason, one row per failed column."
            ),
        },
        partitions_def=grid.models,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def raw_observations(context: dg.AssetExecutionContext) -> Iterator[dg.Output[PartitionPlans]]:
        plans = PartitionPlans({model: plan_ingest(grid, model) for model in context.partition_keys})
        yield dg.Output(plans, "raw_observations")
        yield dg.Output(plans, "rejected_observations")

    return raw_observations


def plan_ingest(grid: Grid, model: str) -> Plan:
    """The plan of one model's raw observations."""
    try:
        spec = grid.registry[model]
    except ModelFileError as error:
        return RefusedPlan(str(error))
    location = spec.location(grid.environment)
    if location is None:
        return RefusedPlan(f"{model}: source.location names no location for the environment {grid.environment!r}; add one.")
    return IngestPlan(spec, location, str(grid.registry.folder_of(model)))
