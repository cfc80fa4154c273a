"""`sequenced_train` and `sequenced_validation`: fixed-length, padded sequences, by model and sequence length."""

import dagster as dg

from seq_assets.assets.common import DOCS, GROUP, BuildConfig
from seq_assets.assets.partitions import Grid
from seq_assets.errors import ModelFileError
from seq_assets.io_managers.data_versions import CODE_VERSION, RECORDED_BY_IO_MANAGER
from seq_assets.io_managers.partition_keys import split_cell_key
from seq_assets.io_managers.plan_io_manager import IO_MANAGER_KEY, WAREHOUSE_POOL
from seq_assets.models import Subset
from seq_assets.sequencing.plans import PartitionPlans, RefusedPlan, SequencePlan
from seq_assets.warehouse.interface import RawObservations


def build_sequenced(grid: Grid, subset: Subset, owners: list[str], kinds: set[str]) -> dg.AssetsDefinition:
    """The asset of one subset over the grid's cells."""

    @dg.asset(
        name=f"sequenced_{subset}",
        description=f"The {subset} histories of each model, cut into sequences of each of its lengths and padded; "
        "`is_pad_sequence` says what is padding.",
        ins={"raw_observations": dg.AssetIn(partition_mapping=grid.model_to_cells)},
        partitions_def=grid.cells,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=WAREHOUSE_POOL,
        code_version=CODE_VERSION,
        group_name=GROUP,
        io_manager_key=IO_MANAGER_KEY,
        metadata=DOCS,
        owners=owners,
        kinds=kinds,
        tags={"layer": "sequences", "subset": subset},
    )
    def sequenced(
        context: dg.AssetExecutionContext, config: BuildConfig, raw_observations: RawObservations
    ) -> dg.Output[PartitionPlans]:
        plans = {key: plan_cell(grid, subset, key, raw_observations) for key in context.partition_keys}
        return dg.Output(PartitionPlans(plans, grid.registry.specs, config.force), metadata=RECORDED_BY_IO_MANAGER)

    return sequenced


def plan_cell(grid: Grid, subset: Subset, key: str, raw_observations: RawObservations) -> SequencePlan | RefusedPlan:
    """The plan of one cell; one that its model does not declare (any more) is refused."""
    model, length = split_cell_key(key)
    try:
        spec = grid.registry[model]
    except ModelFileError as error:
        return RefusedPlan(str(error))
    if length not in spec.lengths:
        has = f"has the lengths {', '.join(map(str, spec.lengths))}" if spec.lengths else "is a raw model"
        return RefusedPlan(f"{key}: no declared cell; {model} {has}. Choose another, or add it to its sequence_lengths.")
    if model not in raw_observations.versions:
        return RefusedPlan(f"{model} has no published raw_observations; materialize that partition first.")
    return SequencePlan.of(spec, subset, length, raw_observations.versions[model].id)
