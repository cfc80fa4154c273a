"""Records of sources: what every reader of text yields, and which of the wanted columns a file has."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from seq_assets.errors import SourceError
from seq_assets.models import ColumnType, ModelSpec
from seq_assets.warehouse.sources.location import SourceFile

logger = logging.getLogger(__name__)

FILE: Final = "_file"
ROW: Final = "_row"
MALFORMED: Final = "_malformed"
DETAIL: Final = "_detail"
UNREADABLE: Final = "_unreadable"
LONGEST_TEXT: Final = 1_000
"""Characters of a malformed record that are kept."""


def text_column(name: str) -> str:
    """The column of the records that shows what stood in a column of the contract, where its own text does not."""
    return f"_text_{name}"


@dataclass(frozen=True)
class MalformedRecord:
    """A record that is none.

    Attributes:
        text: As it stood.
        detail: What is wrong with it.
    """

    text: str
    detail: str


@dataclass(frozen=True)
class WantedColumn:
    """A column to read: its name in the contract, its name in the source, its type, and whether it may be missing."""

    name: str
    source: str
    type: ColumnType
    nullable: bool


def wanted_columns(spec: ModelSpec) -> tuple[WantedColumn, ...]:
    """The columns of a model's contract, as they are looked for in its source."""
    return tuple(
        WantedColumn(name, column.from_ or name, column.type, column.nullable) for name, column in spec.columns.items()
    )


class FoundColumns:
    """The columns that the files of a source turn out to have, in order of first appearance."""

    def __init__(self) -> None:
        """None yet."""
        self._names: dict[str, None] = {}

    def add(self, names: Iterable[str]) -> None:
        """Notes the columns of one more file."""
        self._names.update(dict.fromkeys(names))

    def ignored(self, columns: tuple[WantedColumn, ...]) -> list[str]:
        """Those that are not wanted."""
        wanted = {column.source for column in columns}
        return [name for name in self._names if name not in wanted]

    def absent(self, columns: tuple[WantedColumn, ...]) -> list[str]:
        """The wanted ones that no file has."""
        return [column.source for column in columns if column.source not in self._names]


def records_schema(columns: tuple[WantedColumn, ...]) -> pa.Schema:
    """The columns of text records.

    `_file` is the file's index, `_row` the record's number in it (from 1), `_malformed` the text of a record that is none (else
    null), `_detail` what is wrong with it, `_unreadable` the comma-separated names of columns whose value the format itself
    knows not to be of the contract's type (else null); then each wanted column as text, null where the source says null.
    """
    fixed = [
        pa.field(FILE, pa.int32(), nullable=False),
        pa.field(ROW, pa.int64(), nullable=False),
        pa.field(MALFORMED, pa.string()),
        pa.field(DETAIL, pa.string()),
        pa.field(UNREADABLE, pa.string()),
    ]
    return pa.schema(fixed + [pa.field(column.name, pa.string()) for column in columns])


def malformed_records(schema: pa.Schema, file: int, rows: Mapping[int, MalformedRecord]) -> pa.RecordBatch:
    """A batch of malformed records, by row number."""
    columns: list[pa.Array] = [
        pa.array([file] * len(rows), pa.int32()),
        pa.array(list(rows), pa.int64()),
        pa.array([record.text[:LONGEST_TEXT] for record in rows.values()], pa.string()),
        pa.array([record.detail for record in rows.values()], pa.string()),
    ]
    columns += [pa.nulls(len(rows), field.type) for field in list(schema)[len(columns) :]]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def present_columns(file: SourceFile, columns: tuple[WantedColumn, ...], found: list[str]) -> list[WantedColumn]:
    """The wanted columns that a file with these columns has. One that may be null may be missing: it is null, and that is said.

    Raises:
        SourceError: A wanted column stands there twice, or is missing and may not be null.
    """
    present = []
    for column in columns:
        times = found.count(column.source)
        if times > 1:
            raise SourceError(
                f"The source file {file.location} has {times} columns {column.source!r}; allowed: one. Rename the others."
            )
        if times == 1:
            present.append(column)
        elif column.nullable:
            logger.warning("%s has no column %r; %s is null in all of its rows", file.location, column.source, column.name)
        else:
            raise SourceError(missing_column(file, column, found))
    return present


def missing_column(file: SourceFile, column: WantedColumn, found: list[str]) -> str:
    """The message for a column that a file does not have."""
    from seq_assets.models.cross_checks import nearest

    shown = ", ".join(map(repr, found[:40]))
    return (
        f"The source file {file.location} has no column {column.source!r} (columns.{column.name}); found: {shown}"
        f"{nearest(column.source, found)} Mend the file, or name the source's column with `from`."
    )
