"""The partitions of the graph: by model, and by model and sequence length.

See Dagster's documentation on partitioned assets. Keys of the grid are `model|sequence_length`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Final, TypeVar

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from seq_assets.models import ModelRegistry
from seq_assets.models.spec import EnvironmentName

MODEL: Final = "model"
SEQUENCE_LENGTH: Final = "sequence_length"
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Grid:
    """All models and the union of their sequence lengths.

    Attributes:
        registry: The models, broken ones included: their partitions exist and fail with the file's mistakes.
        environment: Chooses among a source's locations.
    """

    registry: ModelRegistry
    environment: EnvironmentName

    @cached_property
    def models(self) -> dg.StaticPartitionsDefinition:
        """One partition per model."""
        return dg.StaticPartitionsDefinition(list(self.registry.names))

    @cached_property
    def cells(self) -> dg.MultiPartitionsDefinition:
        """One partition per model and length, whether the model declares the length or not."""
        lengths = dg.StaticPartitionsDefinition([str(length) for length in self.registry.lengths])
        return dg.MultiPartitionsDefinition({MODEL: self.models, SEQUENCE_LENGTH: lengths})

    @cached_property
    def cell_to_model(self) -> dg.MultiToSingleDimensionPartitionMapping:
        """Sequences of a cell read the raw observations of its model."""
        return dg.MultiToSingleDimensionPartitionMapping(MODEL)

    def declared_ranges(self, model: str, lengths: tuple[int, ...]) -> list[tuple[str, str]]:
        """The fewest partition ranges (first and last key, both included) that hold a model's lengths and no other."""
        return [(cell_key(model, stretch[0]), cell_key(model, stretch[-1])) for stretch in self.length_ranges(lengths)]

    def length_ranges(self, lengths: Collection[int]) -> list[list[int]]:
        """The fewest ranges of a model's cells that hold these lengths and no other, each with all its lengths."""
        return _stretches(self.registry.lengths, lengths)

    def model_ranges(self, models: Collection[str]) -> list[list[str]]:
        """The fewest partition ranges that hold these models and no other, each with all its models."""
        return _stretches(self.registry.names, models)


def cell_key(model: str, sequence_length: int) -> str:
    """The partition key of a cell."""
    return f"{model}|{sequence_length}"


def range_tags(first: str, last: str) -> dict[str, str]:
    """The tags of a run over a range of partitions, both ends included."""
    return {ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last}


def split_cell_key(key: str) -> tuple[str, int]:
    """Model and sequence length of a cell's partition key."""
    model, length = key.rsplit("|", maxsplit=1)
    return model, int(length)


def _stretches(everything: Sequence[_Item], wanted: Collection[_Item]) -> list[list[_Item]]:
    """The wanted items, those that stand side by side together."""
    found = [(place, item) for place, item in enumerate(everything) if item in wanted]
    runs = groupby(enumerate(found), key=lambda numbered: numbered[1][0] - numbered[0])
    return [[item for _, (_, item) in run] for _, run in runs]
