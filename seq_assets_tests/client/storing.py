"""Stored rows of any kind, made up and written to a file without a warehouse, for properties of what reads them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from seq_assets.client.batches import StoredRows
from seq_assets.models import ColumnType
from seq_assets.sequencing.plans import Dataset
from seq_assets.sequencing.schemas import TableSchema, raw_schema, sequence_schema
from seq_assets.warehouse.interface import Version
from seq_assets.warehouse.local.warehouse import LocalWarehouse

HOSTILE: Final = 'a",;\n\r\t\\/ é\u2028😀0'
TEXTS: Final = st.text(st.sampled_from(HOSTILE), max_size=4)
ROLES: Final = {"word": ColumnType.STRING, "skill": ColumnType.INT32, "right": ColumnType.BOOL, "lag": ColumnType.FLOAT32}
"""Features of made-up sequences, by name."""
_OTHERS: Final[Mapping[ColumnType, st.SearchStrategy[Any]]] = {
    ColumnType.BOOL: st.booleans(),
    ColumnType.STRING: TEXTS,
    ColumnType.DATE: st.dates(date(1, 1, 1)),
    ColumnType.FLOAT32: st.floats(width=32, allow_nan=False, allow_infinity=False),
    ColumnType.FLOAT64: st.floats(allow_nan=False, allow_infinity=False),
}
_BITS: Final = {ColumnType.INT8: 8, ColumnType.INT16: 16, ColumnType.INT32: 32, ColumnType.INT64: 64}


def values_of(type_: ColumnType) -> st.SearchStrategy[Any]:
    """Any values of a type, as they are stored."""
    if type_ in _BITS:
        return st.integers(-(2 ** (_BITS[type_] - 1)), 2 ** (_BITS[type_] - 1) - 1)
    if type_ is ColumnType.TIMESTAMP:
        bounds = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
        low, high = (math.floor(bound.timestamp()) * 1_000_000 for bound in bounds)
        return st.integers(low, high)
    return _OTHERS[type_]


@dataclass(frozen=True)
class Made:
    """Rows that were made up.

    Attributes:
        rows: In the table's order.
        schema: Their columns.
        dataset: Of which table they would be.
        stirred: The order in which the file has them, as Athena's has any; None for the table's.
    """

    rows: list[dict[str, Any]]
    schema: TableSchema
    dataset: Dataset
    stirred: list[int] | None

    def store(self, folder: Path) -> StoredRows:
        """The rows in a file of several row groups."""
        rows = self.rows if self.stirred is None else [self.rows[number] for number in self.stirred]
        file = folder / "rows.parquet"
        pq.write_table(pa.Table.from_pylist(rows, self.schema.stored()), file, row_group_size=2)
        metadata: Mapping[str, Any] = {"ordered": self.stirred is None, "model": {"entity": "pupil"}}
        version = Version(self.dataset, 7, datetime(2024, 1, 1, tzinfo=UTC), len(rows), self.schema, (str(file),), metadata)
        return StoredRows(version, version.files, LocalWarehouse(folder / "home"))


@st.composite
def sequences(draw: st.DrawFn, texts: st.SearchStrategy[str] = TEXTS) -> Made:
    """Sequences of features of every kind, overlapping or not, padded on either side."""
    length = draw(st.integers(1, 4))
    overlaps, is_left = draw(st.booleans()), draw(st.booleans())
    entity = draw(st.sampled_from([ColumnType.INT64, ColumnType.STRING]))
    types = ROLES | {"score": ColumnType.FLOAT64, "time": ColumnType.INT64, "small": ColumnType.INT8}
    schema = sequence_schema(("pupil", entity), types.items(), length, overlaps)
    pupils = draw(st.lists(values_of(entity), unique=True, max_size=4))
    pupils.sort(key=lambda pupil: pupil.encode() if isinstance(pupil, str) else pupil)
    rows = []
    for pupil in pupils:
        for index in range(draw(st.integers(1, 3))):
            size = draw(st.integers(1, length))
            row = {"pupil": pupil, "sequence_index": index, "sequence_start": index * length, "sequence_size": size}
            for name, type_ in types.items():
                values = texts if type_ is ColumnType.STRING else values_of(type_)
                row[f"{name}_sequence"] = draw(st.lists(values, min_size=length, max_size=length))
            padding = [1] * (length - size)
            row["is_pad_sequence"] = padding + [0] * size if is_left else [0] * size + padding
            if overlaps:
                row["is_repeat_sequence"] = [0 if pad else draw(st.integers(0, 1)) for pad in row["is_pad_sequence"]]
            rows.append(row)
    stirred = draw(st.none() | st.permutations(range(len(rows))))
    return Made(rows, schema, Dataset.sequenced("made", draw(st.sampled_from(["train", "validation"])), length), stirred)


@st.composite
def observations(draw: st.DrawFn) -> Made:
    """Raw observations with columns of every type, null where they may be."""
    types = {type_.value: type_ for type_ in ColumnType}
    schema = raw_schema(
        [
            ("pupil", ColumnType.INT64, False),
            *((f"{name}_or_null", type_, True) for name, type_ in types.items()),
            *((name, type_, False) for name, type_ in types.items()),
        ]
    )
    rows = []
    for subset in ("train", "validation"):
        for pupil in sorted(draw(st.sets(st.integers(-9, 9), max_size=3))):
            for position in range(draw(st.integers(1, 3))):
                row: dict[str, Any] = {"pupil": pupil, "subset": subset, "_file": "a.csv", "_position": position}
                row["_row"] = draw(st.none() | st.integers(1, 9))
                for name, type_ in types.items():
                    row[name] = draw(values_of(type_))
                    row[f"{name}_or_null"] = draw(st.none() | values_of(type_))
                rows.append(row)
    stirred = draw(st.none() | st.permutations(range(len(rows))))
    return Made(rows, schema, Dataset.raw("made"), stirred)
