"""Parquet files, read by DuckDB: which records they have as SQL, and what its errors mean.

Each value arrives in its own type; what a contract reads from it is said by each warehouse.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow.parquet as pq

from seq_assets.errors import SourceError
from seq_assets.warehouse.engine import Engine, parquet, quoted
from seq_assets.warehouse.sources.location import SourceFile, SourceFiles
from seq_assets.warehouse.sources.records import FoundColumns, WantedColumn, present_columns

if TYPE_CHECKING:
    from seq_assets.warehouse.storage.object_store import DuckDBFiles

ABSENT: Final = '"NULL"'
"""DuckDB's type of a column that a file does not have."""
_TAKEN_NAMES: Final = ("file_row_number", "file_index")


@dataclass(frozen=True)
class ParquetPart:
    """The records of files whose columns have the same types.

    Attributes:
        records: A subquery with `_file`, `_row`, `_malformed`, `_detail`, `_unreadable` and each wanted column by its name in
            the contract.
        types: The DuckDB type of each wanted column; `ABSENT` where the files do not have it.
    """

    records: str
    types: Mapping[str, str]


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
        self._objects: DuckDBFiles | None = None
        if source.files[0].is_on_s3:
            from seq_assets.warehouse.storage.object_store import register_objects

            # A storage on S3 has made addresses readable already; what this one cannot read, it explains as a source's fault.
            self._objects = engine.extended(register_objects)

    @property
    def rows(self) -> int:
        """The number of records, as the files say."""
        return sum(_footer(file).num_rows for file in self._source.files)

    def parts(self, columns: tuple[WantedColumn, ...], found: FoundColumns) -> list[ParquetPart]:
        """The records, per set of files with equal types; notes the columns that the files have.

        Reading files of different types together would cast their columns to a common type, which may lose values.

        Raises:
            SourceError: A file is none, or lacks a column that may not be null.
        """
        groups: dict[tuple[tuple[str, tuple[str, str]], ...], list[int]] = {}
        for index, file in enumerate(self._source.files):
            described = self._described(file)
            names = _footer(file).schema.to_arrow_schema().names
            found.add(names)
            # By place, because DuckDB renames a column whose name differs from another one's in upper and lower case only.
            by_name = dict(zip(names, described, strict=False))
            groups.setdefault(tuple(_found_columns(columns, file, names, by_name).items()), []).append(index)
        return [
            ParquetPart(self._records(dict(schema), indexes), {name: type_ for name, (_, type_) in schema})
            for schema, indexes in groups.items()
        ]

    @contextmanager
    def explained(self) -> Iterator[None]:
        """What DuckDB says of the files becomes an error of the source.

        Raises:
            SourceError: A file cannot be read.
        """
        import duckdb

        try:
            yield
        except duckdb.InvalidInputException as error:  # names the file
            reason = str(error).splitlines()[0].removeprefix("Invalid Input Error: ")
            raise SourceError(f"The source cannot be read as Parquet: {reason}; mend or remove that file.") from error
        except duckdb.Error as error:
            # DuckDB makes a text of what the store refused.
            raise (self._objects and self._objects.error) or error from None

    def _described(self, file: SourceFile) -> list[tuple[str, str]]:
        """Name and type of each column, as DuckDB reads it."""
        import duckdb

        try:
            return [(row[0], row[1]) for row in self._engine.rows(f"DESCRIBE SELECT * FROM {_table([file.location])}")]
        except duckdb.Error as error:
            if self._objects and self._objects.error:
                raise self._objects.error from None
            reason = str(error).splitlines()[0]
            raise SourceError(f"The source file {file.location} cannot be read as Parquet: {reason}") from error

    def _records(self, found: Mapping[str, tuple[str, str]], indexes: list[int]) -> str:
        columns = ", ".join(
            f"{'NULL' if type_ == ABSENT else quoted(name)} AS {quoted(column)}" for column, (name, type_) in found.items()
        )
        files = _table((self._source.files[index].location for index in indexes), "file_row_number = true")
        numbers = f"[{', '.join(map(str, indexes))}]"
        return (
            f"(SELECT CAST({numbers}[file_index::BIGINT + 1] AS INTEGER) AS _file, file_row_number + 1 AS _row, "
            f"NULL::VARCHAR AS _malformed, NULL::VARCHAR AS _detail, NULL::VARCHAR AS _unreadable, {columns} "
            f"FROM {files})"
        )


def _found_columns(
    columns: tuple[WantedColumn, ...], file: SourceFile, names: list[str], described: Mapping[str, tuple[str, str]]
) -> dict[str, tuple[str, str]]:
    """Of each wanted column: its name and its type in DuckDB."""
    taken = [name for name in names if name.lower() in _TAKEN_NAMES]
    if taken:
        raise SourceError(
            f"The source file {file.location} has a column {taken[0]!r}, which the reader of Parquet adds; rename it."
        )
    present = present_columns(file, columns, names)
    return {column.name: described[column.source] if column in present else ("NULL", ABSENT) for column in columns}


def _footer(file: SourceFile) -> pq.FileMetaData:
    with file.open() as opened:
        return pq.read_metadata(opened)


def _table(locations: Iterable[str], *options: str) -> str:
    """A table function that reads the files; old writers leave it open that their bytes are text."""
    return f"{parquet(locations).removesuffix(')')}, {', '.join(['binary_as_string = true', *options])})"
