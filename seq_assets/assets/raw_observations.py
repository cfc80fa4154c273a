"""`raw_observations` and `rejected_observations`: each model's source, read once, checked, split and sorted."""

from collections.abc import Iterator
from typing import Final

import dagster as dg

from seq_assets.assets.common import DOCS, GROUP, BuildConfig
from seq_assets.assets.partitions import Grid
from seq_assets.errors import ModelFileError
from seq_assets.io_managers.data_versions import CODE_VERSION, RECORDED_BY_IO_MANAGER
from seq_assets.io_managers.plan_io_manager import IO_MANAGER_KEY, WAREHOUSE_POOL
from seq_assets.sequencing.plans import IngestPlan, PartitionPlans, RefusedPlan

_MOST_MISTAKES: Final = 10
"""That a description shows; `seq-assets validate` shows all."""


def build_raw_observations(grid: Grid, owners: list[str], kinds: set[str]) -> dg.AssetsDefinition:
    """The multi-asset over the grid's models: one pass of a source makes both tables."""

    def out(description: str) -> dg.AssetOut:
        return dg.AssetOut(
            description=description,
            owners=owners,
            kinds=kinds,
            tags={"layer": "raw"},
            group_name=GROUP,
            io_manager_key=IO_MANAGER_KEY,
            code_version=CODE_VERSION,
            metadata=DOCS,
        )

    @dg.multi_asset(
        name="raw_observations",
        outs={
            "raw_observations": out(
                "Observations that met their model's contract, typed, assigned to train or validation, and stored in the order "
                "of entity and time. Models without sequences read this table directly. The vocabulary of a model's encoded "
                f"features is published with it.{_broken_files(grid)}"
            ),
            "rejected_observations": out(
                "Why records were refused: file, row, column, the value as it stood, what was found and the reason, one row "
                "per failed column."
            ),
        },
        partitions_def=grid.models,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=WAREHOUSE_POOL,
    )
    def raw_observations(context: dg.AssetExecutionContext, config: BuildConfig) -> Iterator[dg.Output[PartitionPlans]]:
        planned = {model: plan_ingest(grid, model) for model in context.partition_keys}
        plans = PartitionPlans(planned, grid.registry.specs, config.force)
        for output in ("raw_observations", "rejected_observations"):
            yield dg.Output(plans, output, metadata=RECORDED_BY_IO_MANAGER)

    return raw_observations


def _broken_files(grid: Grid) -> str:
    """The mistakes of broken model files, as the end of a description, where everybody sees them."""
    if not grid.registry.broken:
        return ""
    mistakes = [str(mistake) for error in grid.registry.broken.values() for mistake in error.mistakes]
    more = len(mistakes) - _MOST_MISTAKES
    shown = [*mistakes[:_MOST_MISTAKES], *([f"and {more} more"] if more > 0 else [])]
    return "\n\n**Broken model files, whose partitions fail:**\n" + "\n".join(f"- {line}" for line in shown)


def plan_ingest(grid: Grid, model: str) -> IngestPlan | RefusedPlan:
    """The plan of one model's raw observations."""
    try:
        spec = grid.registry[model]
    except ModelFileError as error:
        return RefusedPlan(str(error))
    location = spec.location(grid.environment)
    if location is None:
        return RefusedPlan(f"{model}: source.location names no location for the environment {grid.environment!r}; add one.")
    return IngestPlan(spec, location, str(grid.registry.folder_of(model)))
