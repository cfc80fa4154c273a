"""Lossless reading, as DuckDB SQL: the value of the contract's type, or null where the source's value is none.

DuckDB's own casts are kinder than the contract (`1.5` becomes 2, `yes` is true, an offset is ignored), so a pattern comes
first, wherever casting the value back does not already give the same text. Null says "not readable"; the caller knows which
values were null before.
"""

from typing import Final

from seq_assets.models import ColumnSpec, ColumnType, Scalar
from seq_assets.models.time_formats import parse_time_format
from seq_assets.warehouse.engine import text_literal
from seq_assets.warehouse.rules.local_times import local_time_sql
from seq_assets.warehouse.rules.number_formats import NumberFormat, is_number, standard_number
from seq_assets.warehouse.rules.time_formats import format_pattern, standard_text
from seq_assets.warehouse.rules.value_grammar import (
    DAY,
    EPOCH_TIME,
    EXACT_INTEGERS,
    FIRST_MICROSECOND,
    FLOAT,
    INT,
    LAST_MICROSECOND,
    MOST_SECONDS,
    NANOSECONDS,
    PER_UNIT,
    SECOND,
    TIMESTAMP,
    ZONED_TIMESTAMP,
)
from seq_assets.warehouse.sources.parquet_types import WITHOUT_ZONE

DUCKDB_TYPES: Final = {
    ColumnType.INT8: "TINYINT",
    ColumnType.INT16: "SMALLINT",
    ColumnType.INT32: "INTEGER",
    ColumnType.INT64: "BIGINT",
    ColumnType.FLOAT32: "FLOAT",
    ColumnType.FLOAT64: "DOUBLE",
    ColumnType.BOOL: "BOOLEAN",
    ColumnType.STRING: "VARCHAR",
    ColumnType.DATE: "DATE",
    ColumnType.TIMESTAMP: "BIGINT",
}
"""The stored types; a timestamp is its microseconds since the epoch."""

_INT: Final = text_literal(INT)
_FLOAT: Final = text_literal(FLOAT)
_EPOCH_TIME: Final = text_literal(EPOCH_TIME)
_TIMESTAMP: Final = text_literal(TIMESTAMP)
_ZONED_TIMESTAMP: Final = text_literal(ZONED_TIMESTAMP)


def literal_sql(value: Scalar, column_type: ColumnType) -> str:
    """A value of a model file as a SQL literal of the stored type."""
    if isinstance(value, str):
        return text_literal(value)
    if column_type is ColumnType.DATE:
        return f"(DATE '1970-01-01' + {value:d})"
    text = text_literal(str(value).lower())
    if column_type is ColumnType.FLOAT32:
        # By way of float64, as everywhere else: read as FLOAT at once, a few values round to the other neighbour.
        text = f"CAST({text} AS DOUBLE)"
    return f"CAST({text} AS {DUCKDB_TYPES[column_type]})"


def readable_sql(value: str, source_type: str, column: ColumnSpec) -> str:
    """The expression that reads `value`, of DuckDB type `source_type`, as the contract's type; local times as if of UTC.

    Args:
        value: A SQL expression; text of a non-string column is in its standard form (`standard_sql`).
        source_type: The DuckDB type of the expression, for example VARCHAR, BIGINT, TIMESTAMP WITH TIME ZONE.
        column: The contract of the column.
    """
    kind = source_type.split("(", maxsplit=1)[0].split("[", maxsplit=1)[0] if not source_type.endswith("]") else "LIST"
    if kind in ("VARCHAR", "ENUM"):
        return _from_text(f"CAST({value} AS VARCHAR)" if kind == "ENUM" else value, column)
    if kind == "DECIMAL":
        return "NULL" if column.type is ColumnType.STRING else _from_text(f"CAST({value} AS VARCHAR)", column)
    if kind in _INTEGERS:
        return _from_integer(value, column)
    if kind in ("FLOAT", "DOUBLE"):
        return _from_float(value, column)
    if kind == "BOOLEAN":
        return {ColumnType.BOOL: value, ColumnType.STRING: f"CAST({value} AS VARCHAR)"}.get(column.type, "NULL")
    if kind == "DATE":
        # By way of days: DuckDB asks for the microseconds of the ends of a column's range, whatever the condition before them.
        microseconds = f"date_diff('day', DATE '1970-01-01', {value}) * {DAY}"
        return {ColumnType.DATE: _known_date(value), ColumnType.TIMESTAMP: _known_date(value, microseconds)}.get(
            column.type, "NULL"
        )
    if kind.startswith("TIMESTAMP"):
        return _from_timestamp(value, kind, column)
    return "NULL"


def placed_sql(local: str, value: str, source_type: str, column: ColumnSpec) -> str | None:
    """The microseconds of what `readable_sql` has read in a column with a time zone; None where nothing is to be placed.

    Args:
        local: A name of what was read; it stands many times in the expression.
        value: A name of what it was read from, in its standard form.
        source_type: The DuckDB type of the latter.
        column: The contract of the column.
    """
    if column.timezone is None:
        return None
    placed = local_time_sql(local, column.timezone)
    if source_type == "VARCHAR":
        is_point = "true" if column.unit else f"regexp_full_match({value}, {_ZONED_TIMESTAMP})"
        return f"CASE WHEN {is_point} THEN {local} ELSE {placed} END"
    return placed if source_type in WITHOUT_ZONE else None


def is_readable(source_type: str, column: ColumnSpec) -> bool:
    """Whether any value of a DuckDB type is one of the contract's type."""
    return readable_sql("value", source_type, column) != "NULL"


_INTEGERS: Final = frozenset(
    f"{sign}{size}" for sign in ("", "U") for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
)


def standard_sql(value: str, source_type: str, column: ColumnSpec, numbers: NumberFormat | None = None) -> str:
    """Text of a non-string column in the form that `readable_sql` reads; anything else as it is.

    It is trimmed of spaces and tabs; where numbers or times have a format, text in another one becomes one that no type reads.
    """
    if source_type != "VARCHAR" or column.type is ColumnType.STRING:
        return value
    trimmed = _trimmed(value)
    if numbers and is_number(column):
        return standard_number(trimmed, f"regexp_full_match({trimmed}, {text_literal(numbers.pattern)})", numbers)
    return trimmed if column.format is None else _by_format(trimmed, column.format)


def is_read_as_it_stands(source_type: str, column: ColumnSpec, numbers: NumberFormat | None = None) -> bool:
    """Whether `readable_sql` takes text as it stands, unless it has blanks around it, which no type of these reads.

    Looking for blanks takes a quarter of the time of reading, so that whoever has much to read reads first.
    """
    is_standard = column.format is None and column.timezone is None and not (numbers and is_number(column))
    return source_type == "VARCHAR" and column.type is not ColumnType.STRING and is_standard


def _trimmed(value: str) -> str:
    """Text without spaces and tabs at its ends: asking for them first takes a third of what DuckDB's `trim` takes."""
    # Only what begins with a control character or a space comes before "!", or is empty.
    may_begin_blank = f"{value} < '!'"
    ends_blank = " OR ".join(f"ends_with({value}, {text_literal(blank)})" for blank in (" ", "\t"))
    return f"CASE WHEN {may_begin_blank} OR {ends_blank} THEN trim({value}, ' \t') ELSE {value} END"


def _by_format(value: str, time_format: str) -> str:
    tokens = parse_time_format(time_format)
    names = [f"g{number}" for number, _ in enumerate(filter(lambda token: token.part, tokens))]
    listed = ", ".join(map(text_literal, names))
    found = f"regexp_extract({value}, {text_literal(format_pattern(tokens))}, [{listed}])"
    # Of text in another form all groups are empty, and no type reads what comes of them. In a CASE, which would ask for that,
    # DuckDB would find the groups again for each part.
    return standard_text(tokens, [f"{found}.{name}" for name in names])


def null_sql(value: str, source_type: str, column: ColumnSpec) -> str:
    """Whether the source's value is a null: NaN in a float column is one."""
    if source_type in ("FLOAT", "DOUBLE"):
        return f"({value} IS NULL OR isnan({value}))"
    if source_type == "VARCHAR" and column.type.is_float:
        return f"({value} IS NULL OR lower({value}) = 'nan')"
    return f"({value} IS NULL)"


def _from_text(value: str, column: ColumnSpec) -> str:
    target = DUCKDB_TYPES[column.type]
    cast = f"TRY_CAST({value} AS {target})"
    if column.type.is_integer:
        whole = f"TRY_CAST(split_part({value}, '.', 1) AS {target})"
        return (
            f"CASE WHEN CAST({cast} AS VARCHAR) = {value} THEN {cast} WHEN regexp_full_match({value}, {_INT}) THEN {whole} END"
        )
    if column.type.is_float:
        return f"CASE WHEN regexp_full_match({value}, {_FLOAT}) AND isfinite({cast}) THEN {cast} END"
    if column.type is ColumnType.BOOL:
        return f"CASE lower({value}) WHEN 'true' THEN true WHEN '1' THEN true WHEN 'false' THEN false WHEN '0' THEN false END"
    if column.type is ColumnType.DATE:
        return _midnight(_timestamp_text(value))
    if column.type is ColumnType.TIMESTAMP:
        return _epoch_text(value, column.unit) if column.unit else _timestamp_text(value)
    return value


def _timestamp_text(value: str) -> str:
    """Microseconds of a date or timestamp text, its offset subtracted; the cast alone would take other forms, too."""
    is_timestamp = f"regexp_full_match({value}, {_TIMESTAMP}) AND NOT starts_with({value}, '0000')"
    return _in_range(f"CASE WHEN {is_timestamp} THEN {_microseconds(f'TRY_CAST({value} AS TIMESTAMPTZ)')} END")


def _epoch_text(value: str, unit: str) -> str:
    if unit == "ns":
        whole = _epoch_integer(f"TRY_CAST(split_part({value}, '.', 1) AS HUGEINT)", unit)
        return _in_range(f"CASE WHEN regexp_full_match({value}, {_INT}) THEN {whole} END")
    per_unit = PER_UNIT[unit]
    decimal = f"TRY_CAST({value} AS DECIMAL(29, 9)) * {per_unit}::DECIMAL(7, 0)"
    whole = f"CASE WHEN {decimal} = trunc({decimal}) THEN TRY_CAST(trunc({decimal}) AS BIGINT) END"
    return _in_range(f"CASE WHEN regexp_full_match({value}, {_EPOCH_TIME}) THEN {whole} END")


def _from_integer(value: str, column: ColumnSpec) -> str:
    target = DUCKDB_TYPES[column.type]
    if column.type.is_integer:
        return f"TRY_CAST({value} AS {target})"
    if column.type.is_float:
        exact = EXACT_INTEGERS[column.type]
        back = f"TRY_CAST(CAST({value} AS {target}) AS HUGEINT) = {value}::HUGEINT"
        return f"CASE WHEN {value} BETWEEN -{exact} AND {exact} OR {back} THEN CAST({value} AS {target}) END"
    if column.type is ColumnType.BOOL:
        return f"CASE {value} WHEN 0 THEN false WHEN 1 THEN true END"
    if column.type is ColumnType.STRING:
        return f"CAST({value} AS VARCHAR)"
    if column.type is ColumnType.TIMESTAMP and column.unit:
        return _in_range(_epoch_integer(f"{value}::HUGEINT", column.unit))
    return "NULL"


def _epoch_integer(value: str, unit: str) -> str:
    """Microseconds of a HUGEINT of a unit; null where they are not whole."""
    if unit == "ns":
        return f"CASE WHEN {value} % {NANOSECONDS} = 0 THEN TRY_CAST({value} // {NANOSECONDS} AS BIGINT) END"
    return f"TRY_CAST({value} * {PER_UNIT[unit]} AS BIGINT)"


def _from_float(value: str, column: ColumnSpec) -> str:
    target = DUCKDB_TYPES[column.type]
    if column.type.is_integer:
        return f"CASE WHEN {value} = trunc({value}) THEN TRY_CAST({value} AS {target}) END"
    if column.type.is_float:
        cast = f"TRY_CAST({value} AS {target})"
        return f"CASE WHEN isfinite({value}) AND isfinite({cast}) THEN {cast} END"
    if column.type is ColumnType.BOOL:
        return f"CASE {value} WHEN 0 THEN false WHEN 1 THEN true END"
    if column.type is ColumnType.TIMESTAMP and column.unit:
        return _in_range(_epoch_float(f"{value}::DOUBLE", column.unit))
    return "NULL"


def _epoch_float(value: str, unit: str) -> str:
    """Microseconds of a DOUBLE of a unit, by steps that lose nothing; null where they are not whole."""
    if unit == "s":
        # Seconds as float64 hold microseconds only approximately, so the nearest one is meant.
        whole = f"CAST(trunc({value}) AS BIGINT) * {SECOND}"
        microseconds = f"{whole} + CAST(round(({value} - trunc({value})) * {SECOND}) AS BIGINT)"
        return f"CASE WHEN {value} BETWEEN -{MOST_SECONDS} AND {MOST_SECONDS} THEN {microseconds} END"
    if unit == "ns":
        scaled, is_whole, factor = f"({value} / {NANOSECONDS})", f"{value} % {NANOSECONDS} = 0", 1
    else:
        # Thousandths that a float holds are eighths.
        scaled, factor = (f"({value} * 8)", 125) if unit == "ms" else (value, 1)
        is_whole = f"{scaled} = trunc({scaled})"
    most = MOST_SECONDS * SECOND // factor
    return f"CASE WHEN {scaled} BETWEEN -{most} AND {most} AND {is_whole} THEN CAST({scaled} AS BIGINT) * {factor} END"


def _from_timestamp(value: str, source_type: str, column: ColumnSpec) -> str:
    if source_type in ("TIMESTAMP_NS", "TIMESTAMPTZ_NS"):
        microseconds = f"CASE WHEN epoch_ns({value}) % 1000 = 0 THEN epoch_ns({value}) // 1000 END"
    else:
        microseconds = _microseconds(value)
    if column.type is ColumnType.TIMESTAMP:
        return _in_range(microseconds)
    return _midnight(_in_range(microseconds)) if column.type is ColumnType.DATE else "NULL"


def _microseconds(value: str) -> str:
    return f"epoch_us({value})"


def _midnight(microseconds: str) -> str:
    """The date of microseconds that are a whole number of days."""
    return f"CASE WHEN ({microseconds}) % {DAY} = 0 THEN CAST(make_timestamp({microseconds}) AS DATE) END"


def _known_date(value: str, result: str | None = None) -> str:
    """The result (by default the date itself) for dates within the years 1 to 9999, else null."""
    return f"CASE WHEN {value} BETWEEN DATE '0001-01-01' AND DATE '9999-12-31' THEN {result or value} END"


def _in_range(microseconds: str) -> str:
    """Microseconds within the years 1 to 9999, else null."""
    return f"CASE WHEN {microseconds} BETWEEN {FIRST_MICROSECOND} AND {LAST_MICROSECOND} THEN {microseconds} END"
