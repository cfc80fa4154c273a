"""Rows of Python values as a subquery that Athena understands."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from seq_assets.sequencing.schemas import TableColumn, TableSchema
from seq_assets.warehouse.athena.sql import ATHENA_TYPES, literal_sql, quoted

_EPOCH = date(1970, 1, 1)


def values_table(schema: TableSchema, rows: Iterable[Mapping[str, Any]]) -> str:
    """A table of these rows; timestamps are given as microseconds, dates as such."""
    typed = ", ".join(
        f"CAST({quoted(column.name)} AS {ATHENA_TYPES[column.type]}) AS {quoted(column.name)}" for column in schema.columns
    )
    names = ", ".join(quoted(name) for name in schema.names)
    # A row of nulls that is left out again, because VALUES must not be empty.
    found = [", ".join(["false", *(_literal(row[column.name], column) for column in schema.columns)]) for row in rows]
    lines = [", ".join(["true", *("NULL" for _ in schema.columns)]), *found]
    return f"(SELECT {typed} FROM (VALUES ({'), ('.join(lines)})) AS t(_left_out, {names}) WHERE NOT _left_out)"


def _literal(value: Any, column: TableColumn) -> str:
    if value is None:
        return "NULL"
    return literal_sql((value - _EPOCH).days if isinstance(value, date) else value, column.type)
