"""JSON lines: one object per line."""

import json
import math
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seq_assets.errors import SourceError
from seq_assets.models import ColumnType
from seq_assets.models.spec import SourceOptions
from seq_assets.warehouse.engine import quoted, text_literal
from seq_assets.warehouse.sources.blocks import Block, whole_lines
from seq_assets.warehouse.sources.lines import Blocks, longest_record
from seq_assets.warehouse.sources.location import SourceFile
from seq_assets.warehouse.sources.records import (
    DETAIL,
    FILE,
    LONGEST_TEXT,
    MALFORMED,
    ROW,
    TOO_LONG,
    UNREADABLE,
    MalformedRecord,
    SourceFindings,
    WantedColumn,
    malformed_records,
    records_schema,
)
from seq_assets.warehouse.sources.text import UNDECODABLE, Utf8Stream, what_is_undecodable

if TYPE_CHECKING:
    import duckdb

_LINES_WITH_KEYS: Final = 1_000
"""Keys may differ from line to line; these, of each file, are looked at to tell people what is ignored."""
_KEY_LISTS: Final = 8
"""Lists of keys that are known to have none twice; comparing with them is quicker than looking for one."""
_BYTES_AT_FIRST: Final = 1 << 16
_BYTES_AT_ONCE: Final = 1 << 24
"""Parsing many lines at once is quicker; a few at first, because whoever looks at a source may want no more."""
_ARRAY_OF_OBJECTS: Final = re.compile(rb"\s*\[\s*\{")
_PIECE: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:,]|[^\s"{}\[\]:,]+')
"""Of a line that is JSON."""
_DOUBTFUL: Final = "_doubtful"
_INEXACT_DIGITS: Final = "[0-9.]{17}|[0-9][eE]"
"""Where a line has no such text, the double that DuckDB makes of its numbers shows the digits that stood there."""


def read_json(
    files: Iterable[tuple[int, SourceFile]], columns: tuple[WantedColumn, ...], options: SourceOptions, findings: SourceFindings
) -> Generator[pa.RecordBatch]:
    """The records of files of JSON lines; null and a missing key are null, a line that is no object is malformed.

    The columns that the files have are the keys of their first lines.

    Raises:
        SourceError: A file cannot be read.
    """
    import duckdb

    schema = records_schema(columns)
    with duckdb.connect(config={"threads": 1}) as connection:
        pending: list[pa.Table] = []
        known: list[list[str]] = []
        at_once = _BYTES_AT_FIRST
        for index, file in files:
            before = 0
            with closing(Utf8Stream(file, options.encoding)) as stream:
                for block in Blocks(stream, whole_lines, longest_record(options)):
                    if before == 0:
                        _refuse_an_array(file, block)
                    if block.faults:  # of its length, and alone
                        before += 1
                        [fault] = block.faults
                        text = block.text[fault.start : fault.end].decode().replace(UNDECODABLE, "\ufffd")
                        record = MalformedRecord(text, fault.detail, fault.is_too_long)
                        yield malformed_records(schema, index, {before: record})
                        continue
                    lines, malformed = _lines(block, index, before, options.encoding, stream.undecodable)
                    before += len(lines) + len(malformed)
                    if malformed:
                        yield malformed_records(schema, index, malformed)
                    pending.append(lines)
                    if sum(lines.nbytes for lines in pending) >= at_once:
                        at_once = min(16 * at_once, _BYTES_AT_ONCE)
                        yield from _parsed(connection, pa.concat_tables(pending), columns, findings, known)
                        pending.clear()
        if pending:
            yield from _parsed(connection, pa.concat_tables(pending), columns, findings, known)


def _refuse_an_array(file: SourceFile, block: Block) -> None:
    if _ARRAY_OF_OBJECTS.match(block.text):
        raise SourceError(
            f"The source file {file.location} is a JSON array; JSON lines are read: one object per line. Write it so."
        )


def _lines(
    block: Block, index: int, before: int, encoding: str, undecodable: bool
) -> tuple[pa.Table, dict[int, MalformedRecord]]:
    """The lines of a block as `file`, `number` and `line`, and those with bytes that are no text, by number.

    A line has its end, and the blank lines after it, with it, so that none is copied.
    """
    starts, _ = block.records()
    offsets = pa.array(np.append(starts, len(block.text)), pa.int32())
    lines = pa.StringArray.from_buffers(len(starts), offsets.buffers()[1], pa.py_buffer(block.text))
    numbers = pa.array(np.arange(before + 1, before + len(starts) + 1))
    table = pa.table({"file": pa.repeat(pa.scalar(index, pa.int32()), len(starts)), "number": numbers, "line": lines})
    if not undecodable:
        return table, {}
    is_bad = pc.match_substring(lines, UNDECODABLE)
    bad = table.filter(is_bad)
    texts = (line.rstrip("\r\n") for line in bad["line"].to_pylist())
    malformed = [MalformedRecord(text.replace(UNDECODABLE, "\ufffd"), what_is_undecodable(text, encoding)) for text in texts]
    return table.filter(pc.invert(is_bad)), dict(zip(bad["number"].to_pylist(), malformed, strict=True))


def _parsed(
    connection: "duckdb.DuckDBPyConnection",
    lines: pa.Table,
    columns: tuple[WantedColumn, ...],
    findings: SourceFindings,
    known: list[list[str]],
) -> Iterator[pa.RecordBatch]:
    connection.register("lines", lines)
    key_lists = []
    for index, keys in _key_lists(connection):
        findings.add_columns(index, keys)
        key_lists.append(keys)
    known += [keys for keys in key_lists if keys and len(set(keys)) == len(keys) and keys not in known]
    del known[:-_KEY_LISTS]
    for batch in connection.sql(_query(columns, known)).to_arrow_reader(1 << 17):
        yield _exact(batch, columns).cast(records_schema(columns))


def _key_lists(connection: "duckdb.DuckDBPyConnection") -> list[tuple[int, list[str]]]:
    """The lists of keys of the files' first lines, each with the file's index, in order of first appearance."""
    query = f"""
        SELECT file, keys FROM (
            SELECT TRY(json_keys(line)) AS keys, file, number FROM lines
            WHERE number <= {_LINES_WITH_KEYS} AND {_BEGINS_AN_OBJECT}
        ) WHERE keys IS NOT NULL GROUP BY file, keys ORDER BY file, min(number)"""
    return connection.execute(query).fetchall()


_BEGINS_AN_OBJECT: Final = "starts_with(ltrim(line, ' ' || chr(9)), '{')"


def _query(columns: tuple[WantedColumn, ...], known: list[list[str]]) -> str:
    """The query that makes records of `lines`, and in `_doubtful` keeps lines whose numbers it may not have read exactly.

    Args:
        columns: The columns of the records.
        known: Lists of keys that have none twice.
    """
    is_known = " OR ".join(["false", *(f"keys = [{', '.join(map(text_literal, keys))}]" for keys in known)])
    # Each function is called once per line with all pointers, because each call parses the line.
    pointers = f"[{', '.join(_pointer(column) for column in columns)}]::VARCHAR[]"
    numbered = list(enumerate(columns, 1))
    unreadable = ", ".join(["NULL", *(_unreadable(*item) for item in numbered)])
    doubtful = " OR ".join(["false", *(_doubtful(*item) for item in numbered)])
    return f"""
        WITH parsed AS (
            SELECT file, number, line, TRY(json_keys(line)) AS keys FROM lines
        ), judged AS (
            SELECT *, CASE WHEN {is_known} THEN NULL
                WHEN keys IS NULL OR (len(keys) = 0 AND NOT {_BEGINS_AN_OBJECT}) THEN 'no JSON object'
                WHEN len(keys) <> list_unique(keys) THEN 'the key ' || to_json({_REPEATED_KEY}) || ' twice' END AS detail
            FROM parsed
        ), extracted AS (
            SELECT file, number, line, detail, CASE WHEN detail IS NULL THEN json_extract_string(line, {pointers}) END AS texts,
                CASE WHEN detail IS NULL THEN json_type(line, {pointers}) END AS types
            FROM judged
        )
        SELECT file AS {quoted(FILE)}, number AS {quoted(ROW)},
            CASE WHEN detail IS NOT NULL THEN left(rtrim(line, chr(10) || chr(13)), {LONGEST_TEXT}) END AS {quoted(MALFORMED)},
            detail AS {quoted(DETAIL)}, nullif(concat_ws(',', {unreadable}), '') AS {quoted(UNREADABLE)},
            NULL::VARCHAR AS {quoted(TOO_LONG)},
            {"".join(f"texts[{number}] AS {quoted(column.name)}, " for number, column in numbered)}
            CASE WHEN {doubtful} THEN line END AS {quoted(_DOUBTFUL)}
        FROM extracted"""


_REPEATED_KEY: Final = "list_filter(keys, lambda key, place: list_position(keys, key) < place)[1]"


def _pointer(column: WantedColumn) -> str:
    """The column's JSON pointer as a SQL literal."""
    key = column.source.replace("~", "~0").replace("/", "~1").replace("'", "''")
    return f"'/{key}'"


def _unreadable(number: int, column: WantedColumn) -> str:
    types = "('OBJECT', 'ARRAY', 'DOUBLE')" if column.type is ColumnType.STRING else "('OBJECT', 'ARRAY')"
    return f"CASE WHEN types[{number}] IN {types} THEN {text_literal(column.name)} END"


def _doubtful(number: int, column: WantedColumn) -> str:
    """Whether a number may have had other digits than DuckDB shows, which lead to another value."""
    is_double = f"types[{number}] = 'DOUBLE'"
    is_minus_zero = f"(types[{number}] = 'BIGINT' AND texts[{number}] = '0' AND contains(line, '-0'))"
    if column.type is ColumnType.STRING:
        return f"{is_double} OR {is_minus_zero}"
    if column.type is ColumnType.FLOAT64:
        return is_minus_zero
    if column.type is ColumnType.FLOAT32:
        # Only a double in the middle between two floats may be rounded to another float than its digits.
        double, nearest = f"TRY_CAST(texts[{number}] AS DOUBLE)", f"TRY_CAST(TRY_CAST(texts[{number}] AS DOUBLE) AS FLOAT)"
        other = f"2 * {double} - {nearest}::DOUBLE"
        is_between = f"{nearest}::DOUBLE <> {double} AND TRY_CAST({other} AS FLOAT)::DOUBLE = {other}"
        # A number of 25 binary digits has more than 8 characters.
        is_long = f"{is_double} AND strlen(texts[{number}]) > 8"
        return f"CASE WHEN {is_long} THEN coalesce({is_between}, true) ELSE {is_minus_zero} END"
    return f"({is_double} AND regexp_matches(line, '{_INEXACT_DIGITS}'))"


class _Number(str):
    """A number of JSON as it is written."""

    __slots__ = ()

    @property
    def is_integer(self) -> bool:
        """Whether it is written without a fraction and an exponent."""
        return self.removeprefix("-").isdecimal()


def _exact(batch: pa.RecordBatch, columns: tuple[WantedColumn, ...]) -> pa.RecordBatch:
    """The records, with the numbers of doubtful lines as they are written."""
    doubtful = batch.column(_DOUBTFUL)
    batch = batch.drop_columns([_DOUBTFUL])
    if doubtful.null_count == len(doubtful):
        return batch
    mask = doubtful.is_valid()
    objects = [_object(line) for line in doubtful.drop_null().to_pylist()]
    arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
    for column in columns:
        before = arrays[column.name].filter(mask).to_pylist()
        values = [_text(item.get(column.source), text) for item, text in zip(objects, before, strict=True)]
        arrays[column.name] = pc.replace_with_mask(arrays[column.name], mask, pa.array(values, pa.string()))
    unreadable = [",".join(_unreadable_columns(item, columns)) or None for item in objects]
    arrays[UNREADABLE] = pc.replace_with_mask(arrays[UNREADABLE], mask, pa.array(unreadable, pa.string()))
    return pa.RecordBatch.from_pydict(arrays, schema=batch.schema)


def _object(line: str) -> dict[str, Any]:
    """The object of a line, its numbers as they are written."""
    try:
        found: dict[str, Any] = json.loads(line, parse_int=_Number, parse_float=_Number)
    except (ValueError, RecursionError):
        return _object_of_pieces(line)
    return found


def _object_of_pieces(line: str) -> dict[str, Any]:
    """The same of a line that DuckDB reads and Python does not: with a comma after the last value, `nan`, or very deep.

    Of values only numbers are what they are; an object or a list is an empty one, and a text, true and false are None.
    """
    found: dict[str, Any] = {}
    depth, key, is_value = 0, "", False
    for piece in _PIECE.findall(line):
        if depth == 1 and is_value:
            found[key] = _value(piece)
            is_value = False
        elif depth == 1 and piece[0] == '"':
            key = json.loads(piece)
        elif depth == 1:
            is_value = piece == ":"
        depth += (piece in ("{", "[")) - (piece in ("}", "]"))
    return found


def _value(piece: str) -> Any:
    """What a value that begins with a piece is, as `_object_of_pieces` gives it."""
    if piece in ("{", "["):
        return {}
    if piece[0] == '"' or piece in ("true", "false", "null"):
        return None
    return _Number(piece) if piece[-1].isdecimal() else math.nan


def _text(value: Any, otherwise: str | None) -> str | None:
    return str(value) if isinstance(value, _Number) else otherwise


def _unreadable_columns(item: dict[str, Any], columns: tuple[WantedColumn, ...]) -> Iterator[str]:
    for column in columns:
        value = item.get(column.source)
        is_fraction = isinstance(value, float) or (isinstance(value, _Number) and not value.is_integer)
        if isinstance(value, dict | list) or (column.type is ColumnType.STRING and is_fraction):
            yield column.name
