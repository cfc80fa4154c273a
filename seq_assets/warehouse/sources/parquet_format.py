"""Parquet files, read by DuckDB: which records they have as SQL, and what its errors mean.

Each value arrives in its own type, whole or marked as unreadable (`parquet_types`); what a contract reads from it is said by
each warehouse.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import pyarrow.parquet as pq

from seq_assets.errors import SourceError
from seq_assets.models import ModelSpec
from seq_assets.warehouse.engine import Engine, failures_told, parquet, quoted, text_literal
from seq_assets.warehouse.sources.int96 import REMAINDERS, note_remainders
from seq_assets.warehouse.sources.location import SourceFile, SourceFiles
from seq_assets.warehouse.sources.parquet_streams import (
    FACTORS,
    MOST_MICROSECONDS,
    ParquetStream,
    columns_out_of_range,
    has_long_texts,
)
from seq_assets.warehouse.sources.parquet_types import (
    ABSENT_COLUMN,
    Form,
    ParquetColumn,
    broken_file_explained,
    check_chunks,
    int96_columns,
    parquet_column,
    written_fields,
)
from seq_assets.warehouse.sources.records import (
    LONGEST_TEXT,
    PathColumn,
    SourceFindings,
    WantedColumn,
    columns_of_files,
    columns_of_paths,
    present_columns,
    text_column,
    wanted_columns,
)

MAGIC: Final = b"PAR1"
"""With which each file begins and ends."""
_TAKEN_NAMES: Final = ("file_row_number", "file_index")


@dataclass(frozen=True)
class ParquetPart:
    """The records of files whose columns have the same types.

    Attributes:
        records: A subquery with `_file`, `_row`, `_malformed`, `_detail`, `_unreadable`, `_too_long`, each wanted column by its
            name in the contract, and `_text_<column>` for those of `texts`; where it reads a stream, it can be read once.
        types: The DuckDB type of each wanted column; `ABSENT` where the files do not have it, `UNFIT` where no contract can
            hold its values.
        written: What each wanted column is, as the files' writer says.
        texts: The wanted columns whose own text does not show all that stood there.
    """

    records: str
    types: Mapping[str, str]
    written: Mapping[str, str]
    texts: Collection[str]


class ParquetFiles:
    """The Parquet files of a source."""

    def __init__(self, source: SourceFiles, engine: Engine) -> None:
        """Makes the files readable for the engine.

        Args:
            source: The files.
            engine: What executes the records' queries.
        """
        self._source = source
        self._engine = engine
        self._streams: dict[int, ParquetStream] = {}
        if source.files[0].is_on_s3:
            from seq_assets.warehouse.storage.object_store import register_objects

            # A storage on S3 has made addresses readable already; what this one cannot read, it explains as a source's fault.
            engine.extend(register_objects)

    @property
    def rows(self) -> int:
        """The number of records, as the files say."""
        return sum(_footer(file).num_rows for file in self._source.files)

    def parts(self, spec: ModelSpec, findings: SourceFindings) -> list[ParquetPart]:
        """The records, per set of files with equal types; notes the columns that the files have.

        Reading files of different types together would cast their columns to a common type, which may lose values.

        Raises:
            SourceError: A file is none, lacks a column that may not be null, or has one whose order it does not keep.
        """
        groups: dict[tuple[tuple[str, ParquetColumn], ...], list[int]] = {}
        parts = []
        paths = columns_of_paths(wanted_columns(spec))
        most_bytes = spec.source.options.max_value_bytes
        for index, file in enumerate(self._source.files):
            described, footer = self._described(file), _footer(file)
            found = self._columns(columns_of_files(wanted_columns(spec)), index, file, described, footer, findings)
            _refuse_lost_order(spec, file, found)
            with broken_file_explained(file):
                check_chunks(footer, file.size)
                columns = self._streamed(spec, file, index, footer, found)
            if index in self._streams:
                parts.append(self._part(columns, paths, [index], most_bytes))
            else:
                groups.setdefault(tuple(columns.items()), []).append(index)
        return [*(self._part(dict(columns), paths, indexes, most_bytes) for columns, indexes in groups.items()), *parts]

    def _streamed(
        self, spec: ModelSpec, file: SourceFile, index: int, footer: pq.FileMetaData, columns: Mapping[str, ParquetColumn]
    ) -> Mapping[str, ParquetColumn]:
        """What each wanted column is, where Arrow has to read a file, whose stream is then registered; else as it was."""
        sources = {column.name: column.source for column in columns_of_files(wanted_columns(spec))}
        present = {sources[name]: column for name, column in columns.items() if column != ABSENT_COLUMN}
        out_of_range = columns_out_of_range(file, footer, present)
        if not out_of_range and not has_long_texts(footer, present):
            return columns
        present |= {
            source: replace(present[source], form=form) for source, form in out_of_range.items() if _is_instant(present[source])
        }
        self._streams[index] = ParquetStream(file, present)
        self._engine.register(_stream_name(index), self._streams[index].reader())
        return {name: present.get(sources[name], column) for name, column in columns.items()}

    def close(self) -> None:
        """Leaves the files."""
        for stream in self._streams.values():
            stream.close()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """For statements that read the files: each value is judged, and what DuckDB says becomes an error of the source.

        Raises:
            SourceError: A file cannot be read.
        """
        import duckdb

        try:
            with self._engine.trusting_no_statistics():
                yield
        except duckdb.Error as error:
            told = next((stream.error for stream in self._streams.values() if stream.error), None)
            if told is not None:
                raise told from error
            if isinstance(error, duckdb.InterruptException | duckdb.OutOfMemoryException):
                raise
            reason = _reason(error)
            if any(file.location in reason for file in self._source.files):
                raise SourceError(f"The source cannot be read as Parquet: {reason}; mend or remove that file.") from error
            # What fails in unpacking a page has lost the file's name.
            broken = None if isinstance(error, duckdb.IOException) else self._first_broken()
            if broken is None:
                raise
            raise SourceError(
                f"The source file {broken.location} cannot be read as Parquet: {reason}; mend or remove it."
            ) from error

    def _first_broken(self) -> SourceFile | None:
        """The first file that cannot be read to its end, on its own; None where each can, so that no file is to blame."""
        import duckdb

        # A database that has met what it never expected reads nothing more. A hash takes every value; a count would not.
        with duckdb.connect() as connection:
            failures = []
            if self._source.files[0].is_on_s3:
                from seq_assets.warehouse.storage.object_store import register_objects

                failures.append(register_objects(connection))
            for file in self._source.files:
                try:
                    with failures_told(failures):
                        connection.execute(f"SELECT bit_xor(hash(COLUMNS(*))) FROM {parquet([file.location])}").fetchall()
                except duckdb.Error:
                    return file
        return None

    def _described(self, file: SourceFile) -> list[tuple[str, str]]:
        """Name and type of each column, as DuckDB reads it."""
        import duckdb

        try:
            return [(row[0], row[1]) for row in self._engine.rows(f"DESCRIBE SELECT * FROM {parquet([file.location])}")]
        except duckdb.Error as error:
            raise SourceError(f"The source file {file.location} {_fault(file, error)}") from error

    def _columns(
        self,
        columns: tuple[WantedColumn, ...],
        index: int,
        file: SourceFile,
        described: list[tuple[str, str]],
        footer: pq.FileMetaData,
        findings: SourceFindings,
    ) -> dict[str, ParquetColumn]:
        """What each wanted column is in a file; notes the file's columns."""
        with broken_file_explained(file):
            written, int96 = written_fields(footer), int96_columns(footer)
        if len(written) != len(described):
            found = f"it has {len(written)} columns by its footer, and {len(described)} by its schema"
            raise SourceError(f"The source file {file.location} cannot be read as Parquet: {found}; write it again.")
        names = [field.name for field in written]
        findings.add_columns(index, names)
        taken = [name for name in names if name.lower() in _TAKEN_NAMES]
        if taken:
            raise SourceError(
                f"The source file {file.location} has a column {taken[0]!r}, which the reader of Parquet adds; rename it."
            )
        present = present_columns(file, columns, names)
        # By place, because DuckDB renames a column whose name differs from another one's in upper and lower case only.
        by_name = {
            field.name: parquet_column(name, type_, field, field.name in int96)
            for field, (name, type_) in zip(written, described, strict=True)
        }
        return {column.name: by_name[column.source] if column in present else ABSENT_COLUMN for column in columns}

    def _part(
        self, columns: Mapping[str, ParquetColumn], paths: tuple[PathColumn, ...], indexes: list[int], most_bytes: int
    ) -> ParquetPart:
        int96 = {name: column.name_in_file for name, column in columns.items() if column.form is Form.INT96}
        files = {index: self._source.files[index] for index in indexes} if int96 else {}
        finer = note_remainders(self._engine, files, int96) if int96 else []
        return ParquetPart(
            records=self._records(columns, paths, indexes, finer, most_bytes),
            types={name: column.type for name, column in columns.items()} | {column.name: "VARCHAR" for column in paths},
            written={name: column.written for name, column in columns.items()} | {column.name: "text" for column in paths},
            texts=[*finer, *(name for name, column in columns.items() if column.form in FACTORS)],
        )

    def _records(
        self,
        columns: Mapping[str, ParquetColumn],
        paths: tuple[PathColumn, ...],
        indexes: list[int],
        finer: Collection[str],
        most_bytes: int,
    ) -> str:
        files = parquet((self._source.files[index].location for index in indexes), "file_row_number = true")
        if indexes[0] in self._streams:
            files = _stream_name(indexes[0])
        numbers = f"[{', '.join(map(str, indexes))}]"
        file, row = f"CAST({numbers}[_source.file_index::BIGINT + 1] AS INTEGER)", "_source.file_row_number + 1"
        found = [f"{self._of_paths(column, indexes)} AS {quoted(column.name)}" for column in paths]
        marks, too_long, joins = [], [], []
        for name, column in columns.items():
            value, is_too_long = _value(column), _is_longer(column, most_bytes)
            if is_too_long is not None:
                value = f"CASE WHEN {is_too_long} THEN left({value}, {LONGEST_TEXT}) ELSE {value} END"
                too_long.append(f"CASE WHEN {is_too_long} THEN {text_literal(name)} END")
            found.append(f"{value} AS {quoted(name)}")
            stored = f"_source.{quoted(column.name)}"
            if column.form is Form.BYTES:
                marks.append(f"CASE WHEN {stored} IS NOT NULL AND TRY(decode({stored})) IS NULL THEN {text_literal(name)} END")
            if column.form in FACTORS:
                is_in_range = _is_in_range(column)
                marks.append(f"CASE WHEN NOT {is_in_range} THEN {text_literal(name)} END")
                unit = "ms" if column.form is Form.MILLISECONDS else "us"
                shown = f"CASE WHEN {is_in_range} THEN CAST({value} AS VARCHAR) ELSE {stored} || ' {unit}' END"
                found.append(f"{shown} AS {quoted(text_column(name))}")
        for number, name in enumerate(finer):
            rest = f"_rest{number}"
            of_column = f"SELECT * FROM {REMAINDERS} WHERE name = {text_literal(name)}"
            joins.append(f"LEFT JOIN ({of_column}) AS {rest} ON {rest}.file = {file} AND {rest}.row = {row}")
            marks.append(f"{rest}.name")
            found.append(f"{_with_nanoseconds(columns[name], f'{rest}.nanoseconds')} AS {quoted(text_column(name))}")
        return (
            f"(SELECT {file} AS _file, {row} AS _row, NULL::VARCHAR AS _malformed, NULL::VARCHAR AS _detail, "
            f"{_joined(marks)} AS _unreadable, {_joined(too_long)} AS _too_long, {', '.join(found)} "
            f"FROM {files} AS _source {' '.join(joins)})"
        )

    def _of_paths(self, column: PathColumn, indexes: list[int]) -> str:
        """The column's value, by the number of the file among those of these indexes."""
        found = (column.part.of(self._source.files[index].name) for index in indexes)
        values = ", ".join("NULL" if value is None else text_literal(value) for value in found)
        return f"CAST([{values}][_source.file_index::BIGINT + 1] AS VARCHAR)"


def _refuse_lost_order(spec: ModelSpec, file: SourceFile, columns: Mapping[str, ParquetColumn]) -> None:
    """Refuses histories that would be ordered by the texts of categories that have an order of their own."""
    for name in spec.order_by:
        if name in columns and columns[name].is_ordered:
            raise SourceError(
                f"The source file {file.location} has ordered categories in {columns[name].name!r}, which order_by names "
                f"({name}); Parquet does not keep their order, and their values alone have another one. Write the place of "
                "each value as a number beside it and name that in order_by, or write the column without an order."
            )


def _value(column: ParquetColumn) -> str:
    """The values of a column in its type."""
    if column == ABSENT_COLUMN:
        return "NULL"
    stored = f"_source.{quoted(column.name)}"
    if column.form is Form.AS_TEXT:
        return f"CAST({stored} AS VARCHAR)"
    if column.form is Form.BYTES:
        return f"coalesce(TRY(decode({stored})), CAST({stored} AS VARCHAR))"
    if column.form in FACTORS:
        make = "make_timestamptz" if column.type == "TIMESTAMP WITH TIME ZONE" else "make_timestamp"
        # Any other is marked as unreadable, as which no null counts.
        moment = f"{make}(CASE WHEN {_is_in_range(column)} THEN {stored} * {FACTORS[column.form]} ELSE 0 END)"
        return f"CASE WHEN {stored} IS NOT NULL THEN {moment} END"
    # INT96 is UTC.
    return f"make_timestamptz(epoch_us({stored}))" if column.form is Form.INT96 else stored


def _is_in_range(column: ParquetColumn) -> str:
    """Whether an integer is a point in time that microseconds hold."""
    most = MOST_MICROSECONDS // FACTORS[column.form]
    return f"(_source.{quoted(column.name)} BETWEEN {-most} AND {most})"


def _is_longer(column: ParquetColumn, most_bytes: int) -> str | None:
    """Whether a text has more bytes than are allowed; None where the column has no texts."""
    if column.type != "VARCHAR":
        return None
    stored = f"_source.{quoted(column.name)}"
    if column.form is Form.BYTES:
        return f"octet_length({stored}) > {most_bytes}"
    return f"strlen({f'CAST({stored} AS VARCHAR)' if column.form is Form.AS_TEXT else stored}) > {most_bytes}"


def _joined(names: list[str]) -> str:
    """Names that are null where they are not meant, with commas between the others; null where there is none."""
    return f"nullif(concat_ws(',', {', '.join(names)}), '')" if names else "NULL::VARCHAR"


def _is_instant(column: ParquetColumn) -> bool:
    return column.type in ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE")


def _stream_name(index: int) -> str:
    """The name by which queries read the file of an index, where Arrow reads it."""
    return f"parquet_stream_{index}"


def _with_nanoseconds(column: ParquetColumn, nanoseconds: str) -> str:
    """The text of a point in time, with the nanoseconds that DuckDB drops."""
    stored = f"_source.{quoted(column.name)}"
    exact = f"strftime({stored}, '%Y-%m-%d %H:%M:%S.%f') || lpad({nanoseconds}::VARCHAR, 3, '0')"
    return f"CASE WHEN {nanoseconds} IS NULL THEN CAST({stored} AS VARCHAR) ELSE {exact} END || '+00'"


def _fault(file: SourceFile, error: Exception) -> str:
    """Why a file cannot be read as Parquet, and what mends it."""
    with file.open() as opened:
        start = opened.read(len(MAGIC))
        opened.seek(max(0, file.size - len(MAGIC)))
        end = opened.read()
    if start != MAGIC:
        return "cannot be read as Parquet, and is no such file; set source.format to what it is, or mend its name."
    if end != MAGIC:
        return "cannot be read as Parquet: its end is missing, as of a file that was cut off; write or copy it again."
    return f"cannot be read as Parquet: {_reason(error)}; mend it."


def _reason(error: Exception) -> str:
    """The first line of what a library says, without the name of its error."""
    return re.sub("^[A-Za-z ]+ Error: ", "", str(error).splitlines()[0])


def _footer(file: SourceFile) -> pq.FileMetaData:
    """A file's footer, from which Arrow can tell the columns.

    Raises:
        SourceError: It is broken.
    """
    with file.open() as opened, broken_file_explained(file):
        return pq.read_metadata(opened)
