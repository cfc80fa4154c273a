"""Ids of vocabularies: what the reference says, over any number of versions, and looked up as they were given."""

from collections import Counter
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq_assets.models import ColumnType
from seq_assets.models.columns import integer_range
from seq_assets.sequencing.schemas import VOCABULARY_SCHEMA, stored_type
from seq_assets.sequencing.vocabulary import Encoder, next_vocabulary, values_of
from seq_assets_tests.reference import examples
from seq_assets_tests.reference.vocabulary import vocabulary

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int8": st.integers(*integer_range(ColumnType.INT8)) | st.integers(0, 3),
    "int64": st.integers(*integer_range(ColumnType.INT64)) | st.integers(-11, 11),
    "bool": st.booleans(),
    "string": st.text(max_size=3) | st.sampled_from(["", "NA", "nan", "007", "7", "é", "｡", "𝄞"]),
    "date": st.dates(date(1, 1, 1), date(9999, 12, 31)),
}
LABELS = st.sampled_from(sorted(VALUES)).flatmap(
    lambda name: st.tuples(st.just(name), st.lists(st.lists(VALUES[name], max_size=12), min_size=1, max_size=4))
)


def counted(values: list[Any], type_: str) -> pa.Table:
    """How often each value stands there, in no order."""
    counts = Counter(values)
    return pa.table(
        {"value": pa.array(list(counts), stored_type(ColumnType(type_))), "count": pa.array(list(counts.values()), pa.int64())}
    )


def model_of(*names: str, type_: str = "string", min_count: int = 1) -> dict[str, Any]:
    return {
        "columns": {name: {"type": type_} for name in names},
        "features": {name: {"encode": "vocabulary", "min_count": min_count} for name in names},
    }


@settings(max_examples=examples(150), deadline=None)
@given(LABELS, st.integers(2, 20), st.integers(1, 3))
def test_ids_over_any_versions_are_what_the_reference_says(
    labels: tuple[str, list[list[Any]]], ids_from: int, min_count: int
) -> None:
    type_, versions = labels
    table: pa.Table | None = None
    expected: list[dict[str, Any]] = []
    for values in versions:
        table = next_vocabulary(table, {"label": counted(values, type_)}, ids_from, {"label": min_count})
        model = model_of("label", type_=type_, min_count=min_count)
        expected = vocabulary([{"label": value} for value in values], model, expected, ids_from)
        assert table.schema.equals(VOCABULARY_SCHEMA.stored())
        assert table.to_pylist() == expected


@settings(max_examples=examples(50), deadline=None)
@given(LABELS)
def test_any_value_is_looked_up_as_its_id_was_given_and_the_rest_is_unknown(labels: tuple[str, list[list[Any]]]) -> None:
    type_, (known, *others) = labels
    table = next_vocabulary(None, {"label": counted(known, type_)})
    values = [*known, None, *(value for other in others for value in other)]
    ids = Encoder(table, None).ids(pa.array(values, stored_type(ColumnType(type_))))
    by_value = dict(zip(sorted_labels(known), range(2, 2 + len(known)), strict=False))
    assert ids.type == pa.int32()
    assert ids.to_pylist() == [by_value.get(value, 1) for value in values]


def sorted_labels(values: list[Any]) -> list[Any]:
    counts = Counter(values)
    return sorted(counts, key=lambda value: (-counts[value], value.encode() if isinstance(value, str) else value))


def test_features_are_in_the_models_order_and_those_of_before_come_last() -> None:
    first = next_vocabulary(None, {name: counted(["x"], "string") for name in ("c", "a")})
    second = next_vocabulary(first, {name: counted(["y"], "string") for name in ("b", "a")})
    assert [tuple(row.values()) for row in second.to_pylist()] == [
        ("b", "y", 2, 1),
        ("a", "x", 2, 0),
        ("a", "y", 3, 1),
        ("c", "x", 2, 0),
    ]


def test_a_column_that_changes_its_type_keeps_the_ids_of_equal_texts() -> None:
    first = next_vocabulary(None, {"label": counted(["7", "007", "x"], "string")})
    second = next_vocabulary(first, {"label": counted([7, 8], "int64")})
    assert {row["value"]: row["id"] for row in second.to_pylist()} == {"007": 2, "7": 3, "x": 4, "8": 5}
    assert Encoder(second, None).ids(pa.array([8, 7], pa.int64())).to_pylist() == [5, 3]


@pytest.mark.parametrize(
    ("type_", "fill", "value"),
    [("string", "none", "none"), ("int8", -1, -1), ("bool", False, False), ("date", 1, date(1970, 1, 2))],
)
def test_null_is_looked_up_as_what_fills_it(type_: str, fill: Any, value: Any) -> None:
    table = next_vocabulary(None, {"label": counted([value], type_)})
    nulls = pa.nulls(2, stored_type(ColumnType(type_)))
    assert Encoder(table, fill).ids(nulls).to_pylist() == [2, 2]
    assert Encoder(table, None).ids(nulls).to_pylist() == [1, 1]


def test_each_feature_is_looked_up_in_its_own_values() -> None:
    table = next_vocabulary(None, {"a": counted(["x"], "string"), "b": counted(["y", "x", "x"], "string")})
    assert Encoder(values_of(table, "a"), None).ids(pa.array(["x", "y"])).to_pylist() == [2, 1]
    assert Encoder(values_of(table, "b"), None).ids(pa.array(["x", "y"])).to_pylist() == [2, 3]
    assert Encoder(values_of(table, "c"), None).ids(pa.array(["x", "y"])).to_pylist() == [1, 1]
