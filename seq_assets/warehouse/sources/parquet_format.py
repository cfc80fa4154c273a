"""Parquet files, read by DuckDB: which records they have as SQL, and what its errors mean.

Each value arrives in its own type, whole or marked as unreadable (`parquet_types`); what a contract reads from it is said by
each warehouse.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import pyarrow.parquet as pq

from seq_assets.errors import SourceError
from seq_assets.models import ModelSpec
from seq_assets.warehouse.engine import Engine, failures_told, parquet, quoted, text_literal
from seq_assets.warehouse.sources.int96 import REMAINDERS, note_remainders
from seq_assets.warehouse.sources.location import SourceFile, SourceFiles
from seq_assets.warehouse.sources.parquet_types import (
    ABSENT_COLUMN,
    Form,
    ParquetColumn,
    broken_file_explained,
    int96_columns,
    parquet_column,
    written_fields,
)
from seq_assets.warehouse.sources.records import (
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
        records: A subquery with `_file`, `_row`, `_malformed`, `_detail`, `_unreadable`, each wanted column by its name in the
            contract, and `_text_<column>` for those of `texts`.
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
        for index, file in enumerate(self._source.files):
            columns = self._columns(columns_of_files(wanted_columns(spec)), file, findings)
            _refuse_lost_order(spec, file, columns)
            groups.setdefault(tuple(columns.items()), []).append(index)
        paths = columns_of_paths(wanted_columns(spec))
        return [self._part(dict(columns), paths, indexes) for columns, indexes in groups.items()]

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
        self, columns: tuple[WantedColumn, ...], file: SourceFile, findings: SourceFindings
    ) -> dict[str, ParquetColumn]:
        """What each wanted column is in a file; notes the file's columns."""
        described = self._described(file)
        footer = _footer(file)
        with broken_file_explained(file):
            written, int96 = written_fields(footer), int96_columns(footer)
        if len(written) != len(described):
            found = f"it has {len(written)} columns by its footer, and {len(described)} by its schema"
            raise SourceError(f"The source file {file.location} cannot be read as Parquet: {found}; write it again.")
        names = [field.name for field in written]
        findings.add_columns(names)
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

    def _part(self, columns: Mapping[str, ParquetColumn], paths: tuple[PathColumn, ...], indexes: list[int]) -> ParquetPart:
        int96 = {name: column.name for name, column in columns.items() if column.form is Form.INT96}
        files = {index: self._source.files[index] for index in indexes} if int96 else {}
        finer = note_remainders(self._engine, files, int96) if int96 else []
        return ParquetPart(
            records=self._records(columns, paths, indexes, finer),
            types={name: column.type for name, column in columns.items()} | {column.name: "VARCHAR" for column in paths},
            written={name: column.written for name, column in columns.items()} | {column.name: "text" for column in paths},
            texts=finer,
        )

    def _records(
        self,
        columns: Mapping[str, ParquetColumn],
        paths: tuple[PathColumn, ...],
        indexes: list[int],
        finer: Collection[str],
    ) -> str:
        files = parquet((self._source.files[index].location for index in indexes), "file_row_number = true")
        numbers = f"[{', '.join(map(str, indexes))}]"
        file, row = f"CAST({numbers}[_source.file_index::BIGINT + 1] AS INTEGER)", "_source.file_row_number + 1"
        found = [f"{self._of_paths(column, indexes)} AS {quoted(column.name)}" for column in paths]
        marks, joins = [], []
        for name, column in columns.items():
            found.append(f"{_value(column)} AS {quoted(name)}")
            if column.form is Form.BYTES:
                stored = f"_source.{quoted(column.name)}"
                marks.append(f"CASE WHEN {stored} IS NOT NULL AND TRY(decode({stored})) IS NULL THEN {text_literal(name)} END")
        for number, name in enumerate(finer):
            rest = f"_rest{number}"
            of_column = f"SELECT * FROM {REMAINDERS} WHERE name = {text_literal(name)}"
            joins.append(f"LEFT JOIN ({of_column}) AS {rest} ON {rest}.file = {file} AND {rest}.row = {row}")
            marks.append(f"{rest}.name")
            found.append(f"{_with_nanoseconds(columns[name], f'{rest}.nanoseconds')} AS {quoted(text_column(name))}")
        unreadable = f"nullif(concat_ws(',', {', '.join(marks)}), '')" if marks else "NULL::VARCHAR"
        return (
            f"(SELECT {file} AS _file, {row} AS _row, NULL::VARCHAR AS _malformed, NULL::VARCHAR AS _detail, "
            f"{unreadable} AS _unreadable, {', '.join(found)} FROM {files} AS _source {' '.join(joins)})"
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
    # INT96 is UTC.
    return f"make_timestamptz(epoch_us({stored}))" if column.form is Form.INT96 else stored


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
