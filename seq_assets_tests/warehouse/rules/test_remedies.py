"""Of values that were not readable it is said what they look like, and which field reads them."""

from typing import Any

import pytest

from seq_assets.models import ModelSpec
from seq_assets.warehouse.rules.remedies import value_remedies

FORMAT = "looks like a date in another form: columns.x.format: "


def remedies(values: list[str], type_: str, location: str = "x.csv", **fields: Any) -> list[str]:
    """What is said of values of a column `x`."""
    spec = ModelSpec.model_validate(
        {
            "name": "plain",
            "source": {"location": location, "options": {"null_values": ["", "none"]}},
            "entity": "pupil",
            "columns": {"pupil": {"type": "int64"}, "x": {"type": type_, "nullable": True, **fields}},
        }
    )
    return value_remedies(spec, "x", values)


@pytest.mark.parametrize(
    ("type_", "value", "said"),
    [
        ("int8", "300", "'300' does not fit int8, -128 to 127: columns.x.type: int16"),
        ("int8", "-129.0", "'-129.0' does not fit int8, -128 to 127: columns.x.type: int16"),
        ("int8", "40000", "'40000' does not fit int8, -128 to 127: columns.x.type: int32"),
        ("int32", "3000000000", "'3000000000' does not fit int32, -2147483648 to 2147483647: columns.x.type: int64"),
        ("int64", "9" * 30, "does not fit int64, -9223372036854775808 to 9223372036854775807: columns.x.type: string"),
        ("int32", "1.5", "'1.5' is no whole number: columns.x.type: float64"),
        ("int32", "1e3", "'1e3' is no whole number: columns.x.type: float64"),
        ("float32", "1e300", "'1e300' does not fit float32: columns.x.type: float64"),
        ("float64", "1,5", "'1,5' has a decimal comma: source.options.decimal: \",\""),
        ("int64", "1.234,5", "has a decimal comma: source.options.decimal: \",\" and source.options.thousands: \".\""),
        ("float64", "1,234,567.5", "'1,234,567.5' has commas between thousands: source.options.thousands: \",\""),
        ("float64", "1,234", "thousands: \",\", or, where it is the decimal sign, source.options.decimal: \",\""),
        ("int64", "2024-01-01 08:00", "is a point in time: columns.x.type: timestamp"),
        ("int64", "NA", "'NA' looks like a null: source.options.null_values: [\"\", \"none\", \"NA\"]"),
        ("float32", "-", "'-' looks like a null: source.options.null_values: [\"\", \"none\", \"-\"]"),
        ("timestamp", "null", "looks like a null: source.options.null_values: [\"\", \"none\", \"null\"]"),
        ("int64", "\\N", "looks like a null: source.options.null_values: [\"\", \"none\", \"\\\\N\"]"),
        ("int64", "none", "'none' stands in quotes, so that it is no null: source.options.quoted_nulls: true"),
        ("int64", "", "'' stands in quotes, so that it is no null: source.options.quoted_nulls: true"),
        ("timestamp", "1565096190", "looks like an epoch time in s: columns.x.unit: s"),
        ("timestamp", "1565096190.5", "looks like an epoch time in s: columns.x.unit: s"),
        ("timestamp", "1565096190868", "'1565096190868' looks like an epoch time in ms: columns.x.unit: ms"),
        ("timestamp", "1565096190868123", "looks like an epoch time in us: columns.x.unit: us"),
        ("timestamp", "1565096190868123456", "looks like an epoch time in ns: columns.x.unit: ns"),
        ("date", "1565096190", "looks like an epoch time in s: columns.x.type: timestamp and columns.x.unit: s"),
        ("timestamp", "20240131", "looks like a year, month and day: columns.x.format: \"%Y%m%d\""),
        ("date", "2024-01-31 08:00", "has a time of day: columns.x.type: timestamp"),
        ("timestamp", "31/01/2024", f'{FORMAT}"%d/%m/%Y"'),
        ("timestamp", "01/31/2024 08:15", f'{FORMAT}"%m/%d/%Y %H:%M"'),
        ("timestamp", "01/31/2024 08:15:59 PM", f'{FORMAT}"%m/%d/%Y %I:%M:%S %p"'),
        ("date", "1.2.2024", f'{FORMAT}"%d.%m.%Y"'),
        ("date", "2024/01/31", f'{FORMAT}"%Y/%m/%d"'),
        ("date", "01/02/2024", f'{FORMAT}"%d/%m/%Y" or columns.x.format: "%m/%d/%Y"'),
    ],
)  # fmt: skip
def test_a_value_tells_the_field_that_reads_it(type_: str, value: str, said: str) -> None:
    (remedy,) = remedies([value], type_)
    assert remedy.startswith(repr(value))
    assert remedy.endswith(said)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("int64", "abc"),
        ("int64", "5"),
        ("bool", "yes"),
        ("float64", "inf"),
        ("timestamp", "24:00"),
        ("timestamp", "12"),
        ("timestamp", "2024-01-31"),
        ("date", "1.2.24"),
        ("string", "NA"),
        ("int64", "9" * 5_000),
        ("timestamp", "9" * 5_000),
    ],
)
def test_a_value_that_looks_like_nothing_in_particular_gets_no_remedy(type_: str, value: str) -> None:
    assert remedies([value], type_) == []


@pytest.mark.parametrize(
    "value", ["2024-01-31 08:00:00.123456789", "2024-01-31T08:00:00.1234567+00", "2024-01-31 08:00:00.1234561 UTC"]
)
def test_a_time_with_parts_of_a_microsecond_is_told(value: str) -> None:
    (remedy,) = remedies([value], "timestamp")
    assert remedy == f"{value!r} has parts of a microsecond, which no time here holds: round it in the source, where it may be"
    assert remedies([value.replace("6789", "6000").replace("67+", "60+").replace("561 ", "560 ")], "timestamp") == []


def test_a_value_in_the_form_of_its_format_is_not_told_to_take_that_format() -> None:
    fields = {"format": "%d/%m/%Y %H:%M"}
    said = "'26/03/2023 02:30' is in the form of columns.x.format, but no time that there is"
    assert remedies(["26/03/2023 02:30"], "timestamp", **fields) == [said]
    assert remedies(["26/03/2023 02:30"], "timestamp", **fields, timezone="Europe/Amsterdam") == [
        f"{said}, or a local time that a change of clocks skips: look at columns.x.timezone, now Europe/Amsterdam"
    ]
    assert remedies(["26/03/2023"], "timestamp", **fields) == [f"'26/03/2023' {FORMAT}\"%d/%m/%Y\""]


def test_a_unit_that_is_another_one_is_told() -> None:
    assert remedies(["1565096190868"], "timestamp", unit="s") == [
        "'1565096190868' looks like an epoch time in ms: columns.x.unit: ms"
    ]
    assert remedies(["2024-01-31 08:00"], "timestamp", unit="s") == [
        "'2024-01-31 08:00' is a written time, not a number of s: leave columns.x.unit out"
    ]


@pytest.mark.parametrize("value", ["NA", "1,5", "1,234"])
@pytest.mark.parametrize("location", ["x.parquet", "days/*.jsonl", "days/*.json.gz"])
def test_options_of_text_are_no_remedy_for_other_formats(value: str, location: str) -> None:
    assert remedies([value], "float64", location) == []
    assert remedies(["300"], "int8", location) != []


def test_a_null_needs_a_column_that_may_be_null() -> None:
    (remedy,) = remedies(["NA"], "int64", nullable=False)
    assert remedy.endswith('"NA"], with columns.x.nullable: true')


def test_the_longest_number_decides_and_a_day_above_twelve() -> None:
    assert remedies(["300", "70000", "400"], "int8") == [
        "'70000' does not fit int8, -128 to 127: columns.x.type: int32"
    ]  # fmt: skip
    assert remedies(["31/01/2024", "01/02/2024"], "date") == [f"'31/01/2024' {FORMAT}\"%d/%m/%Y\""]
    assert remedies(["01/02/2024", "31/01/2024"], "date") == [f"'31/01/2024' {FORMAT}\"%d/%m/%Y\""]


def test_each_kind_of_value_gets_its_remedy() -> None:
    assert len(remedies(["NA", "300", "1,5", "x"], "int8")) == 3


def test_a_long_value_is_cut() -> None:
    (remedy,) = remedies(["1" * 99], "int8")
    assert remedy.startswith(f"'{'1' * 40}…' does not fit int8")
