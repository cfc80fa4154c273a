"""Parquet files that DuckDB cannot read as they are, read by Arrow instead, in small batches.

DuckDB ends a whole query at one time in milliseconds that its microseconds cannot hold, and holds a whole page of texts in
memory more than once. Belongs here: which files are concerned, by their footers, and their rows as a stream of Arrow's. Not
here: what a column is (`parquet_types`), nor what becomes of its values (`parquet_format`).
"""

import json
import uuid
from collections.abc import Collection, Generator, Iterator, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seq_assets.errors import SourceError
from seq_assets.warehouse.cancellation import raise_if_canceled
from seq_assets.warehouse.sources.location import SourceFile
from seq_assets.warehouse.sources.parquet_types import UNFIT, Form, ParquetColumn, broken_file_explained

FACTORS: Final = {Form.MILLISECONDS: 1_000, Form.MICROSECONDS: 1}
"""Microseconds of the integers that are points in time."""
MOST_MICROSECONDS: Final = 2**63 - 1
_DAY: Final = 86_400
_LARGE_CHUNK: Final = 1 << 28
"""Bytes of one column in one row group that may all be one page, where its values are long."""
_LONG_VALUE: Final = 1 << 10
_BATCH_BYTES: Final = 1 << 25
_BATCH_ROWS: Final = 1 << 15
_UNITS: Final = {"milliseconds": 1_000, "microseconds": 1_000_000, "nanoseconds": 1_000_000_000}
"""How many make a second."""
_ADDED: Final = (pa.field("file_index", pa.int64()), pa.field("file_row_number", pa.int64()))
"""The columns that DuckDB's reader adds, too."""


def columns_out_of_range(file: SourceFile, footer: pq.FileMetaData, names: Collection[str]) -> dict[str, Form]:
    """The top-level columns, of those named, with a time that DuckDB does not take, and how such values can reach it.

    The file is read where its footer does not say between which values they are.
    """
    found = {}
    for leaf in range(footer.num_columns):
        column = footer.schema.column(leaf)
        name = _top_level(column.path, names)
        taken = None if name is None else _taken(json.loads(column.logical_type.to_json()))
        if name is not None and taken is not None:
            chunks = [footer.row_group(group).column(leaf) for group in range(footer.num_row_groups)]
            is_told = all(map(_is_told, chunks))
            ends = map(_ends, chunks) if is_told else _ends_of_values(file, column.path)
            if any(not taken[0] <= low <= high <= taken[1] for low, high in filter(None, ends)):
                is_coarse = taken[1] < MOST_MICROSECONDS
                found[name] = Form.MILLISECONDS if is_coarse else Form.MICROSECONDS
    return found


def has_long_texts(footer: pq.FileMetaData, names: Collection[str]) -> bool:
    """Whether the values of a column in one row group are long, and together more than DuckDB should be given at once."""
    chunks = (
        footer.row_group(group).column(leaf) for group in range(footer.num_row_groups) for leaf in range(footer.num_columns)
    )
    return any(
        chunk.total_uncompressed_size > max(_LARGE_CHUNK, _LONG_VALUE * chunk.num_values)
        and _top_level(chunk.path_in_schema, names) is not None
        for chunk in chunks
    )


class ParquetStream:
    """The rows of one file, which can be read once: columns by the names that DuckDB gives them, and those of `_ADDED`.

    What no contract can hold is a text that says what it is.

    Attributes:
        error: What ended it; None as long as nothing did. Whoever takes the batches may make something else of it.
    """

    def __init__(self, file: SourceFile, columns: Mapping[str, ParquetColumn]) -> None:
        """Nothing is read yet; the columns are by their name in the file."""
        self._file = file
        self._columns = columns
        self.error: SourceError | None = None
        with file.open() as opened:
            written = pq.read_schema(opened)
        self._types: dict[str, pa.DataType] = {
            name: _streamed_type(written.field(name).type, column) for name, column in columns.items()
        }
        self._batches = self._read()

    def reader(self) -> pa.RecordBatchReader:
        """The rows."""
        return pa.RecordBatchReader.from_batches(self._schema, self._batches)

    def close(self) -> None:
        """Leaves the file, wherever reading stopped."""
        self._batches.close()

    @property
    def _schema(self) -> pa.Schema:
        return pa.schema([*(pa.field(column.name, self._types[name]) for name, column in self._columns.items()), *_ADDED])

    def _read(self) -> Generator[pa.RecordBatch]:
        try:
            with broken_file_explained(self._file), self._file.open() as opened:
                parquet_file = pq.ParquetFile(
                    opened, coerce_int96_timestamp_unit="us", buffer_size=_BATCH_BYTES, pre_buffer=False
                )
                row = 0
                for group in range(parquet_file.metadata.num_row_groups):
                    rows = _rows_at_once(parquet_file.metadata.row_group(group), self._columns)
                    for batch in parquet_file.iter_batches(rows, [group], list(self._columns)):
                        raise_if_canceled()
                        yield self._streamed(batch, row)
                        row += batch.num_rows
        except SourceError as error:
            self.error = error
            raise

    def _streamed(self, batch: pa.RecordBatch, row: int) -> pa.RecordBatch:
        arrays = [_streamed(batch.column(name), self._types[name], column) for name, column in self._columns.items()]
        numbers = pa.array(range(row, row + batch.num_rows), pa.int64())
        return pa.RecordBatch.from_arrays(
            [*arrays, pa.repeat(pa.scalar(0, pa.int64()), batch.num_rows), numbers], schema=self._schema
        )


def _top_level(path: str, names: Collection[str]) -> str | None:
    """The column, of those named, that a column without parts is a part of."""
    return next((name for name in names if path == name or path.startswith(f"{name}.")), None)


def _is_told(chunk: pq.ColumnChunkMetaData) -> bool:
    """Whether the footer says between which values those of a chunk are, or that there are none."""
    statistics = chunk.statistics
    return statistics is not None and (statistics.has_min_max or statistics.null_count == chunk.num_values)


def _taken(logical_type: Mapping[str, Any]) -> tuple[int, int] | None:
    """The least and the most of a time, as it is stored, that DuckDB takes; None of any other type."""
    unit = _UNITS.get(logical_type.get("timeUnit", ""))
    if unit is None:
        return None
    if logical_type["Type"] == "Time":
        return 0, _DAY * unit - 1
    most = MOST_MICROSECONDS // (_UNITS["microseconds"] // unit) if unit <= _UNITS["microseconds"] else MOST_MICROSECONDS
    return -most, most


def _ends(chunk: pq.ColumnChunkMetaData) -> tuple[int, int] | None:
    """The least and the greatest value, as the footer says; None where there is none."""
    statistics = chunk.statistics
    return (statistics.min_raw, statistics.max_raw) if statistics is not None and statistics.has_min_max else None


def _ends_of_values(file: SourceFile, path: str) -> Iterator[tuple[int, int] | None]:
    """The same from the values, batch by batch."""
    with file.open() as opened:
        for batch in pq.ParquetFile(opened).iter_batches(columns=[path]):
            raise_if_canceled()
            values = batch.column(0)
            while pa.types.is_nested(values.type):
                values = values.flatten()[0] if pa.types.is_struct(values.type) else values.flatten()
            ends = pc.min_max(values.view(f"int{values.type.bit_width}")).as_py()
            yield None if ends["min"] is None else (ends["min"], ends["max"])


def _rows_at_once(group: pq.RowGroupMetaData, names: Collection[str]) -> int:
    """The rows of a batch, so that it is not large where the values are."""
    chunks = (group.column(leaf) for leaf in range(group.num_columns))
    size = sum(chunk.total_uncompressed_size for chunk in chunks if _top_level(chunk.path_in_schema, names) is not None)
    rows: int = group.num_rows * _BATCH_BYTES // max(size, 1)
    return max(1, min(_BATCH_ROWS, rows))


def _streamed_type(written: pa.DataType, column: ParquetColumn) -> pa.DataType:
    """In which type DuckDB takes from Arrow what it would read from the file."""
    values = written.value_type if pa.types.is_dictionary(written) else written
    if column.form in FACTORS:
        return pa.int64()
    if column.form is Form.INT96:
        return pa.timestamp("us")
    if column.form is Form.BYTES:
        return pa.large_binary()
    if column.type in ("VARCHAR", UNFIT) or pa.types.is_nested(values) or pa.types.is_time(values):
        return pa.large_string()
    if pa.types.is_date(values):
        return pa.date32()
    return pa.float32() if pa.types.is_float16(values) else values


def _streamed(values: pa.Array, type_: pa.DataType, column: ParquetColumn) -> pa.Array:
    if column.form is Form.AS_TEXT:
        return pa.array(map(_text, values.to_pylist()), type_)
    if column.form is Form.PLAIN and column.type != "VARCHAR" and pa.types.is_large_string(type_):
        return pc.if_else(values.is_valid(), pa.scalar(column.written, type_), pa.scalar(None, type_))
    return values.cast(type_)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return str(uuid.UUID(bytes=value)) if isinstance(value, bytes) else str(value)
