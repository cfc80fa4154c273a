"""JSON lines: one object per line."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from seq_assets.models import ColumnType
from seq_assets.models.spec import SourceOptions
from seq_assets.warehouse.sources.lines import DelimitedFile
from seq_assets.warehouse.sources.location import SourceFile
from seq_assets.warehouse.sources.records import (
    DETAIL,
    FILE,
    LONGEST_TEXT,
    MALFORMED,
    ROW,
    UNREADABLE,
    FoundColumns,
    WantedColumn,
    malformed_records,
    records_schema,
)

if TYPE_CHECKING:
    import duckdb

_NO_DELIMITER: Final = "\x01"
"""A control character, which JSON must escape, so that every line is one field."""
_LINE: Final = "1"
_LINES_WITH_KEYS: Final = 1_000
"""Keys may differ from line to line; these are looked at to tell people what is ignored."""


def read_json(
    file: SourceFile, index: int, columns: tuple[WantedColumn, ...], options: SourceOptions, found: FoundColumns
) -> Iterator[pa.RecordBatch]:
    """The records of one file of JSON lines; null and a missing key are null, a line that is no object is malformed.

    The columns that the file has are the keys of its first lines.

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
            if numbers.slice(0, 1).to_pylist() == [1]:
                found.add(_keys(connection, lines.column(_LINE).slice(0, _LINES_WITH_KEYS)))
            yield from _parsed(connection, index, numbers, lines.column(_LINE), columns)


def _keys(connection: "duckdb.DuckDBPyConnection", lines: pa.Array) -> list[str]:
    """The keys of objects, in order of first appearance."""
    connection.register("first_lines", pa.table({"line": lines}))
    query = "SELECT json_keys(line) FROM first_lines WHERE json_valid(line) AND json_type(line) = 'OBJECT'"
    return [key for (keys,) in connection.execute(query).fetchall() for key in keys]


def _parsed(
    connection: "duckdb.DuckDBPyConnection", index: int, numbers: pa.Array, lines: pa.Array, columns: tuple[WantedColumn, ...]
) -> Iterator[pa.RecordBatch]:
    connection.register("lines", pa.table({"number": numbers, "line": lines}))
    # Each function is called once per line with all pointers, because each call parses the line.
    pointers = f"[{', '.join(_pointer(column) for column in columns)}]"
    query = f"""
        WITH parsed AS (
            SELECT number, line, CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' ELSE false END AS is_object
            FROM lines
        ), extracted AS (
            SELECT number, CASE WHEN is_object THEN NULL ELSE left(line, {LONGEST_TEXT}) END AS malformed,
                CASE WHEN is_object THEN json_extract_string(line, {pointers}) END AS texts,
                CASE WHEN is_object THEN json_type(line, {pointers}) END AS types
            FROM parsed
        )
        SELECT {index}::INTEGER AS "{FILE}", number AS "{ROW}", malformed AS "{MALFORMED}",
            CASE WHEN malformed IS NOT NULL THEN 'no JSON object' END AS "{DETAIL}",
            nullif(concat_ws(',', {", ".join(_unreadable(*numbered) for numbered in enumerate(columns, 1))}), '')
                AS "{UNREADABLE}",
            {", ".join(_text(*numbered) for numbered in enumerate(columns, 1))}
        FROM extracted"""
    yield from connection.sql(query).to_arrow_reader(1 << 17)


def _pointer(column: WantedColumn) -> str:
    """The column's JSON pointer as a SQL literal."""
    key = column.source.replace("~", "~0").replace("/", "~1").replace("'", "''")
    return f"'/{key}'"


def _text(number: int, column: WantedColumn) -> str:
    text = f"texts[{number}]"
    if column.type.is_integer:
        value = f"TRY_CAST({text} AS DOUBLE)"
        whole = f"types[{number}] = 'DOUBLE' AND {value} = trunc({value}) AND abs({value}) < 1e19"
        text = f"CASE WHEN {whole} THEN CAST(CAST({value} AS HUGEINT) AS VARCHAR) ELSE {text} END"
    return f'{text} AS "{column.name}"'


def _unreadable(number: int, column: WantedColumn) -> str:
    types = "('OBJECT', 'ARRAY', 'DOUBLE')" if column.type is ColumnType.STRING else "('OBJECT', 'ARRAY')"
    return f"CASE WHEN types[{number}] IN {types} THEN '{column.name}' END"
