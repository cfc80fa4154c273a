"""Names, types and values in the SQL that Athena understands (Trino's).

Belongs here: how one thing is written. Not here: queries. Nothing of a user's text reaches a query but through these functions.
"""

import re
from datetime import timedelta
from typing import Final

from seq_assets.models import ColumnType, Scalar
from seq_assets.models.columns import EPOCH

ATHENA_TYPES: Final = {
    ColumnType.INT8: "tinyint",
    ColumnType.INT16: "smallint",
    ColumnType.INT32: "integer",
    ColumnType.INT64: "bigint",
    ColumnType.FLOAT32: "real",
    ColumnType.FLOAT64: "double",
    ColumnType.BOOL: "boolean",
    ColumnType.STRING: "varchar",
    ColumnType.DATE: "date",
    ColumnType.TIMESTAMP: "bigint",
}
"""The stored types; a timestamp is its microseconds since the epoch."""

MOST_ENTRIES: Final = 10_000
"""What `sequence()` and `repeat()` give at most, in Trino."""
_HIVE_TYPES: Final = {"varchar": "string", "real": "float", "integer": "int"}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def quoted(name: str) -> str:
    """A name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(text: str) -> str:
    """A text as a literal; control characters are written by their numbers, so that the query stays readable text."""
    doubled = text.replace("'", "''")
    if not _CONTROL.search(text):
        return f"'{doubled}'"
    escaped = _CONTROL.sub(lambda found: f"\\{ord(found[0]):04x}", doubled.replace("\\", "\\\\"))
    return f"U&'{escaped}'"


def literal_sql(value: Scalar, column_type: ColumnType) -> str:
    """A value of a model file as a literal of the stored type; a date is given as its days since the epoch."""
    if isinstance(value, str):
        return text_literal(value)
    if column_type is ColumnType.DATE:
        return f"DATE '{EPOCH.date() + timedelta(days=int(value))}'"
    if column_type is ColumnType.BOOL:
        return str(value).lower()
    if column_type is ColumnType.FLOAT32:
        # By way of float64, as everywhere else: read as real at once, a few values round to the other neighbour.
        return f"CAST(DOUBLE '{value!r}' AS real)"
    return f"{ATHENA_TYPES[column_type]} '{value!r}'"


def hive_type(athena_type: str) -> str:
    """A type as DDL writes it, which is Hive's."""
    return _HIVE_TYPES.get(athena_type, athena_type)


def table_name(database: str, table: str) -> str:
    """A table of the Glue catalog as an identifier."""
    return f"{quoted(database)}.{quoted(table)}"
