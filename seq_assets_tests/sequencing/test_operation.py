"""The bare operation on tables in memory: what comes out, and what every mistake is told."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq_assets.errors import InputError
from seq_assets.sequencing.operation import WINDOWS, sequence
from seq_assets_tests import reference
from seq_assets_tests.reference import Feature, Row, examples
from seq_assets_tests.reference.pipeline import UNITS
from seq_assets_tests.sequencing.cases import Case, cases

Frame = Callable[[dict[str, Any]], Any]

FRAMES = pytest.mark.parametrize(
    "frame",
    [pa.table, pa.RecordBatch.from_pydict, pd.DataFrame, pl.DataFrame],
    ids=["arrow", "batch", "pandas", "polars"],
)
ANSWERS = {"pupilid": [1, 1, 2], "timestamp": [10, 20, 30], "correct": [1, 0, 1], "school": ["a", "a", "b"]}


def cut(table: Any = None, **changes: Any) -> pa.Table:
    """The answers, or another table, cut into sequences of 3; `changes` of the arguments."""
    arguments: dict[str, Any] = {"entity": "pupilid", "features": {"correct": -1}, "sequence_length": 3} | changes
    return sequence(pa.table(ANSWERS) if table is None else table, **arguments)


def message_of(table: Any = None, **changes: Any) -> str:
    """What a call with a mistake is told."""
    with pytest.raises(InputError) as error:
        cut(table, **changes)
    return str(error.value)


def arguments_of(case: Case) -> dict[str, Any]:
    definition = case.definition
    return {
        "entity": definition.entity,
        "features": {feature.name: said_of(feature) for feature in definition.features},
        "sequence_length": definition.sequence_length,
        "window": definition.window,
        "stride": definition.stride,
        "padding_side": definition.padding_side,
        "min_length": definition.min_length,
    }


def said_of(feature: Feature) -> Any:
    """What an argument says of a feature."""
    if feature.since is None:
        return feature.pad_value
    (unit,) = (name for name, microseconds in UNITS.items() if microseconds == feature.since.unit)
    return {"derive": "time_since_previous", "unit": unit, "first": feature.since.first, "pad_value": feature.pad_value}


def without_nulls(case: Case) -> Case:
    """The case with only the rows that have every value, and with plain integers in place of timestamps."""
    features = tuple(replace(f, type="int64" if f.type == "timestamp" else f.type) for f in case.definition.features)
    rows = [row for row in case.rows if None not in row.values()]
    return replace(case, definition=replace(case.definition, features=features), rows=rows)


@FRAMES
def test_one_pupil_with_one_right_answer(frame: Frame) -> None:
    answers = frame({"pupilid": [1], "timestamp": [0], "correct": [1]})
    table = sequence(
        answers,
        entity="pupilid",
        order_by=["timestamp"],
        features={"correct": 0, "pupilid": -1},
        sequence_length=5,
    )
    assert table.to_pylist() == [
        {
            "pupilid": 1,
            "sequence_index": 0,
            "sequence_start": 0,
            "sequence_size": 1,
            "correct_sequence": [1, 0, 0, 0, 0],
            "pupilid_sequence": [1, -1, -1, -1, -1],
            "is_pad_sequence": [0, 1, 1, 1, 1],
        }
    ]


@FRAMES
def test_padding_may_stand_on_the_left(frame: Frame) -> None:
    table = cut(frame(ANSWERS), padding_side="left")
    assert table["correct_sequence"].to_pylist() == [[-1, 1, 0], [-1, -1, 1]]
    assert table["is_pad_sequence"].to_pylist() == [[1, 0, 0], [1, 1, 0]]


@FRAMES
def test_sliding_windows_say_which_items_are_repeated(frame: Frame) -> None:
    history = frame({"pupilid": [1] * 5, "correct": [0, 1, 2, 3, 4]})
    table = cut(history, window="sliding", stride=2)
    assert table["correct_sequence"].to_pylist() == [[0, 1, 2], [2, 3, 4]]
    assert table["is_repeat_sequence"].to_pylist() == [[0, 0, 0], [1, 0, 0]]


@FRAMES
def test_rows_need_not_be_sorted_and_may_be_interleaved(frame: Frame) -> None:
    answers = frame({"pupilid": [2, 1, 2, 1], "timestamp": [4, 3, 2, 1], "correct": [24, 13, 22, 11]})
    table = cut(answers, order_by=["timestamp"])
    assert table["pupilid"].to_pylist() == [1, 2]
    assert table["correct_sequence"].to_pylist() == [[11, 13, -1], [22, 24, -1]]


@FRAMES
def test_ties_keep_the_order_of_the_rows(frame: Frame) -> None:
    size = 1000
    answers = frame({"pupilid": [1] * size, "timestamp": [0] * size, "correct": list(range(size))})
    table = cut(answers, order_by=["timestamp"], sequence_length=size)
    assert table["correct_sequence"].to_pylist() == [list(range(size))]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("s", [[7, 60, 0], [7, -1, -1]]), ("us", [[7, 60_000_001, 0], [7, -1, -1]]), ("h", [[7, 0, 0], [7, -1, -1]])],
)
def test_the_time_since_the_item_before_is_a_feature_of_its_own(unit: str, expected: list[list[int]]) -> None:
    start = datetime(2024, 5, 6, tzinfo=UTC)
    times = [start, start + timedelta(minutes=1, microseconds=1), start + timedelta(minutes=1, microseconds=1), start]
    answers = pa.table({"pupilid": [1, 1, 1, 2], "at": times, "correct": [1, 0, 1, 0]}).take([2, 3, 1, 0])
    lag = {"derive": "time_since_previous", "unit": unit, "first": 7, "pad_value": -1}
    table = cut(answers, order_by=["at"], features={"correct": -1, "lag": lag})
    assert table["lag_sequence"].to_pylist() == expected
    assert table.schema.names == ["pupilid", *table.schema.names[1:4], "correct_sequence", "lag_sequence", "is_pad_sequence"]


@pytest.mark.parametrize(
    ("said", "order_by", "message"),
    [
        ({"derive": "time_since"}, ["at"], "derive: found 'time_since'; allowed: time_since_previous"),
        ({}, ["at"], "derive: found None; allowed: time_since_previous"),
        ({"unit": "w"}, ["at"], "unit: found 'w'; allowed: us, ms, s, min, h, d"),
        ({"first": 0.5}, ["at"], "first: found 0.5; allowed: an integer"),
        ({"pad_value": 2**63}, ["at"], f"pad_value: found {2**63}; allowed: an integer"),
        ({"pad": 0}, ["at"], "found 'pad'; allowed: derive, unit, first, pad_value"),
        ({"pad_value": 0}, [], "found no order_by; allowed: order_by that begins with a timestamp"),
        ({"pad_value": 0}, ["correct", "at"], "found order_by 'correct' of type int64"),
    ],
)
def test_mistakes_in_a_derived_feature_are_told(said: dict[str, Any], order_by: list[str], message: str) -> None:
    answers = pa.table({"pupilid": [1], "at": [datetime(2024, 5, 6, tzinfo=UTC)], "correct": [1]})
    lag = {"pad_value": 0} | ({} if said == {} else {"derive": "time_since_previous"}) | said
    found = message_of(answers, order_by=order_by, features={"lag": lag})
    assert found.startswith("features: 'lag': ")
    assert message in found


def test_a_derived_feature_has_a_name_that_no_column_has() -> None:
    answers = pa.table({"pupilid": [1], "at": [datetime(2024, 5, 6, tzinfo=UTC)]})
    lag = {"derive": "time_since_previous", "pad_value": 0}
    assert "a column of that name" in message_of(answers, order_by=["at"], features={"at": lag})


def test_without_an_order_rows_keep_theirs() -> None:
    table = cut(pa.table({"pupilid": [1, 1, 1], "correct": [3, 1, 2]}))
    assert table["correct_sequence"].to_pylist() == [[3, 1, 2]]


def test_entities_that_are_text_are_ordered_by_utf8_bytes() -> None:
    names = ["é", "z", "Z", "𝄞", "｡", ""]
    table = cut(pa.table({"pupilid": names, "correct": range(6)}))
    assert table["pupilid"].to_pylist() == sorted(names, key=str.encode)


@settings(max_examples=examples(60), deadline=None)
@given(
    cases(may_be_encoded=False), st.randoms(use_true_random=False), st.lists(st.sampled_from(["second", "first"]), unique=True)
)
def test_any_table_is_cut_as_the_reference_says(case: Case, shuffle: random.Random, order_by: list[str]) -> None:
    case = without_nulls(case)
    rows: list[Row] = [{**row, "first": shuffle.randrange(3), "second": shuffle.choice("aé𝄞")} for row in case.rows]
    shuffle.shuffle(rows)
    case = replace(case, rows=rows)
    table = case.table
    if any(feature.since for feature in case.definition.features):
        order_by = ["time", *order_by]
        place = table.column_names.index("time")
        table = table.set_column(place, "time", table["time"].cast(pa.timestamp("us")))
    for name, type_ in (("first", pa.int64()), ("second", pa.string())):
        table = table.append_column(name, pa.array([row[name] for row in case.rows], type_))
    expected = reference.sequences(reference.in_order(case.rows, "entity", order_by), case.definition)
    for frame in (table, pl.from_arrow(table)):
        assert sequence(frame, order_by=order_by, **arguments_of(case)).to_pylist() == expected


def test_an_empty_table_gives_an_empty_table_of_the_right_schema() -> None:
    empty = pa.table(ANSWERS).slice(0, 0)
    assert cut(empty).num_rows == 0
    assert cut(empty).schema == cut().schema


def test_a_table_in_many_pieces_is_one_table() -> None:
    pieces = pa.concat_tables([pa.table(ANSWERS).slice(row, 1) for row in (0, 1, 2)])
    assert cut(pieces) == cut()


def test_only_the_named_columns_are_looked_at() -> None:
    odd = pa.table(ANSWERS).append_column("odd", pa.array([{"a": 1}, None, None]))
    assert cut(odd) == cut()


def test_the_index_of_a_data_frame_does_not_matter() -> None:
    frame = pd.DataFrame(ANSWERS).set_index("pupilid", drop=False).sort_values("timestamp", ascending=False)
    assert cut(frame, order_by=["timestamp"]) == cut()


def test_columns_may_have_the_names_that_tables_of_the_platform_use() -> None:
    table = pa.table({"_row": [1, 1], "_position": [2, 1], "0": [5, 6]})
    made = cut(table, entity="_row", order_by=["_position"], features={"0": -1})
    assert made.select(["_row", "0_sequence"]).to_pylist() == [{"_row": 1, "0_sequence": [6, 5, -1]}]


MOMENT = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([MOMENT], pa.timestamp("us", tz="UTC")),
        pa.array([MOMENT], pa.timestamp("us", tz="Europe/Berlin")),
        pa.array([-1], pa.timestamp("ms")),
        pa.array([-1], pa.timestamp("ns")),
        pa.array([-1_000_000], pa.timestamp("ns", tz="UTC")),
        pd.Series([pd.Timestamp(MOMENT)]),
        pl.Series([MOMENT]),
    ],
    ids=["us_utc", "us_berlin", "ms", "ns", "ns_utc", "pandas", "polars"],
)
def test_a_moment_before_1970_is_floored_to_the_millisecond_before_it(values: Any) -> None:
    frame = {pd.Series: pd.DataFrame, pl.Series: pl.DataFrame}.get(type(values), pa.table)
    table = cut(frame({"pupilid": [1], "when": values}), features={"when": 0})
    assert table.schema.field("when_sequence").type.value_type == pa.int64()
    assert table["when_sequence"].to_pylist() == [[-1, 0, 0]]


@pytest.mark.parametrize("type_", [pa.date32(), pa.date64()], ids=str)
def test_dates_become_days(type_: pa.DataType) -> None:
    dates = pa.array([date(1969, 12, 31)], type_)
    table = cut(pa.table({"pupilid": [1], "day": dates}), features={"day": 0})
    assert table.schema.field("day_sequence").type.value_type == pa.int32()
    assert table["day_sequence"].to_pylist() == [[-1, 0, 0]]


def test_rows_are_ordered_by_nanoseconds_where_there_are_some() -> None:
    answers = {"pupilid": [1, 1], "correct": [1, 2], "when": pa.array([2, 1], pa.timestamp("ns"))}
    assert cut(pa.table(answers), order_by=["when"])["correct_sequence"].to_pylist() == [[2, 1, -1]]


@pytest.mark.parametrize(
    "values", [[2.5, 1.5], ["b", "a"], [True, False], [date(2024, 1, 2), date(2024, 1, 1)], [time(2), time(1)]], ids=str
)
def test_rows_may_be_ordered_by_any_single_values(values: list[Any]) -> None:
    answers = pa.table({"pupilid": [1, 1], "correct": [1, 2], "key": values})
    assert cut(answers, order_by=["key"])["correct_sequence"].to_pylist() == [[2, 1, -1]]


LEVELS = ["lo", "mid", "hi"]
HISTORY = {"pupilid": [1, 1, 1], "correct": [1, 2, 3]}


def levels_of_duckdb() -> Any:
    connection = duckdb.connect()
    connection.execute("CREATE TYPE level AS ENUM ('lo', 'mid', 'hi')")
    rows = " UNION ALL ".join(
        f"SELECT 1 AS pupilid, {number} AS correct, '{level}'::level AS key"
        for number, level in enumerate(["lo", "hi", "mid"], 1)
    )
    return connection.sql(rows)


def ordered(indices: list[int | None], categories: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int8()), pa.array(categories), ordered=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda: pd.DataFrame({**HISTORY, "key": pd.Categorical(["lo", "hi", "mid"], LEVELS, ordered=True)}),
        lambda: pd.DataFrame({**HISTORY, "key": pd.Categorical([1, 2, 3], [1, 3, 2], ordered=True)}),
        lambda: pl.DataFrame({**HISTORY, "key": pl.Series(["lo", "hi", "mid"], dtype=pl.Enum(LEVELS))}),
        lambda: pa.table({**HISTORY, "key": ordered([0, 2, 1], LEVELS)}),
        lambda: pa.table({**HISTORY, "key": pa.chunked_array([ordered([0, 1], ["lo", "hi"]), ordered([1], ["lo", "hi"])])}),
        levels_of_duckdb,
    ],
    ids=["pandas", "pandas_numbers", "polars", "arrow", "chunks", "duckdb"],
)
def test_ordered_categories_sort_by_their_order(make: Callable[[], Any]) -> None:
    table = make()
    expected = [1, 2, 3] if isinstance(table, pa.Table) and table.column("key").num_chunks == 2 else [1, 3, 2]
    assert cut(table, order_by=["key"])["correct_sequence"].to_pylist() == [expected]


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({**HISTORY, "key": pd.Categorical(["lo", "hi", "mid"], LEVELS)}),
        pl.DataFrame({**HISTORY, "key": pl.Series(["lo", "hi", "mid"], dtype=pl.Categorical)}),
        pa.table({**HISTORY, "key": pa.array(["lo", "hi", "mid"]).dictionary_encode()}),
    ],
    ids=["pandas", "polars", "arrow"],
)
def test_categories_without_an_order_sort_by_their_text(frame: Any) -> None:
    assert cut(frame, order_by=["key"])["correct_sequence"].to_pylist() == [[2, 1, 3]]


def test_pieces_of_a_table_may_know_more_categories_than_those_before_them() -> None:
    key = pa.chunked_array([ordered([1, 0], ["lo", "mid"]), ordered([2], LEVELS)])
    assert cut(pa.table({**HISTORY, "key": key}), order_by=["key"])["correct_sequence"].to_pylist() == [[2, 1, 3]]


def test_pieces_of_a_table_with_different_orders_are_refused() -> None:
    key = pa.chunked_array([ordered([0, 1], ["lo", "hi"]), ordered([0], ["mid"])])
    assert "'key': found ordered categories whose order differs" in message_of(
        pa.table({**HISTORY, "key": key}), order_by=["key"]
    )


@pytest.mark.parametrize("key", [ordered([0, None, 1], LEVELS), pd.Categorical(["lo", None, "hi"], LEVELS, ordered=True)])
def test_a_null_among_ordered_categories_is_told_like_any_other(key: Any) -> None:
    frame = pd.DataFrame({**HISTORY, "key": key}) if isinstance(key, pd.Categorical) else pa.table({**HISTORY, "key": key})
    assert message_of(frame, order_by=["key"]).startswith("'key': found 1 nulls")


@pytest.mark.parametrize(
    "values",
    [
        pa.array([2**64 - 1, 1], pa.uint64()),
        pa.array([Decimal("10.00000000000000000001"), Decimal("10")], pa.decimal128(38, 20)),
        pa.array([Decimal("10.00000000000000000001"), Decimal("10")], pa.decimal256(60, 20)),
        pa.array([2, 1], pa.duration("ns")),
        pa.array([2, 1], pa.time64("ns")),
        pa.array([2, 1], pa.timestamp("ns", "Europe/Berlin")),
        pa.array([b"\xff", b"\x00"]),
        pa.array([np.float16(2), np.float16(1)]),
        pa.array([2, 1], pa.timestamp("ns")).dictionary_encode(),
    ],
    ids=lambda array: str(array.type),
)
def test_rows_are_ordered_by_values_in_their_own_precision(values: pa.Array) -> None:
    answers = pa.table({"pupilid": [1, 1], "correct": [1, 2], "key": values})
    assert cut(answers, order_by=["key"])["correct_sequence"].to_pylist() == [[2, 1, -1]]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([date(2024, 1, 1), datetime(2024, 1, 1, 5)], "times without a zone and values of type date"),
        ([datetime(2024, 1, 1, 5, tzinfo=UTC), datetime(2024, 1, 1, 4)], "times with a zone and times without a zone"),
        ([1, True], "numbers and values of type bool"),
        ([1, "1"], "numbers and values of type str"),
        ([b"1", "1"], "values of type bytes and values of type str"),
        ([2**64, 1], "what Arrow cannot hold"),
        ([2**53 + 1, 0.5], "what Arrow cannot hold"),
    ],
    ids=str,
)
def test_what_pandas_mixes_in_one_column_is_refused(values: list[Any], found: str) -> None:
    frame = pd.DataFrame({"pupilid": [1, 1], "correct": [1, 2], "key": pd.Series(values, dtype=object)})
    assert f"table: found {found}" in message_of(frame, order_by=["key"])


@pytest.mark.parametrize("type_", ["Int64", "boolean", "string", "Float64", "int64[pyarrow]"])
def test_nullable_types_of_pandas_are_as_others(type_: str) -> None:
    values = {"boolean": [True, False], "string": ["b", "a"]}.get(type_, [2, 1])
    frame = pd.DataFrame({"pupilid": [1, 1], "correct": [1, 2], "key": pd.array(values, dtype=type_)})
    assert cut(frame, order_by=["key"])["correct_sequence"].to_pylist() == [[2, 1, -1]]
    frame.loc[0, "key"] = None
    assert message_of(frame, order_by=["key"]).startswith("'key': found 1 nulls")


def test_other_values_that_have_no_type_here_are_told() -> None:
    assert "allowed: dates of whole days" in message_of(
        pa.table({"pupilid": [1], "day": pa.array([1], pa.date64())}), features={"day": 0}
    )
    periods = pd.DataFrame({"pupilid": [1], "correct": [1], "key": pd.PeriodIndex(["2020-01"], freq="M")})
    assert "order_by: found 'key' of type extension<pandas.period" in message_of(periods, order_by=["key"])
    wide = pl.DataFrame({"pupilid": [1], "correct": pl.Series([1], dtype=pl.Int128)})
    assert "table: found what Arrow cannot hold" in message_of(wide)


@pytest.mark.parametrize("name", ["-timestamp", "timestamp desc", "timestamp DESC"])
def test_a_descending_order_is_refused_with_the_reason(name: str) -> None:
    assert message_of(order_by=[name]) == (
        f"order_by: found {name!r}; allowed: 'timestamp'; histories are in ascending order, because windows read them forwards "
        "in time"
    )


def test_a_column_may_be_named_like_a_descending_order() -> None:
    answers = pa.table({"pupilid": [1, 1], "-time": [2, 1], "time": [1, 2], "correct": [3, 4]})
    assert cut(answers, order_by=["-time"])["correct_sequence"].to_pylist() == [[4, 3, -1]]


@pytest.mark.parametrize(
    "frame",
    [
        pa.table({"pupilid": pa.array(["b", "a", "b"]).dictionary_encode(), "skill": ["x", "y", "z"]}),
        pa.table({"pupilid": pa.array(["b", "a", "b"], pa.large_string()), "skill": ["x", "y", "z"]}),
        pd.DataFrame({"pupilid": pd.Categorical(["b", "a", "b"]), "skill": ["x", "y", "z"]}),
        pl.DataFrame({"pupilid": pl.Series(["b", "a", "b"], dtype=pl.Categorical), "skill": ["x", "y", "z"]}),
    ],
    ids=["dictionary", "large_string", "pandas_categorical", "polars_categorical"],
)
def test_categories_and_other_kinds_of_text_are_text(frame: Any) -> None:
    table = cut(frame, features={"skill": ""})
    assert table["pupilid"].to_pylist() == ["a", "b"]
    assert table["skill_sequence"].to_pylist() == [["y", "", ""], ["x", "z", ""]]


def test_a_list_of_rows_is_no_table() -> None:
    assert message_of([{"pupilid": 1}]) == "table: found list; allowed: an Arrow table or a DataFrame"


def test_two_columns_of_one_name_are_told() -> None:
    twice = pa.table([pa.array([1])] * 3, names=["pupilid", "correct", "correct"])
    assert message_of(twice) == "table: found several columns named ['correct']; allowed: each name once"
    assert "Duplicate column names" in message_of(twice.to_pandas())


def test_a_pandas_column_of_mixed_types_is_told_by_name() -> None:
    mixed = pd.DataFrame({"pupilid": [1, 1], "correct": pd.Series([1, "a"], dtype=object)})
    assert "correct" in message_of(mixed)


@pytest.mark.parametrize(
    ("argument", "change"),
    [
        ("entity", {"entity": "pupil_id"}),
        ("order_by", {"order_by": ["timestamp", "pupil_id"]}),
        ("features", {"features": {"correct": 0, "pupil_id": 0}}),
    ],
)
def test_a_missing_column_is_told_with_the_nearest(argument: str, change: dict[str, Any]) -> None:
    columns = "pupilid, timestamp, correct, school"
    allowed = f"a column of the table ({columns}); did you mean 'pupilid'?"
    assert message_of(**change) == f"{argument}: found 'pupil_id'; allowed: {allowed}"


@FRAMES
@pytest.mark.parametrize("column", ["pupilid", "timestamp", "correct"])
def test_a_null_in_a_column_that_is_used_is_told(frame: Frame, column: str) -> None:
    answers: dict[str, Any] = ANSWERS | {column: ["a", None, "c"]}
    message = message_of(frame(answers), order_by=["timestamp"], features={"correct": "" if column == "correct" else 0})
    assert message == f"{column!r}: found 1 nulls (or NaN); allowed: none; fill or drop them first"


@FRAMES
def test_nan_is_told_like_null(frame: Frame) -> None:
    answers = frame(ANSWERS | {"elapsed": np.array([1.0, np.nan, np.nan])})
    for change in ({"features": {"elapsed": 0.0}}, {"order_by": ["elapsed"]}):
        expected = "'elapsed': found 2 nulls (or NaN); allowed: none; fill or drop them first"
        assert message_of(answers, **change) == expected


def test_nulls_in_a_column_that_is_not_used_do_not_matter() -> None:
    assert cut(pa.table(ANSWERS | {"school": [None, None, None]})) == cut()


@pytest.mark.parametrize(
    ("values", "pad_value", "allowed"),
    [
        (pa.array([1, 2, 3], pa.int8()), 128, "an integer from -128 to 127 (int8)"),
        (pa.array([1, 2, 3], pa.int8()), 0.0, "an integer from -128 to 127 (int8)"),
        (pa.array([1, 2, 3], pa.int8()), True, "an integer from -128 to 127 (int8)"),
        (pa.array([1, 2, 3], pa.int8()), None, "an integer from -128 to 127 (int8)"),
        (pa.array([1.0, 2.0, 3.0], pa.float32()), 1e39, "a finite number that float32 can hold"),
        (pa.array([1.0, 2.0, 3.0], pa.float64()), float("nan"), "a finite number"),
        (pa.array([True, False, True]), 0, "true or false"),
        (pa.array(["a", "b", "c"]), 0, "text (quote it if YAML reads it as something else)"),
        (pa.array([1, 2, 3], pa.date32()), "2024-01-01", "an integer from -2147483648 to 2147483647 (int32)"),
    ],
)
def test_a_pad_value_that_the_feature_cannot_hold_is_told(values: pa.Array, pad_value: Any, allowed: str) -> None:
    message = message_of(pa.table(ANSWERS | {"correct": values}), features={"correct": pad_value})
    assert message == f"features: the pad value of 'correct': found {pad_value!r}; allowed: {allowed}"


@pytest.mark.parametrize("column", ["pupilid", "correct"])
@pytest.mark.parametrize("type_", [pa.uint8(), pa.decimal128(5), pa.float16()], ids=str)
def test_a_type_that_the_platform_lacks_is_told_with_the_remedy(column: str, type_: pa.DataType) -> None:
    table = pa.table(ANSWERS | {column: pa.array([1, 1, 2]).cast(pa.float32()).cast(type_)})
    allowed = "int8, int16, int32, int64, float32, float64, bool, string, date, timestamp"
    assert message_of(table) == f"{column!r}: found type {type_}; allowed: {allowed}; cast it first"


def test_an_entity_is_neither_a_float_nor_a_moment() -> None:
    message = message_of(pa.table(ANSWERS | {"pupilid": [1.0, 1.0, 2.0]}))
    assert message == "entity: found 'pupilid' of type float64; allowed: a column of an integer type or string"
    moments = pa.array([1, 1, 2], pa.timestamp("us"))
    assert "of type timestamp" in message_of(pa.table(ANSWERS | {"pupilid": moments}))


def test_rows_cannot_be_ordered_by_nested_values() -> None:
    message = message_of(pa.table(ANSWERS | {"timestamp": [[1], [2], [3]]}), order_by=["timestamp"])
    assert message.startswith("order_by: found 'timestamp' of type list<")


def test_a_moment_beyond_64_bits_of_microseconds_is_told() -> None:
    table = pa.table(ANSWERS | {"timestamp": pa.array([2**62] * 3, pa.timestamp("s"))})
    assert "timestamps that int64 microseconds can hold" in message_of(table, features={"timestamp": 0})


@pytest.mark.parametrize("entity", ["sequence_index", "sequence_start", "sequence_size", "is_pad_sequence"])
def test_the_entity_is_not_named_like_a_column_of_the_result(entity: str) -> None:
    message = message_of(pa.table({entity: [1], "correct": [1]}), entity=entity)
    assert message == f"entity: found {entity!r}; allowed: a name that the result does not use itself"


@pytest.mark.parametrize("feature", ["is_pad", "is_repeat"])
def test_a_feature_is_not_named_like_a_mask(feature: str) -> None:
    message = message_of(pa.table({"pupilid": [1], feature: [1]}), features={feature: 0})
    assert message == f"features: found {feature!r}; allowed: a name that the result does not use itself"


def test_a_feature_is_not_named_like_the_entity() -> None:
    message = message_of(pa.table({"x_sequence": [1], "x": [1]}), entity="x_sequence", features={"x": 0})
    assert message == "features: found 'x'; allowed: a name that the result does not use itself"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": {}}, "features: found none; allowed: at least one column with its pad value"),
        ({"features": ["x"]}, "features: found list; allowed: a mapping of columns to their pad values"),
        ({"order_by": "t"}, "order_by: found 't'; allowed: a list of columns, ['t']"),
        ({"sequence_length": 0}, "sequence_length: found 0; allowed: an integer from 1 to 10000"),
        ({"sequence_length": 10_001}, "sequence_length: found 10001; allowed: an integer from 1 to 10000"),
        ({"sequence_length": 3.0}, "sequence_length: found 3.0; allowed: an integer from 1 to 10000"),
        ({"sequence_length": True}, "sequence_length: found True; allowed: an integer from 1 to 10000"),
        ({"min_length": 0}, "min_length: found 0; allowed: an integer from 1 to sequence_length, 3"),
        ({"min_length": 4}, "min_length: found 4; allowed: an integer from 1 to sequence_length, 3"),
        ({"padding_side": "both"}, "padding_side: found 'both'; allowed: 'right' or 'left'"),
        (
            {"window": "slidng"},
            "window: found 'slidng'; allowed: chunk, sliding, last, first, prefix; did you mean 'sliding'?",
        ),
        (
            {"window": "sliding"},
            "stride: found None; allowed: an integer from 1 to sequence_length, 3, because window is sliding",
        ),
        (
            {"window": "sliding", "stride": 0},
            "stride: found 0; allowed: an integer from 1 to sequence_length, 3, because window is sliding",
        ),
        (
            {"window": "sliding", "stride": 4},
            "stride: found 4; allowed: an integer from 1 to sequence_length, 3, because window is sliding",
        ),
        ({"stride": 1}, "stride: found 1; allowed: None, because window is chunk"),
        ({"window": "last", "stride": 1}, "stride: found 1; allowed: None, because window is last"),
    ],
    ids=str,
)
def test_an_argument_out_of_its_range_is_told(change: dict[str, Any], message: str) -> None:
    assert message_of(**change) == message


def test_the_window_kinds_are_those_of_a_model_file() -> None:
    assert set(WINDOWS) == {"chunk", "sliding", "last", "first", "prefix"}
