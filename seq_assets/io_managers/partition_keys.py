"""Partition keys, `model` and `model|sequence_length`: what they are made of, and what they tag runs and materializations with.

Not here: which partitions there are (`seq_assets.assets.partitions`).
"""

from collections.abc import Iterable
from typing import Final

MODEL: Final = "model"
SEQUENCE_LENGTH: Final = "sequence_length"
_SEPARATOR: Final = "|"
_MOST_VALUES: Final = 5
"""That the tag of a run over many partitions names."""


def cell_key(model: str, sequence_length: int) -> str:
    """The partition key of a cell."""
    return f"{model}{_SEPARATOR}{sequence_length}"


def split_cell_key(key: str) -> tuple[str, int]:
    """Model and sequence length of a cell's partition key."""
    model, length = key.rsplit(_SEPARATOR, maxsplit=1)
    return model, int(length)


def model_of(key: str) -> str:
    """The model of a partition key of either kind."""
    return key.split(_SEPARATOR, maxsplit=1)[0]


def partition_tags(keys: Iterable[str]) -> dict[str, str]:
    """The tags `model` and, of cells, `sequence_length` of what concerns these partitions."""
    columns = zip(*(key.split(_SEPARATOR) for key in keys), strict=True)
    return {name: _joined(column) for name, column in zip((MODEL, SEQUENCE_LENGTH), columns, strict=False)}


def _joined(values: Iterable[str]) -> str:
    different = list(dict.fromkeys(values))
    more = len(different) - _MOST_VALUES
    return ", ".join([*different[:_MOST_VALUES], *([f"and {more} more"] if more > 0 else [])])
