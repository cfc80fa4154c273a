"""What a column's type can hold, and what its validations compare with."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from seq_assets.models import ColumnSpec, ColumnType
from seq_assets.models.columns import Validation, describe_type, integer_range, literal, timestamp_microseconds

DAY = 86_400_000_000


@pytest.mark.parametrize("type_", [type_ for type_ in ColumnType if type_.is_integer])
def test_an_integer_type_holds_its_whole_range_and_nothing_beyond(type_: ColumnType) -> None:
    low, high = integer_range(type_)
    assert (literal(low, type_), literal(high, type_)) == (low, high)
    for beyond in (low - 1, high + 1, 0.5, 1.0, True, "1", None, float("nan")):
        with pytest.raises(ValueError, match=f"an integer from {low} to {high}"):
            literal(beyond, type_)


def test_the_ranges_are_those_of_two_s_complement() -> None:
    assert integer_range(ColumnType.INT8) == (-128, 127)
    assert integer_range(ColumnType.INT64) == (-(2**63), 2**63 - 1)


@pytest.mark.parametrize(
    ("value", "type_", "expected"),
    [
        (1, ColumnType.FLOAT64, 1.0),
        (-1.5, ColumnType.FLOAT32, -1.5),
        (3.4028234663852886e38, ColumnType.FLOAT32, 3.4028234663852886e38),
        (1e308, ColumnType.FLOAT64, 1e308),
        (False, ColumnType.BOOL, False),
        ("", ColumnType.STRING, ""),
        ("no", ColumnType.STRING, "no"),
        ("1970-01-02", ColumnType.DATE, 1),
        (date(1969, 12, 31), ColumnType.DATE, -1),
        (date(1970, 1, 2), ColumnType.TIMESTAMP, DAY),
        ("1970-01-02", ColumnType.TIMESTAMP, DAY),
        ("1970-01-01 00:00:00.000001", ColumnType.TIMESTAMP, 1),
        ("1969-12-31T23:59:59.999999Z", ColumnType.TIMESTAMP, -1),
        (datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), ColumnType.TIMESTAMP, 0),
        (datetime(1970, 1, 1), ColumnType.TIMESTAMP, 0),
    ],
)
def test_a_value_becomes_the_plain_value_of_its_type(value: Any, type_: ColumnType, expected: Any) -> None:
    found = literal(value, type_)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (1e39, ColumnType.FLOAT32),
        (3.5e38, ColumnType.FLOAT32),
        (float("inf"), ColumnType.FLOAT64),
        (float("nan"), ColumnType.FLOAT64),
        (10**400, ColumnType.FLOAT64),
        (True, ColumnType.FLOAT64),
        ("1.0", ColumnType.FLOAT64),
        (1, ColumnType.BOOL),
        ("true", ColumnType.BOOL),
        (1, ColumnType.STRING),
        (None, ColumnType.STRING),
        (False, ColumnType.STRING),
        (0, ColumnType.DATE),
        ("2023-02-29", ColumnType.DATE),
        (datetime(1970, 1, 1), ColumnType.DATE),
        (0, ColumnType.TIMESTAMP),
        ("noon", ColumnType.TIMESTAMP),
        ("2024-01-01 24:00:01", ColumnType.TIMESTAMP),
    ],
)
def test_a_value_that_the_type_cannot_hold_is_refused_with_what_it_can(value: Any, type_: ColumnType) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011  # the message is compared as a whole
        literal(value, type_)
    assert str(error.value) == describe_type(type_)


def test_a_timestamp_without_a_zone_is_utc() -> None:
    assert timestamp_microseconds("2024-01-01") == timestamp_microseconds(datetime(2024, 1, 1, tzinfo=UTC))


def test_every_microsecond_from_the_first_year_to_the_last_is_exact() -> None:
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert timestamp_microseconds(first) == -719_162 * DAY
    assert timestamp_microseconds(last) == 2_932_897 * DAY - 1


def test_features_of_timestamps_and_dates_are_integers() -> None:
    changed = {type_: type_.as_feature for type_ in ColumnType if type_.as_feature is not type_}
    assert changed == {ColumnType.TIMESTAMP: ColumnType.INT64, ColumnType.DATE: ColumnType.INT32}


def test_numbers_have_arithmetic_and_all_but_booleans_an_order() -> None:
    assert {type_ for type_ in ColumnType if not type_.is_number} == {"bool", "string", "date", "timestamp"}
    assert {type_ for type_ in ColumnType if type_.is_float} == {"float32", "float64"}
    assert {type_ for type_ in ColumnType if not type_.is_ordered} == {"bool"}


def test_validations_come_in_the_documented_order_whatever_the_file_says() -> None:
    every = {
        "is_between": [0, 9],
        "is_lower_than_or_equal": 9,
        "is_lower_than": 10,
        "is_greater_than_or_equal": 0,
        "is_greater_than": -1,
        "is_in": [1, 2],
    }
    column = ColumnSpec.model_validate({"type": "int8"} | every)
    assert column.validations() == [
        (Validation.IS_IN, (1, 2)),
        (Validation.IS_GREATER_THAN, (-1,)),
        (Validation.IS_GREATER_THAN_OR_EQUAL, (0,)),
        (Validation.IS_LOWER_THAN, (10,)),
        (Validation.IS_LOWER_THAN_OR_EQUAL, (9,)),
        (Validation.IS_BETWEEN, (0, 9)),
    ]


def test_zero_and_false_are_values_to_compare_with() -> None:
    assert ColumnSpec(type=ColumnType.INT8, is_lower_than=0).validations() == [(Validation.IS_LOWER_THAN, (0,))]
    assert ColumnSpec(type=ColumnType.BOOL, is_in=(False,)).validations() == [(Validation.IS_IN, (False,))]


def test_a_column_without_validations_has_none() -> None:
    assert ColumnSpec(type=ColumnType.STRING).validations() == []
