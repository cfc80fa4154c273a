"""Lossless reading, as Athena's SQL: the value of the contract's type, or null where the source's value is none.

Sources reach Athena in few types, the carriers. Trino's own casts are kinder than the contract (`٣` is the integer 3, `1e400`
is infinite, 10000-01-01 is a date), so a pattern comes first, and only what it accepts is cast: a cast that fails costs far
more than a pattern. Null says "not readable"; the caller knows which values were null before.
"""

import re
from enum import StrEnum
from typing import Final

from seq_assets.models import ColumnSpec, ColumnType
from seq_assets.models.time_formats import parse_time_format
from seq_assets.warehouse.athena.sql import ATHENA_TYPES, text_literal
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


class Carrier(StrEnum):
    """The forms in which a source's values reach Athena."""

    TEXT = "text"
    DECIMAL_TEXT = "decimal_text"
    """A decimal number, printed."""
    TIME_TEXT = "time_text"
    """A point in time or a date, printed, whose column has a time zone for those that name none."""
    INTEGER = "integer"
    BIG_INTEGER = "big_integer"
    """An integer that 64 bits with a sign may not hold."""
    FLOAT = "float"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    DAYS = "days"
    """A date: days since the epoch, of any year."""
    MICROSECONDS = "microseconds"
    NANOSECONDS = "nanoseconds"
    OTHER = "other"
    """Nothing that a contract can hold: only whether it is null counts, and its text is what stood there."""

    @property
    def athena_type(self) -> str:
        """The type of the values in Athena."""
        return _CARRIER_TYPES[self]


_CARRIER_TYPES: Final = {
    Carrier.TEXT: "varchar",
    Carrier.DECIMAL_TEXT: "varchar",
    Carrier.TIME_TEXT: "varchar",
    Carrier.INTEGER: "bigint",
    Carrier.BIG_INTEGER: "decimal(38,0)",
    Carrier.FLOAT: "real",
    Carrier.DOUBLE: "double",
    Carrier.BOOLEAN: "boolean",
    Carrier.DAYS: "bigint",
    Carrier.MICROSECONDS: "bigint",
    Carrier.NANOSECONDS: "bigint",
    Carrier.OTHER: "varchar",
}
_FLOATS: Final = (Carrier.FLOAT, Carrier.DOUBLE)


def _pattern(pattern: str) -> str:
    """A pattern that the whole text must match, as a literal."""
    return text_literal(rf"\A(?:{pattern})\z")


_SPACES: Final = text_literal(" \t")
_INT: Final = _pattern(INT)
_FLOAT: Final = _pattern(FLOAT)
_EPOCH_TIME: Final = _pattern(EPOCH_TIME)
_TIMESTAMP: Final = _pattern(TIMESTAMP)
_ZONED_TIMESTAMP: Final = _pattern(ZONED_TIMESTAMP)
_EPOCH: Final = "DATE '1970-01-01'"
_NO_TIME: Final = -(2**63)
"""Microseconds that no column accepts; they stand for a point in time that microseconds cannot hold."""


def readable_sql(value: str, carrier: Carrier, column: ColumnSpec) -> str:
    """The expression that reads `value` as the contract's type; local times as if of UTC.

    Args:
        value: A short SQL expression, best a column; text is in its standard form (`standard_sql`).
        carrier: What the expression gives.
        column: The contract of the column.
    """
    readable = _readable(value, carrier, column)
    return f"CAST(NULL AS {ATHENA_TYPES[column.type]})" if readable is None else readable


def is_readable(carrier: Carrier, column: ColumnSpec) -> bool:
    """Whether any value of a carrier is one of the contract's type."""
    return _readable("value", carrier, column) is not None


def standard_sql(value: str, carrier: Carrier, column: ColumnSpec, numbers: NumberFormat | None = None) -> str:
    """Text of a non-string column in the form that `readable_sql` reads; anything else as it is.

    It is trimmed of spaces and tabs; where numbers or times have a format, text in another one becomes an empty text, which no
    type reads.
    """
    if carrier is not Carrier.TEXT or column.type is ColumnType.STRING:
        return value
    trimmed = f"trim(BOTH {_SPACES} FROM {value})"
    if numbers and is_number(column):
        return standard_number(trimmed, f"regexp_like({trimmed}, {_pattern(numbers.pattern)})", numbers)
    return trimmed if column.format is None else _by_format(trimmed, column.format)


def _by_format(value: str, time_format: str) -> str:
    tokens = parse_time_format(time_format)
    pattern = text_literal(format_pattern(tokens))
    count = sum(token.part is not None for token in tokens)
    groups = ",".join(f"${number}" for number in range(1, count + 1))
    standard = standard_text(tokens, [f"element_at(_it, {number})" for number in range(1, count + 1)])
    found = f"split(regexp_replace({value}, {pattern}, '{groups}'), ',')"
    return (
        f"CASE WHEN {value} IS NOT NULL THEN "
        f"CASE WHEN regexp_like({value}, {pattern}) THEN {_let(found, standard)} ELSE '' END END"
    )


def placed_sql(local: str, value: str, carrier: Carrier, column: ColumnSpec) -> str | None:
    """The microseconds of what `readable_sql` has read in a column with a time zone; None where nothing is to be placed.

    Args:
        local: A short name of what was read; it stands many times in the expression.
        value: A name of what it was read from, in its standard form.
        carrier: What carries the latter.
        column: The contract of the column.
    """
    is_read_as_numbers = carrier is Carrier.TEXT and column.unit is not None
    if column.timezone is None or carrier not in (Carrier.TEXT, Carrier.TIME_TEXT) or is_read_as_numbers:
        return None
    return f"IF(regexp_like({value}, {_ZONED_TIMESTAMP}), {local}, {local_time_sql(local, column.timezone)})"


def null_sql(value: str, carrier: Carrier, column: ColumnSpec) -> str:
    """Whether the source's value is a null: NaN in a float column is one."""
    if carrier in _FLOATS:
        return f"({value} IS NULL OR is_nan({value}))"
    if carrier is Carrier.TEXT and column.type.is_float:
        return f"({value} IS NULL OR lower({value}) = 'nan')"
    return f"({value} IS NULL)"


def _readable(value: str, carrier: Carrier, column: ColumnSpec) -> str | None:
    """The same; None where the type holds nothing that the carrier carries."""
    if carrier is Carrier.TIME_TEXT:
        return _from_time_text(value, column.type)
    if carrier is Carrier.TEXT or (carrier is Carrier.DECIMAL_TEXT and column.type is not ColumnType.STRING):
        return _from_text(value, column)
    if carrier in (Carrier.INTEGER, Carrier.BIG_INTEGER):
        return _from_integer(value, carrier, column)
    if carrier in _FLOATS:
        return _from_float(value, column)
    if carrier is Carrier.BOOLEAN:
        return {ColumnType.BOOL: value, ColumnType.STRING: f"CAST({value} AS varchar)"}.get(column.type)
    microseconds = {
        Carrier.DAYS: f"CASE WHEN {value} BETWEEN -10000000 AND 10000000 THEN {value} * {DAY} END",
        Carrier.MICROSECONDS: value,
        Carrier.NANOSECONDS: f"CASE WHEN {value} % 1000 = 0 THEN {value} / 1000 END",
    }.get(carrier)
    return None if microseconds is None else _from_microseconds(microseconds, column.type)


def _from_text(value: str, column: ColumnSpec) -> str:
    target = ATHENA_TYPES[column.type]
    if column.type.is_integer:
        return f"CASE WHEN regexp_like({value}, {_INT}) THEN TRY_CAST(split_part({value}, '.', 1) AS {target}) END"
    if column.type.is_float:
        cast = f"CAST({value} AS {target})"
        return f"CASE WHEN regexp_like({value}, {_FLOAT}) THEN {_let(cast, 'CASE WHEN is_finite(_it) THEN _it END')} END"
    if column.type is ColumnType.BOOL:
        return f"CASE lower({value}) WHEN 'true' THEN true WHEN '1' THEN true WHEN 'false' THEN false WHEN '0' THEN false END"
    if column.type is ColumnType.TIMESTAMP and column.unit:
        return _epoch_text(value, column.unit)
    return _from_time_text(value, column.type) or value


def _from_time_text(value: str, column_type: ColumnType) -> str | None:
    matched = f"CASE WHEN regexp_like({value}, {_TIMESTAMP}) THEN {_timestamp_text(value)} END"
    return _from_microseconds(matched, column_type)


def _timestamp_text(value: str) -> str:
    """Microseconds of a date or timestamp text that has the pattern, its offset subtracted; null for an impossible day."""
    days = f"date_diff('day', {_EPOCH}, TRY_CAST(substr({value}, 1, 10) AS date))"
    second = f"CASE substr({value}, 17, 1) WHEN ':' THEN {_number(value, 18)} ELSE 0 END"
    seconds = f"{_number(value, 12)} * 3600 + {_number(value, 15)} * 60 + {second}"
    digits = f"substr({value}, 21, least(6, length({value}) - 20 - _it))"
    fraction = f"CASE substr({value}, 20, 1) WHEN '.' THEN CAST(rpad({digits}, 6, '0') AS bigint) ELSE 0 END"
    minutes = f"{_number(value, '1 - _it')} * 60 + CASE WHEN _it > 3 THEN {_number(value, -2)} ELSE 0 END"
    offset = f"CASE substr({value}, -_it, 1) WHEN '+' THEN {minutes} WHEN '-' THEN -({minutes}) ELSE 0 END"
    time = f"({seconds} - ({offset}) * 60) * {SECOND} + {fraction}"
    return f"{days} * {DAY} + CASE WHEN length({value}) = 10 THEN 0 ELSE {_let(_zone_length(value), time)} END"


def _zone_length(value: str) -> str:
    """The number of characters of the zone at the end of a timestamp text; no digit of a time stands where its sign may."""
    signs = " ".join(f"WHEN substr({value}, {-length}, 1) IN ('+', '-') THEN {length}" for length in (6, 5, 3))
    return f"CASE WHEN {value} LIKE '%Z' THEN 1 WHEN {value} LIKE '% UTC' THEN 4 {signs} ELSE 0 END"


def _number(value: str, start: int | str) -> str:
    """The number that two digits of a text write."""
    return f"CAST(substr({value}, {start}, 2) AS bigint)"


def _epoch_text(value: str, unit: str) -> str:
    if unit == "ns":
        whole = _epoch_integer("_it", unit)
        digits = f"TRY_CAST(split_part({value}, '.', 1) AS decimal(38,0))"
        return f"CASE WHEN regexp_like({value}, {_INT}) THEN {_let(digits, whole)} END"
    decimal = f"TRY_CAST({value} AS decimal(29,9)) * CAST({PER_UNIT[unit]} AS decimal(7,0))"
    whole = f"CASE WHEN _it = truncate(_it) AND {_in_range('_it')} THEN CAST(_it AS bigint) END"
    return f"CASE WHEN regexp_like({value}, {_EPOCH_TIME}) THEN {_let(decimal, whole)} END"


def _from_integer(value: str, carrier: Carrier, column: ColumnSpec) -> str | None:
    target = ATHENA_TYPES[column.type]
    if column.type.is_integer:
        return f"TRY_CAST({value} AS {target})"
    if column.type.is_float:
        exact = EXACT_INTEGERS[column.type]
        back = _whole_number(f"CAST(CAST({value} AS {target}) AS double)", carrier)
        return f"CASE WHEN {value} BETWEEN -{exact} AND {exact} OR {back} = {value} THEN CAST({value} AS {target}) END"
    if column.type is ColumnType.BOOL:
        return f"CASE {value} WHEN 0 THEN false WHEN 1 THEN true END"
    if column.type is ColumnType.STRING:
        return f"CAST({value} AS varchar)"
    if column.type is ColumnType.TIMESTAMP and column.unit:
        return _epoch_integer(value, column.unit)
    return None


def _epoch_integer(value: str, unit: str) -> str:
    """Microseconds of an integer of a unit; null where they are not whole, or out of range."""
    if unit == "ns":
        first, last = (f"DECIMAL '{limit * NANOSECONDS}'" for limit in (FIRST_MICROSECOND, LAST_MICROSECOND))
        in_range = f"{value} BETWEEN {first} AND {last}"
        return f"CASE WHEN {in_range} AND {value} % {NANOSECONDS} = 0 THEN CAST({value} / {NANOSECONDS} AS bigint) END"
    per_unit = PER_UNIT[unit]
    in_range = f"{value} BETWEEN {FIRST_MICROSECOND // per_unit} AND {LAST_MICROSECOND // per_unit}"
    return f"CASE WHEN {in_range} THEN CAST({value} AS bigint) * {per_unit} END"


def _whole_number(double: str, carrier: Carrier) -> str:
    """The exact value of a whole double; null where it is too large.

    A cast to decimal would give the digits that the double is printed with, so beyond 64 bits it is cast in two halves.
    """
    if carrier is Carrier.INTEGER:
        return f"TRY_CAST({double} AS bigint)"
    high = f"truncate({double} / {2**32}e0)"
    low = f"TRY_CAST({double} - {high} * {2**32}e0 AS bigint)"
    return f"(CAST(TRY_CAST({high} AS bigint) AS decimal(38,0)) * {2**32} + {low})"


def _from_float(value: str, column: ColumnSpec) -> str | None:
    target = ATHENA_TYPES[column.type]
    if column.type.is_integer:
        # By way of double, because a cast of a real that no bigint holds gives the largest one.
        return f"CASE WHEN {value} = truncate({value}) THEN TRY_CAST(CAST({value} AS double) AS {target}) END"
    if column.type.is_float:
        return f"CASE WHEN is_finite({value}) AND is_finite(CAST({value} AS {target})) THEN CAST({value} AS {target}) END"
    if column.type is ColumnType.BOOL:
        return f"CASE {value} WHEN 0 THEN false WHEN 1 THEN true END"
    if column.type is ColumnType.TIMESTAMP and column.unit:
        double = f"CAST({value} AS double)"
        return _from_microseconds(_let(double, _epoch_float("_it", column.unit)), column.type)
    return None


def _epoch_float(value: str, unit: str) -> str:
    """Microseconds of a double of a unit, by steps that lose nothing; null where they are not whole."""
    if unit == "s":
        # Seconds as float64 hold microseconds only approximately, so the nearest one is meant.
        whole = f"CAST(truncate({value}) AS bigint) * {SECOND}"
        microseconds = f"{whole} + CAST(round(({value} - truncate({value})) * {SECOND}e0) AS bigint)"
        return f"CASE WHEN abs({value}) <= {MOST_SECONDS} THEN {microseconds} END"
    if unit == "ns":
        scaled, is_whole, factor = f"({value} / {NANOSECONDS}e0)", f"{value} % {NANOSECONDS}e0 = 0e0", 1
    else:
        # Thousandths that a float holds are eighths.
        scaled, factor = (f"({value} * 8e0)", 125) if unit == "ms" else (value, 1)
        is_whole = f"{scaled} = truncate({scaled})"
    most = MOST_SECONDS * SECOND // factor
    return f"CASE WHEN abs({scaled}) <= {most} AND {is_whole} THEN CAST({scaled} AS bigint) * {factor} END"


def _from_microseconds(microseconds: str, column_type: ColumnType) -> str | None:
    """The timestamp, or the date that is its midnight, within the years 1 to 9999; null for any other."""
    if column_type is ColumnType.TIMESTAMP:
        return _let(microseconds, f"CASE WHEN {_in_range('_it')} THEN _it END")
    if column_type is ColumnType.DATE:
        date = f"date_add('day', _it / {DAY}, {_EPOCH})"
        return _let(microseconds, f"CASE WHEN {_in_range('_it')} AND _it % {DAY} = 0 THEN {date} END")
    return None


def _in_range(microseconds: str) -> str:
    return f"{microseconds} BETWEEN {FIRST_MICROSECOND} AND {LAST_MICROSECOND}"


def _let(expression: str, body: str) -> str:
    """The body, in which `_it` is the expression: computed, and written, once."""
    return f"element_at(transform(ARRAY[{expression}], _it -> {body}), 1)"


_CARRIER_OF: Final = {
    "tinyint": Carrier.INTEGER,
    "smallint": Carrier.INTEGER,
    "int": Carrier.INTEGER,
    "integer": Carrier.INTEGER,
    "bigint": Carrier.INTEGER,
    "float": Carrier.FLOAT,
    "real": Carrier.FLOAT,
    "double": Carrier.DOUBLE,
    "boolean": Carrier.BOOLEAN,
    "decimal": Carrier.DECIMAL_TEXT,
    "string": Carrier.TEXT,
    "varchar": Carrier.TEXT,
    "char": Carrier.TEXT,
    "date": Carrier.DAYS,
    "timestamp": Carrier.MICROSECONDS,
}
_TYPE: Final = re.compile(r"([a-z]+)\s*(?:\(\s*([0-9]+)[\s0-9,]*\))?\s*(?:(?:with|without) (?:local )?time zone)?", re.ASCII)
_NO_JSON: Final = re.compile("binary|map<(?!string|varchar|char|tinyint|smallint|int|bigint|boolean|float|double|decimal)")
"""What JSON cannot hold: bytes, and keys of other types."""
_MOST_PLACES: Final = 6
"""Of a second, that microseconds hold."""


def carrier_of(glue_type: str) -> Carrier:
    """How the values of a column of a Glue table are carried, by its type as Hive or Athena writes it."""
    found = _TYPE.fullmatch(glue_type.strip().lower())
    return _CARRIER_OF.get(found[1], Carrier.OTHER) if found else Carrier.OTHER


def carrier_sql(expression: str, glue_type: str, has_timezone: bool = False) -> tuple[str, Carrier, str | None]:
    """A column of a Glue table, as its carrier.

    Args:
        expression: The column.
        glue_type: Its type as Hive or Athena writes it.
        has_timezone: Whether the contract's column has a time zone, for values that name none.

    Returns:
        The expression in the carrier's type; the carrier; the text that shows a value, None where the carrier's own does.
    """
    carrier = carrier_of(glue_type)
    if has_timezone and carrier in (Carrier.DAYS, Carrier.MICROSECONDS):
        # The catalog does not say which timestamps have a zone; their text does.
        return f"CAST({expression} AS varchar)", Carrier.TIME_TEXT, None
    if carrier is Carrier.DAYS:
        return f"date_diff('day', {_EPOCH}, {expression})", carrier, f"CAST({expression} AS varchar)"
    if carrier is Carrier.MICROSECONDS:
        return _instant(expression, glue_type), carrier, _instant_text(expression)
    if carrier in _FLOATS:
        return expression, carrier, f"CASE WHEN {expression} IS NOT NULL THEN format('%s', {expression}) END"
    if carrier is Carrier.OTHER:
        return _other_text(expression, glue_type), carrier, None
    value = f"CAST({expression} AS {carrier.athena_type})"
    # Athena fills a char up with spaces, which do not count.
    return (f"rtrim({value})" if glue_type.strip().lower().startswith("char") else value), carrier, None


def longer_sql(expression: str, glue_type: str, most_bytes: int) -> str | None:
    """Whether a text, or bytes, of a Glue table have more bytes than are allowed; None where its type is another one."""
    kind = glue_type.strip().lower()
    if kind in ("binary", "varbinary"):
        return f"length({expression}) > {most_bytes}"
    if carrier_of(glue_type) is not Carrier.TEXT:
        return None
    text = f"rtrim(CAST({expression} AS varchar))" if kind.startswith("char") else f"CAST({expression} AS varchar)"
    # Of few characters, which have at most four bytes, the bytes need not be made.
    return f"(length({text}) > {most_bytes // 4} AND length(to_utf8({text})) > {most_bytes})"


def _utc(expression: str, places: int) -> str:
    """A timestamp without a zone, of UTC, as Athena takes those that name none."""
    return f"CAST({expression} AT TIME ZONE 'UTC' AS timestamp({places}))"


def _instant(expression: str, glue_type: str) -> str:
    """Microseconds since the epoch; Athena has no function that gives them, so the parts of a second come from the text."""
    utc = _utc(expression, _MOST_PLACES)
    seconds = f"date_diff('second', TIMESTAMP '1970-01-01 00:00:00', date_trunc('second', {utc}))"
    microseconds = f"{seconds} * {SECOND} + CAST(split_part(CAST({utc} AS varchar), '.', 2) AS bigint)"
    places = _TYPE.fullmatch(glue_type.strip().lower())
    if places is None or int(places[2] or 0) <= _MOST_PLACES:
        return microseconds
    is_exact = f"CAST({utc} AS timestamp(12)) = {_utc(expression, 12)}"
    return f"CASE WHEN {is_exact} THEN {microseconds} WHEN {expression} IS NOT NULL THEN {_NO_TIME} END"


def _instant_text(expression: str) -> str:
    return rf"regexp_replace(CAST({_utc(expression, 12)} AS varchar), '\.?0+\z')"


def _other_text(expression: str, glue_type: str) -> str:
    kind = glue_type.strip().lower()
    if kind in ("binary", "varbinary"):
        return f"to_hex({expression})"
    if _NO_JSON.search(kind):
        return f"CASE WHEN {expression} IS NOT NULL THEN {text_literal(kind)} END"
    if kind.startswith(("array", "map", "struct", "row")):
        return f"json_format(CAST({expression} AS json))"
    return f"CAST({expression} AS varchar)"
