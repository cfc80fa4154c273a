"""The partitions of the graph: by model, and by model and sequence length.

See Dagster's documentation on partitioned assets. Keys of the grid are `model|sequence_length`.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Final

import dagster as dg

from seq_assets.models import ModelRegistry
from seq_assets.models.spec import EnvironmentName

MODEL: Final = "model"
SEQUENCE_LENGTH: Final = "sequence_length"


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
        places = enumerate(length for length in self.registry.lengths)
        wanted = [(place, length) for place, length in places if length in lengths]
        runs = [list(run) for _, run in groupby(enumerate(wanted), key=lambda item: item[1][0] - item[0])]
        return [(cell_key(model, run[0][1][1]), cell_key(model, run[-1][1][1])) for run in runs]


def cell_key(model: str, sequence_length: int) -> str:
    """The partition key of a cell."""
    return f"{model}|{sequence_length}"


def split_cell_key(key: str) -> tuple[str, int]:
    """Model and sequence length of a cell's partition key."""
    model, length = key.rsplit("|", maxsplit=1)
    return model, int(length)
