"""The columns of every table, as the model means them, as they are stored, and as Arrow shows them.

Belongs here: the one mapping from contract types to Arrow types. Iceberg's types follow from these in
`warehouse.storage.iceberg_tables`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from seq_assets.models import ColumnType

_STORED: Final[dict[ColumnType, pa.DataType]] = {
    ColumnType.INT8: pa.int8(),
    ColumnType.INT16: pa.int16(),
    ColumnType.INT32: pa.int32(),
    ColumnType.INT64: pa.int64(),
    ColumnType.FLOAT32: pa.float32(),
    ColumnType.FLOAT64: pa.float64(),
    ColumnType.BOOL: pa.bool_(),
    ColumnType.STRING: pa.string(),
    ColumnType.DATE: pa.date32(),
    ColumnType.TIMESTAMP: pa.int64(),
}


def stored_type(column_type: ColumnType) -> pa.DataType:
    """The Arrow type in which values are stored: timestamps are int64 microseconds since the epoch, UTC."""
    return _STORED[column_type]


def presented_type(column_type: ColumnType) -> pa.DataType:
    """The Arrow type that a reader gets: as stored, but timestamps are timestamp[us, UTC]."""
    return pa.timestamp("us", tz="UTC") if column_type is ColumnType.TIMESTAMP else stored_type(column_type)


@dataclass(frozen=True)
class TableColumn:
    """One column of a table.

    Attributes:
        name: Its name.
        type: The type of its values, or of the items of its lists.
        length: The number of items in each of its lists; None where it holds single values.
        nullable: Whether it may hold null. Items of lists are never null.
        origin: The column of the model's contract that it comes from, for lineage; None where there is none.
    """

    name: str
    type: ColumnType
    length: int | None = None
    nullable: bool = False
    origin: str | None = None


@dataclass(frozen=True)
class TableSchema:
    """The columns of a table, in order."""

    columns: tuple[TableColumn, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(column.name for column in self.columns)

    def stored(self) -> pa.Schema:
        """The Arrow schema of the finished files."""
        return self._arrow(stored=True)

    def presented(self) -> pa.Schema:
        """The Arrow schema that a reader gets."""
        return self._arrow(stored=False)

    def _arrow(self, stored: bool) -> pa.Schema:
        fields = []
        for column in self.columns:
            value_type = stored_type(column.type) if stored else presented_type(column.type)
            if column.length is not None:
                value_type = pa.list_(pa.field("element", value_type, nullable=False), column.length)
            fields.append(pa.field(column.name, value_type, nullable=column.nullable))
        return pa.schema(fields)

    def to_json(self) -> str:
        """The schema as JSON text, as a version keeps it."""
        return json.dumps([[c.name, c.type.value, c.length, c.nullable, c.origin] for c in self.columns])

    @classmethod
    def from_json(cls, text: str) -> "TableSchema":
        """The schema that `to_json` wrote."""
        return cls(
            tuple(
                TableColumn(name, ColumnType(type_), length, nullable, origin)
                for name, type_, length, nullable, origin in json.loads(text)
            )
        )


def raw_schema(columns: Iterable[tuple[str, ColumnType, bool]]) -> TableSchema:
    """The schema of raw observations: the contract's columns (name, type, nullable), then what the platform adds."""
    contract = tuple(TableColumn(name, type_, nullable=nullable, origin=name) for name, type_, nullable in columns)
    added = (
        TableColumn("subset", ColumnType.STRING),
        TableColumn("_file", ColumnType.STRING),
        TableColumn("_row", ColumnType.INT64, nullable=True),
        TableColumn("_position", ColumnType.INT64),
    )
    return TableSchema(contract + added)


COLUMN_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "subset": "The subset that the observation belongs to: train or validation.",
    "_file": "The source file that it comes from, relative to the source's location.",
    "_row": "The number of its record in that file, from 1; null where the source has no order.",
    "_position": "Its place in its entity's history within the subset, from 0.",
    "file": "The source file of the rejected record, relative to the source's location.",
    "row": "The number of the record in that file, from 1; null where the source has no order.",
    "column": "The column of the contract that rejects it; null where the whole record cannot be read.",
    "value": "The value as it stood in the source.",
    "detail": "What was found, where the reason alone does not say; else null.",
    "reason": "The first of the contract's rules that the value breaks.",
    "sequence_index": "The ordinal of the sequence among those of its entity, from 0.",
    "sequence_start": "The place of its first item in the entity's history, from 0.",
    "sequence_size": "How many of its positions hold an item; the others are padding.",
    "is_pad_sequence": "0 on an item, 1 on padding: the only truth about padding, as a pad value may equal a real one.",
    "is_repeat_sequence": "1 on an item that stands in an earlier sequence of the entity too, else 0; 0 on padding.",
}
"""Of the columns that do not come from a model's contract, by name."""


REJECTED_SCHEMA: Final = TableSchema(
    (
        TableColumn("file", ColumnType.STRING),
        TableColumn("row", ColumnType.INT64, nullable=True),
        TableColumn("column", ColumnType.STRING, nullable=True),
        TableColumn("value", ColumnType.STRING, nullable=True),
        TableColumn("detail", ColumnType.STRING, nullable=True),
        TableColumn("reason", ColumnType.STRING),
    )
)


VOCABULARY_SCHEMA: Final = TableSchema(
    (
        TableColumn("feature", ColumnType.STRING),
        TableColumn("value", ColumnType.STRING),
        TableColumn("id", ColumnType.INT32),
        TableColumn("count", ColumnType.INT64),
    )
)


def sequence_schema(
    entity: tuple[str, ColumnType],
    features: Iterable[tuple[str, ColumnType]],
    sequence_length: int,
    repeats: bool,
    origins: Mapping[str, str] = {},
) -> TableSchema:
    """The schema of a sequence table.

    Args:
        entity: Name and type of the entity's column.
        features: Name and type (of the contract or of the items) of each feature, in the model's order.
        sequence_length: Items per list.
        repeats: Whether windows overlap, so that `is_repeat_sequence` applies.
        origins: The raw columns of features that are named otherwise.
    """
    name, entity_type = entity
    columns = [
        TableColumn(name, entity_type, origin=name),
        TableColumn("sequence_index", ColumnType.INT32),
        TableColumn("sequence_start", ColumnType.INT64),
        TableColumn("sequence_size", ColumnType.INT32),
    ]
    columns += [
        TableColumn(f"{feature}_sequence", type_.as_feature, sequence_length, origin=origins.get(feature, feature))
        for feature, type_ in features
    ]
    columns.append(TableColumn("is_pad_sequence", ColumnType.INT8, sequence_length))
    if repeats:
        columns.append(TableColumn("is_repeat_sequence", ColumnType.INT8, sequence_length))
    return TableSchema(tuple(columns))
