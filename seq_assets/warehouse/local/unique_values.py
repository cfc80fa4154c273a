"""How many different values number columns have, by sorting: a fraction of what a hash table of as many values takes.

Belongs here: columns that may have about as many values as rows. Of others and of texts, `warehouse.metrics` asks the engine.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from seq_assets.models import ColumnType, ModelSpec
from seq_assets.warehouse.engine import Engine, quoted
from seq_assets.warehouse.storage.prefetching import prefetched

VALUES_AT_ONCE: Final = 1 << 24
"""Values that are sorted at once, about: 128 MiB."""
_TYPES: Final = (ColumnType.INT64, ColumnType.TIMESTAMP, ColumnType.FLOAT32, ColumnType.FLOAT64)


def unique_counts(
    engine: Engine,
    spec: ModelSpec,
    rows: str,
    known: Mapping[str, int] = MappingProxyType({}),
    values_at_once: int = VALUES_AT_ONCE,
) -> dict[str, int]:
    """The exact number of different non-null values of each column of a wide number type, and what is known of others.

    Args:
        engine: Where the rows are.
        spec: The model.
        rows: A table expression with the contract's columns.
        known: Of columns whose different values have been counted already, how many there are.
        values_at_once: Of more rows, values are taken in parts by their hash, one pass over the column each.
    """
    names = [name for name, column in spec.columns.items() if column.type in _TYPES and name not in known]
    parts = engine.row(f"SELECT count(*) AS rows FROM {rows}")["rows"] // values_at_once + 1
    counts = dict.fromkeys(names, 0)
    taken = ((name, _taken(engine, name, rows, part, parts, values_at_once)) for name in names for part in range(parts))
    # The values of one part are sorted while those of the next one are read.
    with closing(prefetched(taken)) as pieces_of_parts:
        for name, pieces in pieces_of_parts:
            counts[name] += len(_different(pieces)) if pieces else 0
    return {**known, **counts}


def _taken(engine: Engine, name: str, rows: str, part: int, parts: int, values_at_once: int) -> list[NDArray[Any]]:
    """The values of one part, some of them more than once."""
    value = quoted(name)
    condition = f"{value} IS NOT NULL" + (f" AND hash({value}) % {parts} = {part}" if parts > 1 else "")
    taken: list[NDArray[Any]] = []
    pending = 0
    for batch in engine.stream(f"SELECT {value} FROM {rows} WHERE {condition}"):
        taken.append(np.asarray(batch.column(0)))
        pending += batch.num_rows
        # A value that many rows have is in one part with all of them: these are not kept.
        if pending > values_at_once:
            taken, pending = [_different(taken)], 0
    return taken


def _different(pieces: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The values, each once; numpy's own `unique` puts integers into a hash table, which takes many times as long."""
    values = np.concatenate(pieces)
    values.sort()
    is_first = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=is_first[1:])
    return values[is_first]
