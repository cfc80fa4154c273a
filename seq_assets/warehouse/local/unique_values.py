"""How many different values number columns have, by sorting: a fraction of what a hash table of as many values takes.

Belongs here: columns that may have about as many values as rows. Of others and of texts, `warehouse.metrics` asks the engine.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from seq_assets.models import ColumnType, ModelSpec
from seq_assets.warehouse.engine import Engine, quoted

VALUES_AT_ONCE: Final = 1 << 24
"""Values that are sorted at once, about: 128 MiB."""
_TYPES: Final = (ColumnType.INT64, ColumnType.TIMESTAMP, ColumnType.FLOAT32, ColumnType.FLOAT64)


def unique_counts(engine: Engine, spec: ModelSpec, rows: str, values_at_once: int = VALUES_AT_ONCE) -> dict[str, int]:
    """The exact number of different non-null values of each column of a wide number type.

    Args:
        engine: Where the rows are.
        spec: The model.
        rows: A table expression with the contract's columns.
        values_at_once: Of more rows, values are taken in parts by their hash, one pass over the column each.
    """
    names = [name for name, column in spec.columns.items() if column.type in _TYPES]
    parts = engine.row(f"SELECT count(*) AS rows FROM {rows}")["rows"] // values_at_once + 1
    return {
        name: sum(_unique_count(engine, name, rows, part, parts, values_at_once) for part in range(parts)) for name in names
    }


def _unique_count(engine: Engine, name: str, rows: str, part: int, parts: int, values_at_once: int) -> int:
    value = quoted(name)
    condition = f"{value} IS NOT NULL" + (f" AND hash({value}) % {parts} = {part}" if parts > 1 else "")
    batches = engine.stream(f"SELECT {value} FROM {rows} WHERE {condition}")
    return _count_different((np.asarray(batch.column(0)) for batch in batches), values_at_once)


def _count_different(pieces: Iterable[NDArray[Any]], values_at_once: int) -> int:
    different: list[NDArray[Any]] = []
    pending = 0
    for piece in pieces:
        different.append(piece)
        pending += len(piece)
        # A value that many rows have is in one part with all of them: these are not kept.
        if pending > values_at_once:
            different, pending = [_different(different)], 0
    return len(_different(different)) if different else 0


def _different(pieces: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The values, each once; numpy's own `unique` puts integers into a hash table, which takes many times as long."""
    values = np.concatenate(pieces)
    values.sort()
    is_first = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=is_first[1:])
    return values[is_first]
