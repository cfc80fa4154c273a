"""JSON lines: one object per line."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from seq_assets.models import ColumnType
from seq_assets.models.spec import SourceOptions
from seq_assets.warehouse.sources.lines import DelimitedFile
from seq_assets.warehouse.sources.location import SourceFile
from seq_assets.warehouse.sources.records import (
    FILE,
    MALFORMED,
    ROW,
    UNREADABLE,
    WantedColumn,
    malformed_records,
    records_schema,
)

if TYPE_CHECKING:
    import duckdb

_NO_DELIMITER: Final = "\x01"
"""A control character, which JSON must escape, so that every line is one field."""
_LINE: Final = "1"


def read_json(
    file: SourceFile, index: int, columns: tuple[WantedColumn, ...], options: SourceOptions
) -> Iterator[pa.RecordBatch]:
    """The records of one file of JSON lines; null and a missing key are null, a line that is no object is malformed.

    Raises:
        SourceError: The file cannot be read.
    """
    import duckdb

    delimited = DelimitedFile(file, options.encoding, _NO_DELIMITER, quoted=False, header=False)
    schema = records_schema(columns)
    with duckdb.connect(config={"threads": 1}) as connection:
        for numbers, lines, malformed in delimited.batches([_LINE]):
            if malformed:
                yield malformed_records(schema, index, malformed)
            yield from _parsed(connection, index, numbers, lines.column(_LINE), columns)


def _parsed(
    connection: "duckdb.DuckDBPyConnection", index: int, numbers: pa.Array, lines: pa.Array, columns: tuple[WantedColumn, ...]
) -> Iterator[pa.RecordBatch]:
    connection.register("lines", pa.table({"number": numbers, "line": lines}))
    query = f"""
        WITH parsed AS (
            SELECT number, line, CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' ELSE false END AS is_object
            FROM lines
        ), objects AS (
            SELECT number, CASE WHEN is_object THEN NULL ELSE left(line, 1000) END AS malformed,
                CASE WHEN is_object THEN line END AS object
            FROM parsed
        )
        SELECT {index}::INTEGER AS "{FILE}", number AS "{ROW}", malformed AS "{MALFORMED}",
            nullif(concat_ws(',', {", ".join(_unreadable(column) for column in columns)}), '') AS "{UNREADABLE}",
            {", ".join(f'{_text(column)} AS "{column.name}"' for column in columns)}
        FROM objects"""
    yield from connection.sql(query).to_arrow_reader(1 << 17)


def _pointer(column: WantedColumn) -> str:
    """The column's JSON pointer as a SQL literal."""
    key = column.source.replace("~", "~0").replace("/", "~1").replace("'", "''")
    return f"'/{key}'"


def _text(column: WantedColumn) -> str:
    text = f"json_extract_string(object, {_pointer(column)})"
    if not column.type.is_integer:
        return text
    number = f"TRY_CAST({text} AS DOUBLE)"
    whole = f"json_type(object, {_pointer(column)}) = 'DOUBLE' AND {number} = trunc({number}) AND abs({number}) < 1e19"
    return f"CASE WHEN {whole} THEN CAST(CAST({number} AS HUGEINT) AS VARCHAR) ELSE {text} END"


def _unreadable(column: WantedColumn) -> str:
    types = "('OBJECT', 'ARRAY', 'DOUBLE')" if column.type is ColumnType.STRING else "('OBJECT', 'ARRAY')"
    return f"CASE WHEN json_type(object, {_pointer(column)}) IN {types} THEN '{column.name}' END"
