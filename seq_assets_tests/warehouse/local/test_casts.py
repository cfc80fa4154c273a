"""Reading is lossless or refused: the grammar of the reference, in plain Python, against the SQL.

Where the design leaves a form open (a leading dot or an exponent in epoch numbers, a float
1.0 for a bool), the tests do not ask.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq_assets.models import ColumnSpec, ColumnType
from seq_assets.warehouse.local.casts import literal_sql, null_sql, placed_sql, readable_sql, standard_sql
from seq_assets.warehouse.rules.number_formats import NumberFormat
from seq_assets_tests.reference import examples
from seq_assets_tests.reference.reading import LAST_MICROSECOND, NULL, UNREADABLE, Instant, Reading, read_text, read_value
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

COLUMNS: Final[Mapping[str, ColumnSpec]] = {
    **{type_.value: ColumnSpec(type=type_) for type_ in ColumnType},
    **{f"timestamp {unit}": ColumnSpec(type=ColumnType.TIMESTAMP, unit=unit) for unit in ("s", "ms", "us", "ns")},
}


NUMBER_FORMATS: Final = (NumberFormat(",", None), NumberFormat(",", "."), NumberFormat(".", ","), NumberFormat(",", " "))
FORMATS: Final = (
    *(
        "%d/%m/%Y %H:%M",
        "%Y%m%d%H%M%S",
        "%m-%d-%y",
        "%b %d, %Y %I:%M:%S %p",
        "%B/%d/%Y",
        "%d.%m.%Y %H:%M:%S.%f",
        "%Y-%m-%dT%H%z",
    ),
    *("100%% %Y (%m) [%d] %H:%M:%S.%f%z", "%H.%M %d-%b-%y", "%Y  %m\t%d"),
)
ZONES: Final = (
    "Europe/Amsterdam",
    "America/New_York",
    "Asia/Kolkata",
    "Africa/Casablanca",
    "Australia/Lord_Howe",
    "Etc/GMT-14",
)
TIME_COLUMNS: Final[Mapping[str, ColumnSpec]] = {
    **{f"timestamp {form}": ColumnSpec(type=ColumnType.TIMESTAMP, format=form) for form in FORMATS},
    **{f"date {form}": ColumnSpec(type=ColumnType.DATE, format=form) for form in FORMATS},
    **{f"timestamp {zone}": ColumnSpec(type=ColumnType.TIMESTAMP, timezone=zone) for zone in ZONES},
    "timestamp in both": ColumnSpec(type=ColumnType.TIMESTAMP, format="%d/%m/%Y %H:%M", timezone="Europe/Amsterdam"),
}


def column_of(name: str) -> ColumnSpec:
    return COLUMNS.get(name) or TIME_COLUMNS[name]


def type_and_reading(name: str) -> tuple[str, Reading]:
    """A column's type and the rest of how it is read, as the reference takes them."""
    column = column_of(name)
    return column.type.value, Reading(column.unit, column.format, column.timezone)


# The SQL


@dataclass
class Sql:
    """A DuckDB connection; forgotten at the end, and not named in types, because Hypothesis remembers what it has seen."""

    connection: Any

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self.connection.execute(query).fetchall()
        return found

    def read(self, relation: str, source_type: str, columns: Mapping[str, ColumnSpec]) -> list[dict[str, Any]]:
        """Each `value` of a relation, in the order of `number`, as each of the columns."""
        found = [self._read_as(relation, source_type, column) for column in columns.values()]
        return [dict(zip(columns, row, strict=True)) for row in zip(*found, strict=True)]

    def read_array(self, array: pa.Array, source_type: str, name: str) -> list[Any]:
        """The values of an array as the named column."""
        self.connection.register("arrow", pa.table({"number": range(len(array)), "value": array}))
        return self._read_as("arrow", source_type, column_of(name))

    def read_texts(self, texts: Sequence[str], name: str, numbers: NumberFormat | None = None) -> list[Any]:
        self.connection.register("arrow", pa.table({"number": range(len(texts)), "value": pa.array(texts, pa.string())}))
        return self._read_as("arrow", "VARCHAR", column_of(name), numbers)

    def _read_as(self, relation: str, source_type: str, column: ColumnSpec, numbers: NumberFormat | None = None) -> list[Any]:
        placed = placed_sql("local", "standard", source_type, column) or "local"
        rows = self.rows(f"""
            SELECT {null_sql("standard", source_type, column)}, {placed} FROM (
                SELECT *, {readable_sql("standard", source_type, column)} AS local
                FROM (SELECT number, {standard_sql("value", source_type, column, numbers)} AS standard FROM {relation}))
            ORDER BY number""")
        return [NULL if is_null else UNREADABLE if value is None else value for is_null, value in rows]


@pytest.fixture(scope="module")
def sql() -> Iterator[Sql]:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        sql = Sql(connection)
        yield sql
        sql.connection = None


def assert_reads(sql: Sql, texts: Sequence[str], name: str) -> None:
    """The SQL and the reference agree on every text, the sign of zero included."""
    found = sql.read_texts(texts, name)
    expected = [read_text(text, *type_and_reading(name)) for text in texts]
    assert dict(zip(texts, map(repr, found), strict=True)) == dict(zip(texts, map(repr, expected), strict=True))


# From text


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("int8", "127", 127),
        ("int8", "-128", -128),
        ("int16", "+32767", 32767),
        ("int32", " \t7\t ", 7),
        ("int64", "9223372036854775807", 2**63 - 1),
        ("int64", "-9223372036854775808", -(2**63)),
        ("int64", "0009223372036854775807.000", 2**63 - 1),
        ("int32", "1.", 1),
        ("int32", "-0", 0),
        ("float32", "0.1", float(np.float32(0.1))),
        ("float64", ".5", 0.5),
        ("float64", "5.", 5.0),
        ("float64", "-1.5E+3", -1500.0),
        ("float64", "1e-400", 0.0),
        ("float32", "1e-60", 0.0),
        ("float32", "3.4028235e38", float(np.finfo(np.float32).max)),
        # Just below the middle of two float32, which the nearest float64 would round up to.
        ("float32", "1.00000017881393432617187499", 1.00000011920928955078125),
        ("float64", " NaN ", NULL),
        ("float32", "nan", NULL),
        ("bool", "TRUE", True),
        ("bool", " fALSE", False),
        ("bool", "1", True),
        ("bool", "0", False),
        ("date", "2024-02-29", date(2024, 2, 29)),
        ("date", "0001-01-01", date(1, 1, 1)),
        ("date", "2024-02-29 00:00", date(2024, 2, 29)),
        ("date", "2024-02-28T23:00-01:00", date(2024, 2, 29)),
        ("timestamp", "1970-01-02", 86_400_000_000),
        ("timestamp", "1970-01-01 00:01", 60_000_000),
        ("timestamp", "1970-01-01T00:00:01Z", 1_000_000),
        ("timestamp", "1970-01-01 00:00:00.1", 100_000),
        ("timestamp", "1970-01-01 00:00:00.123456000000", 123_456),
        ("timestamp", "1970-01-01 00:00:00+01:30", -5_400_000_000),
        ("timestamp", "1970-01-01 00:00:00+0130", -5_400_000_000),
        ("timestamp", "1970-01-01 00:00-01", 3_600_000_000),
        ("timestamp", "1970-01-01T00:00:00.238544+00", 238_544),
        ("timestamp", "1970-01-01 00:00:00.238 UTC", 238_000),
        ("timestamp", "1970-01-01 00:00:00.238000000-00:30", 1_800_238_000),
        ("timestamp", "9999-12-31 23:59:59.999999", LAST_MICROSECOND),
        ("timestamp s", "1.5", 1_500_000),
        ("timestamp s", "1499059021.123456", 1_499_059_021_123_456),
        ("timestamp ms", "-1", -1_000),
        ("timestamp us", "7.000", 7),
        ("timestamp ns", "-7000.0", -7),
        ("timestamp ns", f"{'0' * 40}1565096190868123000", 1_565_096_190_868_123),
        ("string", " as it is \t", " as it is \t"),
        ("string", "nan", "nan"),
        ("string", "e\u0301", "e\u0301"),
    ],
)
def test_text_is_read_as_the_design_says(sql: Sql, name: str, text: str, value: Any) -> None:
    assert sql.read_texts([text], name) == [value]
    assert read_text(text, *type_and_reading(name)) == value


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("int8", ["128", "-129", "1e2"]),
        (
            "int32",
            ["1.5", "1e3", "0x10", "1_000", "٣", "", " ", "1 2", "--1", "+", ".0", "1.0.0", "1,0", "\n1", "1\u00a0", "true"],
        ),
        ("int64", ["9223372036854775808", "-9223372036854775809", "9" * 50]),
        (
            "float64",
            ["inf", "-Infinity", "1d", "1f", "0x1p3", "1e", "e1", ".", "1e400", "1_0.0", "١", "", "nan1", "-nan", "1e1.5"],
        ),
        ("float32", ["1e39", "3.4028236e38", "-1e39"]),
        ("bool", ["yes", "no", "t", "f", "on", "2", "1.0", "", "true false", "-1"]),
        (
            "date",
            ["2023-02-29", "2024-13-01", "2024-00-01", "2024-1-1", "24-01-01", "01/02/2024", "2024-01-01 01:00", "0000-01-01"],
        ),
        ("date", ["20240101", "2024-01-01T", "2024-01-01 00:00:00.000001", "10000-01-01", "epoch", "infinity", "1"]),
        ("timestamp", ["2024-01-01 24:00", "2024-01-01 23:59:60", "2024-01-01 23:60", "2024-01-01T1:00", "2024-01-01 01"]),
        ("timestamp", ["2024-01-01 01:00:00.", "2024-01-01 01:00:00.1234567", "2024-01-01 01:00:00 Z", "2024-01-01 01:00:00z"]),
        (
            "timestamp",
            ["2024-01-01 01:00+24:00", "2024-01-01 01:00+01:", "2024-01-01 01:00+1", "2024-01-01Z", "0001-01-01 00:00+00:01"],
        ),
        (
            "timestamp",
            [
                "2024-01-01 01:00UTC",
                "2024-01-01 01:00 utc",
                "2024-01-01 UTC",
                "2024-01-01+01",
                "2024-01-01  01:00",
                "9999-12-31 23:59:59-00:01",
                "1704067200",
                "now",
                "infinity",
            ],
        ),
        ("timestamp s", ["1.0000001", "2024-01-01", "9" * 20, "253402300800", "-62135596801", "", "x"]),
        ("timestamp ms", ["0.0001", "0x10"]),
        ("timestamp us", ["0.5", "9223372036854775808"]),
        ("timestamp ns", ["1", "1565096190868123999", "0.5", "253402300800000000000", "-62135596800000001000", "9" * 40]),
    ],
)
def test_text_of_another_form_is_unreadable(sql: Sql, name: str, texts: list[str]) -> None:
    assert dict(zip(texts, sql.read_texts(texts, name), strict=True)) == dict.fromkeys(texts, UNREADABLE)
    assert {read_text(text, *type_and_reading(name)) for text in texts} == {UNREADABLE}


@settings(deadline=None, max_examples=examples(25))
@given(texts=st.lists(INTEGERS | NOISE, min_size=20, max_size=60))
@pytest.mark.parametrize("name", ["int8", "int16", "int32", "int64"])
def test_any_text_is_an_integer_exactly_where_the_reference_says(sql: Sql, name: str, texts: list[str]) -> None:
    assert_reads(sql, texts, name)


@settings(deadline=None, max_examples=examples(25))
@given(texts=st.lists(FLOATS | NOISE, min_size=20, max_size=60))
@pytest.mark.parametrize("name", ["float32", "float64"])
def test_any_text_is_the_nearest_float_exactly_where_the_reference_says(sql: Sql, name: str, texts: list[str]) -> None:
    assert_reads(sql, texts, name)


@settings(deadline=None, max_examples=examples(20))
@given(texts=st.lists(BOOLS | NOISE, min_size=10, max_size=30))
def test_any_text_is_a_bool_exactly_where_the_reference_says(sql: Sql, texts: list[str]) -> None:
    assert_reads(sql, texts, "bool")


@settings(deadline=None, max_examples=examples(25))
@given(texts=st.lists(TIMESTAMPS | MIDNIGHTS | NOISE, min_size=20, max_size=60))
@pytest.mark.parametrize("name", ["date", "timestamp"])
def test_any_text_is_a_time_exactly_where_the_reference_says(sql: Sql, name: str, texts: list[str]) -> None:
    assert_reads(sql, texts, name)


@settings(deadline=None, max_examples=examples(25))
@given(texts=st.lists(EPOCHS, min_size=20, max_size=60))
@pytest.mark.parametrize("name", ["timestamp s", "timestamp ms", "timestamp us", "timestamp ns"])
def test_any_number_is_an_epoch_time_exactly_where_the_reference_says(sql: Sql, name: str, texts: list[str]) -> None:
    assert_reads(sql, texts, name)


@settings(deadline=None, max_examples=examples(20))
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=10, max_size=30))
def test_any_text_is_a_string_as_it_is(sql: Sql, texts: list[str]) -> None:
    assert_reads(sql, texts, "string")


@settings(deadline=None, max_examples=examples(10))
@given(data=st.data())
@pytest.mark.parametrize("form", FORMATS)
def test_any_text_of_a_format_is_the_time_that_python_reads(sql: Sql, form: str, data: st.DataObject) -> None:
    texts = data.draw(st.lists(texts_of(form) | TIMESTAMPS | NOISE, min_size=10, max_size=30))
    assert_reads(sql, texts, f"timestamp {form}")
    assert_reads(sql, texts, f"date {form}")


@settings(deadline=None, max_examples=examples(10))
@given(data=st.data())
@pytest.mark.parametrize("zone", ZONES)
def test_any_local_time_is_the_point_in_time_that_python_says(sql: Sql, zone: str, data: st.DataObject) -> None:
    texts = data.draw(st.lists(local_times(zone) | TIMESTAMPS, min_size=20, max_size=60))
    assert_reads(sql, texts, f"timestamp {zone}")


def assert_reads_numbers(sql: Sql, texts: Sequence[str], name: str, numbers: NumberFormat) -> None:
    type_, reading = type_and_reading(name)
    reading = replace(reading, decimal=numbers.decimal, thousands=numbers.thousands)
    expected = [read_text(text, type_, reading) for text in texts]
    found = sql.read_texts(texts, name, numbers)
    assert dict(zip(texts, map(repr, found), strict=True)) == dict(zip(texts, map(repr, expected), strict=True))


@settings(deadline=None, max_examples=examples(10))
@given(texts=st.lists(localised(INTEGERS | FLOATS) | NOISE, min_size=20, max_size=60))
@pytest.mark.parametrize("name", ["int16", "int64", "float32", "float64", "timestamp ms"])
@pytest.mark.parametrize("numbers", NUMBER_FORMATS, ids=repr)
def test_any_number_in_the_format_of_its_source_is_what_the_reference_says(
    sql: Sql, texts: list[str], name: str, numbers: NumberFormat
) -> None:
    assert_reads_numbers(sql, texts, name, numbers)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("float64", "1.234.567,5", 1234567.5),
        ("float64", "1234567,5e1", 12345675.0),
        ("float64", " -,5 ", -0.5),
        ("float64", "nan", NULL),
        ("float64", "1.5", UNREADABLE),
        ("float64", "12.34,5", UNREADABLE),
        ("float64", "1234.567", UNREADABLE),
        ("float64", "1.234.56", UNREADABLE),
        ("float64", ".123", UNREADABLE),
        ("float64", "1,234,5", UNREADABLE),
        ("float64", "1,234.567", UNREADABLE),
        ("int32", "1.234", 1234),
        ("int32", "-1.234,00", -1234),
        ("int32", "1234", 1234),
        ("int32", "1,5", UNREADABLE),
        ("timestamp s", "1.500,25", 1_500_250_000),
        ("bool", "1", True),
        ("date", "2024-02-29", date(2024, 2, 29)),
    ],
)
def test_a_decimal_comma_and_grouped_thousands_are_read_strictly(sql: Sql, name: str, text: str, value: Any) -> None:
    assert sql.read_texts([text], name, NumberFormat(",", ".")) == [value]
    type_, reading = type_and_reading(name)
    assert read_text(text, type_, replace(reading, decimal=",", thousands=".")) == value


@pytest.mark.parametrize(
    ("name", "text", "in_utc"),
    [
        # The first of two, past the change, skipped, past the change.
        ("timestamp in both", "29/10/2023 02:30", "2023-10-29 00:30"),
        ("timestamp in both", "29/10/2023 03:30", "2023-10-29 02:30"),
        ("timestamp in both", "26/03/2023 02:30", None),
        ("timestamp in both", "26/03/2023 03:30", "2023-03-26 01:30"),
        ("timestamp in both", "1/7/2100 12:00", "2100-07-01 10:00"),
        ("timestamp in both", "1/7/2101 12:00", None),
        ("timestamp in both", "2023-07-01 12:00", None),
        ("timestamp Asia/Kolkata", "9999-12-31 23:59:59", "9999-12-31 18:29:59"),
        ("timestamp Asia/Kolkata", "0001-01-01 03:00", None),
        ("timestamp Europe/Amsterdam", "2023-07-01 12:00Z", "2023-07-01 12:00"),
        ("timestamp Europe/Amsterdam", "2023-07-01 12:00 UTC", "2023-07-01 12:00"),
        ("timestamp Europe/Amsterdam", "2023-07-01", "2023-06-30 22:00"),
        ("timestamp %Y-%m-%dT%H%z", "2023-07-01T12+0200", "2023-07-01 10:00"),
        ("timestamp %Y-%m-%dT%H%z", "2023-07-01T12Z", "2023-07-01 12:00"),
        ("timestamp %Y-%m-%dT%H%z", "2023-07-01t12Z", None),
        ("timestamp %b %d, %Y %I:%M:%S %p", "jul  1, 2023 12:00:00 AM", "2023-07-01 00:00"),
        ("timestamp %b %d, %Y %I:%M:%S %p", "JUL 1, 2023 12:00:00\tpm", "2023-07-01 12:00"),
        ("timestamp %b %d, %Y %I:%M:%S %p", "Jul 1,2023 1:00:00 PM", None),
        ("timestamp %m-%d-%y", "1-2-68", "2068-01-02 00:00"),
        ("timestamp %m-%d-%y", "1-2-69", "1969-01-02 00:00"),
        ("timestamp %m-%d-%y", "02-30-20", None),
    ],
)
def test_text_is_read_by_the_columns_format_and_zone(sql: Sql, name: str, text: str, in_utc: str | None) -> None:
    expected = UNREADABLE if in_utc is None else read_text(in_utc, "timestamp")
    assert sql.read_texts([text], name) == [expected]
    assert read_text(text, *type_and_reading(name)) == expected


def test_times_of_parquet_without_a_zone_are_local_where_the_column_says_so(sql: Sql) -> None:
    for unit, factor in (("s", 1), ("ms", 1000), ("us", 10**6), ("ns", 10**9)):
        ticks = [1_698_546_600 * factor, 1_679_797_800 * factor]
        without_zone = pa.array(ticks, pa.timestamp(unit))
        type_ = {"s": "TIMESTAMP_S", "ms": "TIMESTAMP_MS", "us": "TIMESTAMP", "ns": "TIMESTAMP_NS"}[unit]
        found = sql.read_array(without_zone, type_, "timestamp Europe/Amsterdam")
        assert found == [1_698_539_400_000_000, UNREADABLE]
    in_utc = pa.array([1_698_546_600_000_000], pa.timestamp("us", "UTC"))
    found = sql.read_array(in_utc, "TIMESTAMP WITH TIME ZONE", "timestamp Europe/Amsterdam")
    assert found == [1_698_546_600_000_000]
    days = sql.read_array(pa.array([date(2023, 7, 1)]), "DATE", "timestamp Europe/Amsterdam")
    assert days == [read_text("2023-06-30 22:00", "timestamp")]


# From Parquet

INTEGER_LIMITS: Final = {
    pa.int8(): [-128, -1, 0, 1, 127],
    pa.int16(): [-(2**15), -129, 128, 2**15 - 1],
    pa.int32(): [-(2**31), 2**24, 2**24 + 1, -(2**24) - 1, 2**24 + 2, 2**31 - 1],
    pa.int64(): [-(2**63), 2**53, 2**53 + 1, 2**53 + 2, 1_499_059_021, 1_499_059_021_123_456, 253_402_300_800, 2**63 - 1],
    pa.uint8(): [0, 1, 128, 255],
    pa.uint16(): [0, 2**15, 2**16 - 1],
    pa.uint32(): [0, 2**31, 2**32 - 1],
    pa.uint64(): [0, 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64 - 2**11],
}
WHOLE_FLOATS: Final = [0.0, -0.0, 1.0, -7.0, 127.0, 128.0, -128.0, -129.0, 2.0**31, 2.0**53, 2.0**63, -(2.0**63), 2.0**64]
FINE_FLOATS: Final = [
    *(1e-300, 1e300, 0.1, 3.4028234663852886e38, 3.4028235677973366e38, 0.125, 1000.0, 1001.0, 1.5e21, 2.0**70),
    # Times of the units, some of which a product with the microseconds per unit would round to whole ones.
    *(1_565_096_190.868123, -1_565_096_190.868123, 1e10 + 2**-6, 0.0078125, 253402300799.99997),
    *(1_565_096_190_868.125, 1_565_096_190_868.123, 1e13 + 2**-9, 1e13 + 0.125, 1.565096190868123e15, 1.565096190868123e18),
]
OTHER_FLOATS: Final = [0.5, -0.25, 1.5, math.inf, -math.inf, math.nan]


def parquet_columns() -> Iterator[tuple[pa.Array, list[Any]]]:
    """Arrow arrays as Parquet files have them, and their values as the reference takes them."""
    for type_, limits in INTEGER_LIMITS.items():
        yield pa.array([*limits, None], type_), [*limits, None]
    for type_ in (pa.float16(), pa.float32(), pa.float64()):
        numbers = [*(x for x in WHOLE_FLOATS if type_ != pa.float16() or abs(x) < 2**15), *OTHER_FLOATS]
        numbers += FINE_FLOATS if type_ == pa.float64() else []
        array = pa.array([*map(np.float16, numbers), None] if type_ == pa.float16() else [*numbers, None], type_)
        yield array, [*map(float, numbers), None]
    yield pa.array([True, False, None]), [True, False, None]
    for precision, scale in ((5, 0), (9, 2), (18, 6), (38, 9)):
        decimals = [Decimal(text).quantize(Decimal(1).scaleb(-scale)) for text in ("0", "1", "-7", "300", "0.5", "1.25")]
        yield pa.array([*decimals, None], pa.decimal128(precision, scale)), [*decimals, None]
    days = [date(1, 1, 1), date(1969, 12, 31), date(1970, 1, 1), date(2024, 2, 29), date(9999, 12, 31)]
    yield pa.array([*days, None], pa.date32()), [*days, None]
    for unit, per_unit in (("s", 1_000_000), ("ms", 1_000), ("us", 1), ("ns", Fraction(1, 1000))):
        ticks = [0, 1, -1, 86_400_000_000 // per_unit, -86_400_000_000 // per_unit, 10**9, 10**15 // per_unit * 1000 + 1]
        ticks = [int(tick) for tick in ticks if abs(tick) < 2**63]
        for zone in (None, "UTC", "Europe/Berlin"):
            instants = [Instant(Fraction(tick) * per_unit) for tick in ticks]
            yield pa.array([*ticks, None], pa.timestamp(unit, zone)), [*instants, None]
    texts = ["1", " 1.0 ", "x", "nan", "true", "2024-02-29", "2024-02-29T12:00Z", ""]
    for array in (
        pa.array([*texts, None]),
        pa.array([*texts, None], pa.large_string()),
        pa.array([*texts, None]).dictionary_encode(),
        pa.array([*(text.encode() for text in texts), None], pa.binary()),
    ):
        yield array, [*texts, None]


def is_left_open(value: Any, column: ColumnSpec) -> bool:
    """Whether the design does not say what a value of a Parquet file is for a column."""
    return column.type is ColumnType.BOOL and isinstance(value, float | Decimal)


@pytest.mark.parametrize(("array", "values"), [pytest.param(*case, id=str(case[0].type)) for case in parquet_columns()])
def test_values_of_parquet_are_read_as_every_type_without_loss_or_refused(
    sql: Sql, tmp_path: Path, array: pa.Array, values: list[Any]
) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"number": range(len(array)), "value": array}), path)
    relation = f"read_parquet('{path}', binary_as_string = true)"
    source_type = sql.rows(f"DESCRIBE SELECT value FROM {relation}")[0][1]
    found = sql.read(relation, source_type, COLUMNS)
    for value, row in zip(values, found, strict=True):
        asked = [name for name, column in COLUMNS.items() if not is_left_open(value, column)]
        expected = {name: repr(read_value(value, *type_and_reading(name))) for name in asked}
        assert {name: repr(row[name]) for name in asked} == expected, value


@pytest.mark.parametrize(
    "array",
    [
        pa.array([[1, 2]]),
        pa.array([["a"]]),
        pa.array([{"a": 1}]),
        pa.array([{"a": [1]}]),
        pa.array([[{"a": 1}]]),
        pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        pa.array([1], pa.time64("us")),
    ],
    ids=lambda array: str(array.type),
)
def test_values_that_no_type_can_hold_are_unreadable(sql: Sql, tmp_path: Path, array: pa.Array) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"number": [0], "value": array}), path)
    source_type = sql.rows(f"DESCRIBE SELECT value FROM '{path}'")[0][1]
    assert sql.read(f"'{path}'", source_type, COLUMNS) == [dict.fromkeys(COLUMNS, UNREADABLE)]


def test_seconds_as_float64_mean_the_nearest_microsecond(sql: Sql) -> None:
    seconds = [1_499_059_021.123456, 0.1, -0.1]
    assert sql.read_array(pa.array(seconds), "DOUBLE", "timestamp s") == [1_499_059_021_123_456, 100_000, -100_000]


# Literals


@pytest.mark.parametrize(
    ("value", "type_", "expected"),
    [
        (-128, ColumnType.INT8, -128),
        (2**63 - 1, ColumnType.INT64, 2**63 - 1),
        (-(2**63), ColumnType.INT64, -(2**63)),
        (0.1, ColumnType.FLOAT64, 0.1),
        (1e-7, ColumnType.FLOAT32, float(np.float32(1e-7))),
        # Between two float32: as text nearer to the upper one, as float64 exactly in the middle, and so to the even, lower one.
        (1.0000000596046448, ColumnType.FLOAT32, 1.0),
        (True, ColumnType.BOOL, True),
        (False, ColumnType.BOOL, False),
        ('it\'s "quoted"; \\', ColumnType.STRING, 'it\'s "quoted"; \\'),
        (-1, ColumnType.DATE, date(1969, 12, 31)),
        (19_782, ColumnType.DATE, date(2024, 2, 29)),
        (-1, ColumnType.TIMESTAMP, -1),
    ],
)
def test_a_literal_is_the_value_of_the_model_file(sql: Sql, value: Any, type_: ColumnType, expected: Any) -> None:
    assert sql.rows(f"SELECT {literal_sql(value, type_)}") == [(expected,)]
