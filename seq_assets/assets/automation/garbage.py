"""The job `gc`: what the command of that name does, by what the model files say.

Belongs here: how a run of Dagster says what was removed. Not here: when it runs (`schedules`), or what goes (the warehouse).
"""

from typing import Final

import dagster as dg

from seq_assets.assets.partitions import Grid
from seq_assets.io_managers.resources import WarehouseResource
from seq_assets.warehouse.retention import Retention

GC_JOB: Final = "gc"


def build_garbage_job(grid: Grid) -> dg.JobDefinition:
    """A job of one step, which waits for nobody: it may run while others publish and read.

    Args:
        grid: Whose model files say what is kept.
    """

    @dg.op(description="Removes versions beyond those that are kept, and what killed processes have left.")
    def collect_garbage(
        context: dg.OpExecutionContext, seq_assets_warehouse: dg.ResourceParam[WarehouseResource]
    ) -> dg.Output[None]:
        found = seq_assets_warehouse.open().collect_garbage(Retention.of_models(grid.registry.specs))
        for version in found.expired:
            context.log.info(f"{version.dataset.table}: version {version.id} of {version.committed_at:%Y-%m-%d} was removed.")
        for one in found.removed:
            context.log.info(f"{one.place}: {one.number:,} {one.kind} were removed, {one.bytes:,} bytes.")
        for sentence in found.spared:
            context.log.warning(sentence)
        numbers = {"versions": len(found.expired), "files": sum(one.number for one in found.removed), "bytes": found.bytes}
        return dg.Output(None, metadata=numbers)

    @dg.job(name=GC_JOB, description="Remove versions that nobody keeps, and leftovers.")
    def gc() -> None:
        collect_garbage()

    return gc
