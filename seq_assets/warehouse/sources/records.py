"""Records of sources: what every reader of text yields, and which of the wanted columns a file has."""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seq_assets.errors import SourceError
from seq_assets.models import ColumnType, ModelSpec
from seq_assets.models.columns import PathPart
from seq_assets.warehouse.sources.location import SourceFile

logger = logging.getLogger(__name__)

FILE: Final = "_file"
ROW: Final = "_row"
MALFORMED: Final = "_malformed"
DETAIL: Final = "_detail"
UNREADABLE: Final = "_unreadable"
TOO_LONG: Final = "_too_long"
LONGEST_TEXT: Final = 1_000
"""Characters that are kept of a malformed record, and of a value that is too long."""


def text_column(name: str) -> str:
    """The column of the records that shows what stood in a column of the contract, where its own text does not."""
    return f"_text_{name}"


@dataclass(frozen=True)
class MalformedRecord:
    """A record that is none.

    Attributes:
        text: As it stood.
        detail: What is wrong with it.
        is_too_long: Whether that is its length.
    """

    text: str
    detail: str
    is_too_long: bool = False


@dataclass(frozen=True)
class WantedColumn:
    """A column to read: its name in the contract, its name in the source, its type, and whether it may be missing."""

    name: str
    source: str
    type: ColumnType
    nullable: bool


@dataclass(frozen=True)
class PathColumn:
    """A column whose value is a part of the path of the file that a record stands in."""

    name: str
    part: PathPart


Column: TypeAlias = WantedColumn | PathColumn


def wanted_columns(spec: ModelSpec) -> tuple[Column, ...]:
    """The columns of a model's contract, as they are looked for in its source."""
    return tuple(
        PathColumn(name, column.from_)
        if isinstance(column.from_, PathPart)
        else WantedColumn(name, column.from_ or name, column.type, column.nullable)
        for name, column in spec.columns.items()
    )


def columns_of_files(columns: Iterable[Column]) -> tuple[WantedColumn, ...]:
    """Those that are looked for in files."""
    return tuple(column for column in columns if isinstance(column, WantedColumn))


def columns_of_paths(columns: Iterable[Column]) -> tuple[PathColumn, ...]:
    """Those that are looked for in the paths of files."""
    return tuple(column for column in columns if isinstance(column, PathColumn))


@dataclass(frozen=True)
class FileFindings:
    """What one file turns out to have.

    Attributes:
        columns: Their names, in order of first appearance.
        records_over_lines: How many of its records span lines.
    """

    columns: tuple[str, ...] = ()
    records_over_lines: int = 0


class SourceFindings:
    """What the files of a source turn out to have: columns, in order of first appearance, and records that span lines."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._columns: dict[int, dict[str, None]] = {}
        self._over_lines: dict[int, int] = {}

    def add_columns(self, index: int, names: Iterable[str]) -> None:
        """Notes columns of a file, which is given by its index."""
        self._columns.setdefault(index, {}).update(dict.fromkeys(names))

    def add_records_over_lines(self, index: int, file: SourceFile, records: int) -> None:
        """Notes how many records of one more file span lines, and says so where there are any."""
        self._over_lines[index] = records
        if records:
            said = f"{records:,} records of %s span lines" if records > 1 else "1 record of %s spans lines"
            logger.warning(said, file.location)

    def of(self, index: int) -> FileFindings:
        """What was noted of one file."""
        return FileFindings(tuple(self._columns.get(index, ())), self._over_lines.get(index, 0))

    @property
    def records_over_lines(self) -> int:
        """How many records of CSV files span lines."""
        return sum(self._over_lines.values())

    @property
    def _names(self) -> dict[str, None]:
        """The columns of all files, in the order of the files, whichever of them was looked at first."""
        return dict.fromkeys(name for index in sorted(self._columns) for name in self._columns[index])

    def ignored(self, columns: Iterable[Column]) -> list[str]:
        """The columns that are not wanted."""
        wanted = {column.source for column in columns_of_files(columns)}
        return [name for name in self._names if name not in wanted]

    def absent(self, columns: Iterable[Column]) -> list[str]:
        """The wanted ones that no file has."""
        names = self._names
        return [column.source for column in columns_of_files(columns) if column.source not in names]

    def refuse_another_case(self, subject: str, columns: Iterable[Column]) -> None:
        """Refuses a source that has a wanted column nowhere, but one whose name differs in upper and lower case.

        Raises:
            SourceError: That is so of one of the columns.
        """
        wanted, names = columns_of_files(columns), self._names
        for column in wanted:
            if column.source not in names:
                refuse_another_case(subject, column, wanted, names)

    def metadata(self, columns: Iterable[Column]) -> dict[str, Any]:
        """What a version remembers of them: `ignored_columns` and `records_over_lines`."""
        return {"ignored_columns": self.ignored(columns), "records_over_lines": self.records_over_lines}


def records_schema(columns: Iterable[Column]) -> pa.Schema:
    """The columns of text records.

    `_file` is the file's index, `_row` the record's number in it (from 1), `_malformed` the text of a record that is none (else
    null), `_detail` what is wrong with it, `_unreadable` the comma-separated names of columns whose value the format itself
    knows not to be of the contract's type (else null), `_too_long` those whose value has more bytes than the source's options
    allow, of which the column holds the beginning (else null; of a malformed record an empty text where its length is what is
    wrong); then each wanted column as text, null where the source says null.
    """
    fixed = [
        pa.field(FILE, pa.int32(), nullable=False),
        pa.field(ROW, pa.int64(), nullable=False),
        pa.field(MALFORMED, pa.string()),
        pa.field(DETAIL, pa.string()),
        pa.field(UNREADABLE, pa.string()),
        pa.field(TOO_LONG, pa.string()),
    ]
    return pa.schema(fixed + [pa.field(column.name, pa.string()) for column in columns])


def malformed_records(schema: pa.Schema, file: int, rows: Mapping[int, MalformedRecord]) -> pa.RecordBatch:
    """A batch of malformed records, by row number."""
    columns: list[pa.Array] = [
        pa.array([file] * len(rows), pa.int32()),
        pa.array(list(rows), pa.int64()),
        pa.array([record.text[:LONGEST_TEXT] for record in rows.values()], pa.string()),
        pa.array([record.detail for record in rows.values()], pa.string()),
        pa.nulls(len(rows), pa.string()),
        pa.array(["" if record.is_too_long else None for record in rows.values()], pa.string()),
    ]
    columns += [pa.nulls(len(rows), field.type) for field in list(schema)[len(columns) :]]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def records_batch(
    schema: pa.Schema, file: int, numbers: pa.Array, columns: Mapping[str, pa.Array | pa.ChunkedArray]
) -> pa.RecordBatch:
    """A batch of records that are not malformed.

    Args:
        schema: That of the records.
        file: The file's index.
        numbers: Of each record its number in the file.
        columns: By wanted column; those that the file does not have are null.
    """
    nothing = pa.nulls(len(numbers), pa.string())
    fixed = [pa.repeat(pa.scalar(file, pa.int32()), len(numbers)), numbers, nothing, nothing, nothing, nothing]
    return pa.RecordBatch.from_arrays(
        [*fixed, *(columns.get(name, nothing) for name in schema.names[len(fixed) :])], schema=schema
    )


def cut_values(batch: pa.RecordBatch, most_bytes: int) -> pa.RecordBatch:
    """The records with the beginning of each value that has more bytes, marked in `_too_long`."""
    arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
    found: dict[int, list[str]] = {}
    for name in batch.schema.names[batch.schema.get_field_index(TOO_LONG) + 1 :]:
        # What all values have together bounds each of them, and is known.
        lengths = pc.binary_length(arrays[name]) if arrays[name].nbytes > most_bytes else None
        if lengths is not None and (pc.max(lengths).as_py() or 0) > most_bytes:
            is_long = pc.fill_null(pc.greater(lengths, most_bytes), False)
            beginnings = pc.utf8_slice_codeunits(arrays[name].filter(is_long), 0, LONGEST_TEXT)
            arrays[name] = pc.replace_with_mask(arrays[name], is_long, beginnings)
            for place in np.flatnonzero(is_long.to_numpy(zero_copy_only=False)).tolist():
                found.setdefault(place, []).append(name)
    if not found:
        return batch
    marks = [",".join(found[place]) if place in found else mark for place, mark in enumerate(arrays[TOO_LONG].to_pylist())]
    return pa.RecordBatch.from_pydict(arrays | {TOO_LONG: pa.array(marks, pa.string())}, schema=batch.schema)


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
            continue
        refuse_another_case(f"The source file {file.location} has", column, columns, found)
        if column.nullable:
            logger.warning("%s has no column %r; %s is null in all of its rows", file.location, column.source, column.name)
        else:
            raise SourceError(missing_column(file, column, found))
    return present


def refuse_another_case(subject: str, column: WantedColumn, columns: Iterable[WantedColumn], found: Iterable[str]) -> None:
    """Refuses to leave a column out whose name stands there with other letters in upper case.

    Args:
        subject: Who lacks the column, with its verb.
        column: The column that is not among those found.
        columns: All that are wanted.
        found: The columns that are there.

    Raises:
        SourceError: There is such a name, which nobody wants.
    """
    wanted = {other.source for other in columns}
    for name in found:
        if name.casefold() == column.source.casefold() and name not in wanted:
            raise SourceError(
                f"{subject} no column {column.source!r} (columns.{column.name}), but {name!r}; set "
                f"columns.{column.name}.from: {json.dumps(name, ensure_ascii=False)}."
            )


def missing_column(file: SourceFile, column: WantedColumn, found: list[str]) -> str:
    """The message for a column that a file does not have."""
    from seq_assets.models.cross_checks import nearest

    shown = ", ".join(map(repr, found[:40]))
    return (
        f"The source file {file.location} has no column {column.source!r} (columns.{column.name}); found: {shown}"
        f"{nearest(column.source, found) or '.'} Mend the file, or name the source's column with `from`."
    )
