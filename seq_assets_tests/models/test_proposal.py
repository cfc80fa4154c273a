"""What is proposed for a source from a sample of its values: types, entity, order, features, in a text that is a model file."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq_assets.models import ColumnType, ModelSpec, parse_model
from seq_assets.models.columns import Scalar
from seq_assets.models.proposal import SampledColumn, SampledSource, model_name, propose
from seq_assets_tests.reference import examples

INT64, STRING, TIMESTAMP = ColumnType.INT64, ColumnType.STRING, ColumnType.TIMESTAMP
USERS = [number // 4 for number in range(40)]
STEPS = [number % 4 for number in range(40)]
SECONDS = [1_700_000_000 + 60 * number for number in range(40)]


def column(source: str, type_: ColumnType | None, values: Sequence[Scalar | None], **more: Any) -> SampledColumn:
    return SampledColumn(source, type_, values, **more)


def source_of(*columns: SampledColumn, malformed: int = 0, **more: Any) -> SampledSource:
    records = max((len(column.values) for column in columns), default=0) + malformed
    fields: dict[str, Any] = {"location": "a.csv", "format": "csv", "is_told_by_name": True, "options": {}}
    return SampledSource(**(fields | more), columns=columns, records=records, malformed=malformed, described="all of them")


def proposed(*columns: SampledColumn, **more: Any) -> ModelSpec:
    """The model of what is proposed."""
    return parse_model(propose(source_of(*columns, **more), "answers"), "answers.yaml")


def test_a_proposal_is_a_model_file_that_explains_each_line() -> None:
    text = propose(
        source_of(column("User Id", INT64, USERS), column("ts_ms", INT64, [1000 * second for second in SECONDS])), "answers"
    )
    assert all("#" in line for line in text.splitlines() if line not in ("source:", "  options:"))
    assert text.startswith("# Proposed from a sample: all of them.\n")
    spec = parse_model(text, "answers.yaml")
    assert (spec.name, spec.source.location, spec.entity, spec.order_by) == ("answers", "a.csv", "user_id", ("ts_ms",))


@pytest.mark.parametrize(
    ("name", "values", "type_", "unit"),
    [
        ("correct", [0, 1] * 20, "int8", None),
        ("grade", list(range(-1, 9)) * 4, "int8", None),
        ("points", list(range(20)) * 2, "int32", None),
        ("row", list(range(40)), "int64", None),
        ("steps", [-5_000, 2_000_000] * 20, "int32", None),
        ("amount", [2_200_000, 5] * 20, "int64", None),
        ("item_id", list(range(40)), "int64", None),
        ("created_at", SECONDS, "timestamp", "s"),
        ("timestamp", [1_000 * second for second in SECONDS], "timestamp", "ms"),
        ("event_time", [1_000_000 * second for second in SECONDS], "timestamp", "us"),
        ("event_time", [1_000_000_000 * second for second in SECONDS], "timestamp", "ns"),
        ("event_time", [1_000_000_000 * second + 1 for second in SECONDS], "int64", None),
        ("time", list(range(20)) * 2, "int32", None),
        ("amount", SECONDS, "int64", None),
    ],
)
def test_whole_numbers_get_the_type_that_leaves_room(name: str, values: list[int], type_: str, unit: str | None) -> None:
    found = proposed(column("user", INT64, USERS), column(name, INT64, values)).columns[name]
    assert (found.type.value, found.unit) == (type_, unit)


def test_of_few_records_nothing_small_is_concluded() -> None:
    found = proposed(column("user", INT64, [1, 1]), column("correct", INT64, [0, 1])).columns
    assert {name: spec.type.value for name, spec in found.items()} == {"user": "int64", "correct": "int32"}


def test_the_type_that_the_source_declares_is_kept() -> None:
    declared = column("elapsed", ColumnType.FLOAT32, [0.5] * 40, is_declared=True)
    small = column("level", ColumnType.INT16, [1] * 40, is_declared=True)
    found = proposed(column("user", INT64, USERS), declared, small).columns
    assert (found["elapsed"].type.value, found["level"].type.value) == ("float32", "int16")


@pytest.mark.parametrize(
    ("numbers", "unit"),
    [([second + 0.25 for second in SECONDS], "s"), ([second + 0.123456789 for second in SECONDS], None)],
)
def test_fractions_of_seconds_are_times_where_they_are_whole_microseconds(numbers: list[float], unit: str | None) -> None:
    assert proposed(column("user", INT64, USERS), column("time", ColumnType.FLOAT64, numbers)).columns["time"].unit == unit


@pytest.mark.parametrize(
    ("columns", "entity"),
    [
        ({"item": STEPS, "user_id": USERS}, "user_id"),
        ({"session": USERS, "pupil": USERS}, "pupil"),
        ({"item": STEPS, "Anon Student Id": USERS}, "anon_student_id"),
        ({"row": list(range(40)), "learnerId": USERS}, "learner_id"),
        ({"correct": [0, 1] * 20, "uid": USERS}, "uid"),
        ({"correct": [0, 1] * 20, "who": USERS}, "who"),
        ({"user": list(range(40)), "group": USERS}, "group"),
        ({"time": USERS, "who": USERS}, "who"),
    ],
)
def test_the_entity_is_told_by_its_name_and_by_values_that_repeat(columns: dict[str, list[int]], entity: str) -> None:
    assert proposed(*(column(name, INT64, values) for name, values in columns.items())).entity == entity


def test_a_source_without_a_column_for_the_entity_is_refused() -> None:
    with pytest.raises(ValueError, match="no column can be the entity"):
        proposed(column("user", INT64, [None, 1]), column("share", ColumnType.FLOAT64, [0.5, 1.5]))


@pytest.mark.parametrize(
    ("columns", "order"),
    [
        ([column("at", TIMESTAMP, SECONDS), column("step", INT64, STEPS)], ("at",)),
        ([column("back", TIMESTAMP, SECONDS[::-1]), column("forth", TIMESTAMP, SECONDS)], ("forth",)),
        ([column("maybe", TIMESTAMP, [None, *SECONDS[1:]]), column("step", INT64, STEPS)], ("step",)),
        ([column("day", ColumnType.DATE, USERS), column("at", TIMESTAMP, SECONDS)], ("at",)),
        ([column("score", INT64, list(range(40)))], ("score",)),
        ([column("score", INT64, list(range(40, 0, -1)))], ()),
        ([column("correct", INT64, [0, 0, 1, 1] * 10)], ()),
    ],
)
def test_the_order_is_a_time_or_what_grows_within_each_history(columns: list[SampledColumn], order: tuple[str, ...]) -> None:
    assert proposed(column("user", INT64, USERS), *columns).order_by == order


def test_features_are_what_is_neither_entity_nor_order_nor_of_one_record() -> None:
    spec = proposed(
        column("user", INT64, USERS),
        column("at", TIMESTAMP, SECONDS),
        column("row", INT64, list(range(40))),
        column("correct", INT64, [0, 1] * 20),
        column("balance", INT64, [-1, 1] * 20),
        column("share", ColumnType.FLOAT64, [None, 0.5] * 20),
        column("skill", STRING, [None, "add"] * 20),
        column("right", ColumnType.BOOL, [None, True] * 20),
        column("text", STRING, [f"answer {number}" for number in range(40)]),
    )
    assert list(spec.features) == ["correct", "balance", "share", "skill", "right"]
    assert [spec.pad_value(name) for name in spec.features] == [-1, 0, 0.0, 0, False]
    assert (spec.fill_value("share"), spec.fill_value("right"), spec.encoded) == (0.0, False, ("skill",))
    assert [name for name, found in spec.columns.items() if found.nullable] == ["share", "skill", "right"]


def test_few_labels_are_suggested_and_many_or_long_ones_are_not() -> None:
    lines = propose(
        source_of(
            column("user", INT64, USERS),
            column("mood", STRING, ["good", "no"] * 20),
            column("many", INT64, list(range(20)) * 2),
            column("long", STRING, ["x" * 99, "y"] * 20),
        ),
        "answers",
    ).splitlines()
    assert [line.split("is_in")[1] for line in lines if "is_in" in line] == [': [good, "no"]']


def test_a_column_that_cannot_be_read_or_was_never_there_is_left_out_and_said() -> None:
    source = source_of(column("user", INT64, USERS), column("tags\n", None, []), column("note", STRING, [None] * 40))
    text = propose(source, "answers")
    assert "  # tags  is left out: no type reads its values\n" in text
    assert "  # note is left out: only nulls were seen\n" in text
    assert list(parse_model(text, "answers.yaml").columns) == ["user"]


@pytest.mark.parametrize(("malformed", "most"), [(0, 0.0), (1, 0.049), (40, 1.0)])
def test_twice_as_many_records_may_be_rejected_as_the_sample_has(malformed: int, most: float) -> None:
    assert proposed(column("user", INT64, USERS), malformed=malformed).checks.rejected_ratio.max == most


def test_what_was_found_of_the_format_stands_in_the_options() -> None:
    options: dict[str, tuple[object, str]] = {
        "delimiter": ("\t", "why"),
        "header": (False, "why"),
        "null_values": (["", "NA"], "why"),
    }
    spec = proposed(column("1", INT64, USERS), options=options, is_told_by_name=False, format="csv")
    assert (spec.source.format, spec.source.options.delimiter, spec.source.options.header) == ("csv", "\t", False)
    assert spec.source.options.null_values == ("", "NA")
    assert spec.columns["column_1"].from_ == "1"


@pytest.mark.parametrize(
    ("text", "name"),
    [("Anon Student Id", "anon_student_id"), ("learnerId", "learner_id"), ("2005-data", "data"), ("KC(Default)", "kc_default")],
)
def test_names_are_made_of_any_text(text: str, name: str) -> None:
    assert model_name(text) == name


SOURCES = st.lists(st.text(min_size=1, max_size=70), min_size=1, max_size=6, unique=True)


@settings(max_examples=examples(60), deadline=None)
@given(SOURCES, st.sampled_from(["subset", "is_pad_sequence", "x_sequence", "_row", "", "null", "select"]), st.data())
def test_whatever_a_source_names_its_columns_the_proposal_is_a_model_file(
    names: list[str], other: str, data: st.DataObject
) -> None:
    texts = st.lists(st.none() | st.text(max_size=8), min_size=4, max_size=4)
    columns = [column(name, STRING, data.draw(texts)) for name in [*names, *([other] if other not in ("", *names) else [])]]
    spec = proposed(column("user", INT64, [1, 1, 2, 2]), *columns)
    assert {spec.columns[name].from_ or name for name in spec.columns} <= {"user", *(found.source for found in columns)}
