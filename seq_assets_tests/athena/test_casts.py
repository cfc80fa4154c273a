"""Reading is lossless or refused on Athena, too: its SQL against the reference in plain Python, and against DuckDB's.

Each query reads hundreds of values, because a query takes a second whatever it does.
"""

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seq_assets.models import ColumnType
from seq_assets.warehouse.athena.casts import Carrier, carrier_sql, null_sql, placed_sql, readable_sql, standard_sql
from seq_assets.warehouse.athena.sql import text_literal
from seq_assets.warehouse.local import casts as duckdb_casts
from seq_assets.warehouse.rules.number_formats import NumberFormat
from seq_assets_tests.athena.fixtures import AthenaClient
from seq_assets_tests.reference import examples
from seq_assets_tests.reference.reading import EPOCH, NULL, UNREADABLE, Instant, read_text, read_value
from seq_assets_tests.reference_cases.texts import (
    BOOLS,
    EPOCHS,
    FLOATS,
    INTEGERS,
    MIDNIGHTS,
    NOISE,
    TIMESTAMPS,
    local_times,
    localised,
    texts_of,
)
from seq_assets_tests.warehouse.local.test_casts import (
    COLUMNS,
    FINE_FLOATS,
    FORMATS,
    INTEGER_LIMITS,
    NUMBER_FORMATS,
    OTHER_FLOATS,
    WHOLE_FLOATS,
    ZONES,
    column_of,
    type_and_reading,
)

pytestmark = pytest.mark.athena

TEXTS: Final = 300
PAGE: Final = 900
"""Rows of a result that Athena gives at once, and that a query may have here."""
CARRIED_BY_DUCKDB: Final = {
    Carrier.TEXT: "VARCHAR",
    Carrier.INTEGER: "BIGINT",
    Carrier.FLOAT: "FLOAT",
    Carrier.DOUBLE: "DOUBLE",
    Carrier.BOOLEAN: "BOOLEAN",
}


def value_of(name: str, text: str | None) -> Any:
    """What a cell of a result means for a column."""
    type_ = column_of(name).type
    if text is None or type_ is ColumnType.STRING:
        return UNREADABLE if text is None else text
    if type_.is_float:
        return float(text)
    if type_ is ColumnType.BOOL:
        return text == "true"
    return date.fromisoformat(text) if type_ is ColumnType.DATE else int(text)


def read(
    athena: AthenaClient, literals: Sequence[str], carrier: Carrier, *names: str, numbers: NumberFormat | None = None
) -> dict[str, list[Any]]:
    """Values, given as literals, as each of the named columns."""
    assert len(literals) <= PAGE
    standard, typed, shown = [], [], []
    for number, name in enumerate(names):
        column, value, local = column_of(name), f"_w{number}", f"_l{number}"
        standard.append(f"{standard_sql('value', carrier, column, numbers)} AS {value}")
        typed.append(f"{readable_sql(value, carrier, column)} AS {local}")
        # A real is shown by fewer digits than it needs as a double.
        placed = placed_sql(local, value, carrier, column) or local
        shown += [null_sql(value, carrier, column), f"CAST({placed} AS double)" if name == "float32" else placed]
    values = ", ".join(f"({number}, CAST({literal} AS {carrier.athena_type}))" for number, literal in enumerate(literals))
    # Without DISTINCT, Trino would plan the whole expression once for each value.
    records = f"SELECT DISTINCT number, value FROM (VALUES {values}) AS records(number, value)"
    rows = athena.rows(f"""
        SELECT {", ".join(shown)}
        FROM (SELECT *, {", ".join(typed)} FROM (SELECT number, {", ".join(standard)} FROM ({records})))
        ORDER BY number""")
    return {
        name: [NULL if row[2 * number] == "true" else value_of(name, row[2 * number + 1]) for row in rows]
        for number, name in enumerate(names)
    }


def read_by_duckdb(values: Sequence[Any], source_type: str, name: str) -> list[Any]:
    column = column_of(name)
    standard = duckdb_casts.standard_sql("value", source_type, column)
    is_null = duckdb_casts.null_sql("standard", source_type, column)
    placed = duckdb_casts.placed_sql("local", "standard", source_type, column) or "local"
    with closing(duckdb.connect()) as connection:
        connection.execute(f"CREATE TABLE records (number INTEGER, value {source_type})")
        connection.executemany("INSERT INTO records VALUES (?, ?)", list(enumerate(values)))
        rows = connection.execute(f"""
            SELECT {is_null}, {placed} FROM (
                SELECT *, {duckdb_casts.readable_sql("standard", source_type, column)} AS local
                FROM (SELECT number, {standard} AS standard FROM records))
            ORDER BY number""").fetchall()
    return [NULL if is_null else UNREADABLE if value is None else value for is_null, value in rows]


def assert_same(values: Sequence[Any], found: Sequence[Any], expected: Sequence[Any]) -> None:
    """They agree on every value, the sign of zero included."""
    different = [
        (value, is_, should_be)
        for value, is_, should_be in zip(values, found, expected, strict=True)
        if repr(is_) != repr(should_be)
    ]
    assert different == []


# From text

TEXT_CASES: Final = [
    (INTEGERS | NOISE, ("int8", "int16", "int32", "int64")),
    (FLOATS | NOISE, ("float32", "float64")),
    (BOOLS | NOISE, ("bool",)),
    (TIMESTAMPS | MIDNIGHTS | NOISE, ("date", "timestamp")),
    (EPOCHS, ("timestamp s", "timestamp ms", "timestamp us", "timestamp ns")),
    (st.text(st.characters(exclude_categories=["Cs"])), ("string",)),
    *((texts_of(form) | TIMESTAMPS | NOISE, (f"timestamp {form}", f"date {form}")) for form in FORMATS),
    (st.sampled_from(ZONES).flatmap(local_times) | TIMESTAMPS, tuple(f"timestamp {zone}" for zone in ZONES)),
]


def generated(strategy: st.SearchStrategy[str], count: int) -> list[str]:
    """Different texts, all at once."""
    found: dict[str, None] = {}

    @settings(deadline=None, database=None, max_examples=examples(count), suppress_health_check=list(HealthCheck))
    @given(text=strategy)
    def note(text: str) -> None:
        found[text] = None

    note()
    return list(found)[:PAGE]


@pytest.mark.parametrize(("strategy", "names"), TEXT_CASES, ids=[names[0] for _, names in TEXT_CASES])
def test_any_text_is_read_as_the_reference_and_duckdb_read_it(
    athena: AthenaClient, strategy: st.SearchStrategy[str], names: tuple[str, ...]
) -> None:
    texts = generated(strategy, TEXTS)
    for name, found in read(athena, list(map(text_literal, texts)), Carrier.TEXT, *names).items():
        assert_same(texts, found, [read_text(text, *type_and_reading(name)) for text in texts])
        assert_same(texts, found, read_by_duckdb(texts, "VARCHAR", name))


@pytest.mark.parametrize("numbers", NUMBER_FORMATS, ids=repr)
def test_any_number_in_the_format_of_its_source_is_read_as_the_reference_reads_it(
    athena: AthenaClient, numbers: NumberFormat
) -> None:
    texts = generated(localised(INTEGERS | FLOATS) | NOISE, TEXTS)
    names = ("int16", "int64", "float32", "float64", "timestamp ms")
    for name, found in read(athena, list(map(text_literal, texts)), Carrier.TEXT, *names, numbers=numbers).items():
        type_, reading = type_and_reading(name)
        reading = replace(reading, decimal=numbers.decimal, thousands=numbers.thousands)
        assert_same(texts, found, [read_text(text, type_, reading) for text in texts])


ODD_TEXTS: Final = [
    # Java reads these, and Trino's casts with it.
    *("1d", "1f", "0x1p3", "NaN", "Infinity", "-Infinity", "+nan", "٣", "\u00a01", "1\n", "\n1", "1\x00"),
    # Just below the middle of two float32, and on both sides of the limits.
    *("1.00000017881393432617187499", "3.4028235e38", "3.4028236e38", "1e39", "1e400", "1e-400", "4.9e-324", "2e-324", "1e-45"),
    *("-0", "-0.0", "0.0", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "1" * 60, "0" * 60 + "1.000"),
    *("0001-01-01", "0000-01-01", "9999-12-31 23:59:59.999999", "9999-12-31 23:59:59-00:01", "0001-01-01 00:00+00:01"),
    *("10000-01-01", "2023-02-29", "2024-02-29T00:00Z", "2024-02-29 13:37:59.123456000+02:00", "2024-02-29 13:37:59.1Z"),
    *(
        "2024-02-29 13:37:59.5+0130",
        "2024-02-29 13:37-01",
        "2024-02-29 13:37:59.123456000 UTC",
        "2024-02-29 13:37+13:",
        "2024-02-29Z",
    ),
    *("2024-02-29 13:37-01:30", "1582-10-10", "1969-12-31 23:59:59.999999", "2024-02-29 13:37:59.1234567", "2024-01-01\n"),
]


def test_odd_texts_are_read_as_the_reference_reads_them(athena: AthenaClient) -> None:
    names = [name for name in COLUMNS if name != "string"]
    for name, found in read(athena, list(map(text_literal, ODD_TEXTS)), Carrier.TEXT, *names).items():
        assert_same(ODD_TEXTS, found, [read_text(text, *type_and_reading(name)) for text in ODD_TEXTS])


# From other carriers

TICKS: Final = [0, 1, -1, 1000, -1000, 86_400_000_000, -86_400_000_000, 86_400_000_000_000, 10**18 + 1, 2**63 - 1, -(2**63)]
TICKS_AT_THE_LIMITS: Final = [
    -62_135_596_800_000_000,
    -62_135_596_800_000_001,
    253_402_300_799_999_999,
    253_402_300_800_000_000,
]
DAYS: Final = [-719_162, -719_163, -1, 0, 19_782, 2_932_896, 2_932_897, 10**12, 2**63 - 1, -(2**63)]
INTEGERS_OF_64_BITS: Final = [
    *(sign * 2**bits + off for bits in (0, 7, 8, 15, 16, 24, 25, 31, 32, 53, 54, 62) for off in (-1, 0, 1) for sign in (1, -1)),
    *(value for limits in INTEGER_LIMITS.values() for value in limits if value < 2**63),
    *(2**63 - 1, -(2**63), 253_402_300_799_999, 253_402_300_800_000),
]
DOUBLES: Final = [*WHOLE_FLOATS, *OTHER_FLOATS, *FINE_FLOATS, 1e18]
REALS: Final = [*WHOLE_FLOATS, *OTHER_FLOATS, 2.0**62, 2.0**100, 2.0**-149]
DECIMALS: Final = ["0", "1", "-7", "300", "0.50", "1.250000000", "0.000000", "300.00", "12345678901234567890.000"]
CARRIED: Final[list[tuple[Carrier, list[Any]]]] = [
    (Carrier.INTEGER, INTEGERS_OF_64_BITS),
    (Carrier.BIG_INTEGER, [*INTEGERS_OF_64_BITS, 2**63, 2**64 - 1, 2**64 - 2**11, 2**64 - 2**40, 2**64, 2**63 + 2**10]),
    (Carrier.FLOAT, REALS),
    (Carrier.DOUBLE, DOUBLES),
    (Carrier.BOOLEAN, [True, False]),
    (Carrier.DECIMAL_TEXT, DECIMALS),
    (Carrier.DAYS, DAYS),
    (Carrier.MICROSECONDS, [*TICKS, *TICKS_AT_THE_LIMITS]),
    (Carrier.NANOSECONDS, [*TICKS, *TICKS_AT_THE_LIMITS]),
    (Carrier.OTHER, ["[1]", "1", ""]),
]


def read_carried(value: Any, carrier: Carrier, name: str) -> Any:
    """What the reference makes of it."""
    if value is None:
        return NULL
    if carrier is Carrier.OTHER:
        return UNREADABLE
    if carrier is Carrier.DAYS:
        value = EPOCH.date() + timedelta(days=value) if -719_162 <= value <= 2_932_896 else Instant(Fraction(10**30))
    elif carrier in (Carrier.MICROSECONDS, Carrier.NANOSECONDS):
        value = Instant(Fraction(value, 1 if carrier is Carrier.MICROSECONDS else 1000))
    elif carrier is Carrier.DECIMAL_TEXT:
        value = Decimal(value)
    return read_value(value, *type_and_reading(name))


def is_left_open(carrier: Carrier, name: str) -> bool:
    """What the design does not say: numbers with a point as bools."""
    return name == "bool" and carrier in (Carrier.FLOAT, Carrier.DOUBLE, Carrier.DECIMAL_TEXT)


@pytest.mark.parametrize(("carrier", "values"), CARRIED, ids=[carrier.value for carrier, _ in CARRIED])
def test_values_are_read_as_every_type_without_loss_or_refused(
    athena: AthenaClient, carrier: Carrier, values: list[Any]
) -> None:
    values = [*values, None]
    literals = ["NULL" if value is None else text_literal(_written(value)) for value in values]
    for name, found in read(athena, literals, carrier, *COLUMNS).items():
        pairs = [pair for pair in zip(values, found, strict=True) if not is_left_open(carrier, name)]
        asked = [value for value, _ in pairs]
        assert_same(asked, [is_ for _, is_ in pairs], [read_carried(value, carrier, name) for value in asked])
        if carrier in CARRIED_BY_DUCKDB:
            assert_same(values, found, read_by_duckdb(values, CARRIED_BY_DUCKDB[carrier], name))


def _written(value: Any) -> str:
    """A value as the text that Athena casts to it."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
    return str(value)


# From tables of the Glue catalog


@pytest.mark.parametrize(
    ("sql", "glue_type", "carrier", "value", "text"),
    [
        ("TINYINT '5'", "tinyint", Carrier.INTEGER, "5", None),
        ("BIGINT '-5'", "bigint", Carrier.INTEGER, "-5", None),
        ("REAL '0.1'", "float", Carrier.FLOAT, "0.1", "0.1"),
        ("nan()", "double", Carrier.DOUBLE, "NaN", "NaN"),
        ("true", "boolean", Carrier.BOOLEAN, "true", None),
        ("DECIMAL '1.50'", "decimal(3,2)", Carrier.DECIMAL_TEXT, "1.50", None),
        ("CAST('ab ' AS varchar(9))", "varchar(9)", Carrier.TEXT, "ab ", None),
        ("CAST('ab' AS char(5))", "char(5)", Carrier.TEXT, "ab", None),
        ("DATE '0001-01-01'", "date", Carrier.DAYS, "-719162", "0001-01-01"),
        ("TIMESTAMP '1969-12-31 23:59:59.999999'", "timestamp", Carrier.MICROSECONDS, "-1", "1969-12-31 23:59:59.999999"),
        ("TIMESTAMP '1970-01-01 00:00:10'", "timestamp(3)", Carrier.MICROSECONDS, "10000000", "1970-01-01 00:00:10"),
        # Iceberg's timestamps with a zone have the type of those without one in Glue.
        ("TIMESTAMP '1970-01-01 01:00:00.5 +01:00'", "timestamp", Carrier.MICROSECONDS, "500000", "1970-01-01 00:00:00.5"),
        ("TIMESTAMP '9999-12-31 23:59:59.999999'", "timestamp", Carrier.MICROSECONDS, "253402300799999999", None),
        ("TIMESTAMP '1970-01-01 00:00:00.000001000'", "timestamp(9)", Carrier.MICROSECONDS, "1", "1970-01-01 00:00:00.000001"),
        ("TIMESTAMP '1970-01-01 00:00:00.000000001'", "timestamp(9)", Carrier.MICROSECONDS, str(-(2**63)), None),
        ("ARRAY[1, 2]", "array<int>", Carrier.OTHER, "[1,2]", None),
        ("CAST(ROW(1) AS row(a integer))", "struct<a:int>", Carrier.OTHER, '{"a":1}', None),
        ("MAP(ARRAY[DATE '2024-01-01'], ARRAY[1])", "map<date,int>", Carrier.OTHER, "map<date,int>", None),
        ("X'00ff'", "binary", Carrier.OTHER, "00FF", None),
    ],
)
def test_a_column_of_a_table_is_carried_without_loss(
    athena: AthenaClient, sql: str, glue_type: str, carrier: Carrier, value: str, text: str | None
) -> None:
    expression, found, shown = carrier_sql("v", glue_type)
    assert found is carrier
    query = f"SELECT {expression}, {shown or 'NULL'}, CAST({expression} AS {carrier.athena_type}) FROM (SELECT {{}} AS v)"
    [[carried, stood, cast]] = athena.rows(query.format(sql))
    assert (carried, cast) == (value, value)
    assert text is None or stood == text
    assert athena.rows(query.format(f"if(false, {sql})")) == [[None, None, None]]
