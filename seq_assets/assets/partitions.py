"""The partitions of the graph: by model, and by declared cell, a model at one of its sequence lengths.

See Dagster's documentation on partitioned assets. There is no partition that nobody declares, so that whatever is missing is
missing; `MultiPartitionsDefinition` cannot leave any out.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from seq_assets.io_managers.partition_keys import cell_key, partition_tags
from seq_assets.models import ModelRegistry
from seq_assets.models.spec import EnvironmentName


@dataclass(frozen=True)
class Grid:
    """All models and the cells that they declare.

    Attributes:
        registry: The models. Those of broken files have a partition too, which fails with the file's mistakes; cells they have
            none, because their lengths cannot be read.
        environment: Chooses among a source's locations.
    """

    registry: ModelRegistry
    environment: EnvironmentName

    @cached_property
    def models(self) -> dg.StaticPartitionsDefinition:
        """One partition per model."""
        return dg.StaticPartitionsDefinition(list(self.registry.names))

    @cached_property
    def cells(self) -> dg.StaticPartitionsDefinition:
        """One partition per declared cell, model by model, lengths ascending."""
        return dg.StaticPartitionsDefinition([key for model in self.registry.names for key in self.cells_of(model)])

    @cached_property
    def model_to_cells(self) -> dg.StaticPartitionMapping:
        """Sequences of a cell read the raw observations of its model."""
        return dg.StaticPartitionMapping({model: self.cells_of(model) for model in self.registry.names})

    def cells_of(self, model: str) -> list[str]:
        """The keys of a model's cells, lengths ascending; none of a raw model or a broken file."""
        spec = self.registry.specs.get(model)
        return [cell_key(model, length) for length in sorted(spec.lengths)] if spec else []

    def cell_ranges(self, cells: Collection[str]) -> list[list[str]]:
        """The fewest partition ranges that hold these cells and no other, each with all its keys."""
        return _stretches(self.cells.get_partition_keys(), cells)

    def model_ranges(self, models: Collection[str]) -> list[list[str]]:
        """The fewest partition ranges that hold these models and no other, each with all its models."""
        return _stretches(self.registry.names, models)


def range_tags(keys: Sequence[str]) -> dict[str, str]:
    """The tags of a run over a range of partitions: which range, and what it is about.

    Args:
        keys: All of the range, in order.
    """
    return {ASSET_PARTITION_RANGE_START_TAG: keys[0], ASSET_PARTITION_RANGE_END_TAG: keys[-1], **partition_tags(keys)}


def _stretches(everything: Sequence[str], wanted: Collection[str]) -> list[list[str]]:
    """The wanted keys, those that stand side by side together."""
    found = [(place, key) for place, key in enumerate(everything) if key in wanted]
    runs = groupby(enumerate(found), key=lambda numbered: numbered[1][0] - numbered[0])
    return [[key for _, (_, key) in run] for _, run in runs]
