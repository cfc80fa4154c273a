"""The text of the contract's queries: nothing of a model file escapes from its quotes, and a wide contract fits in."""

import re
from typing import Any

import pytest
import yaml

from seq_assets.models import ColumnType, ModelSpec, parse_model
from seq_assets.warehouse.athena.casts import Carrier
from seq_assets.warehouse.athena.ingest_sql import (
    raw_query,
    records_columns,
    rejected_query,
    stage_columns,
    stage_query,
    ties_question,
)

MOST_BYTES = 262_144
HOSTILE = "'; DROP TABLE pupils; --"


def spec_of(columns: dict[str, Any], **fields: Any) -> ModelSpec:
    content = {"name": "m", "source": {"location": "x.csv"}, "entity": "e", "columns": {"e": {"type": "int64"}} | columns}
    return parse_model(yaml.safe_dump(content | fields, sort_keys=False), "m.yaml")


def stage_of(spec: ModelSpec) -> str:
    return stage_query(spec, "records", dict.fromkeys(spec.columns, Carrier.TEXT), list(spec.columns))


def outside_of_quotes(sql: str) -> str:
    return re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", "", sql)


@pytest.mark.parametrize("type_", ColumnType)
def test_a_hundred_columns_of_any_type_fit_in_one_query(type_: ColumnType) -> None:
    columns: dict[str, Any] = {f"{'c' * 60}_{number:02d}": {"type": type_.value, "nullable": True} for number in range(99)}
    if type_.is_number:
        for column in columns.values():
            column["is_between"] = [0, 100]
    assert len(stage_of(spec_of(columns)).encode()) < MOST_BYTES


def test_a_dozen_columns_of_local_times_fit_in_one_query() -> None:
    local = {"type": "timestamp", "timezone": "Europe/Amsterdam", "format": "%d %B %Y %I:%M:%S.%f %p", "nullable": True}
    assert len(stage_of(spec_of({f"t{number}": local for number in range(12)})).encode()) < MOST_BYTES


def test_values_of_the_model_file_stay_in_their_quotes() -> None:
    spec = spec_of(
        {"side": {"type": "string", "is_in": [HOSTILE, "a\nb"], "is_lower_than": HOSTILE}},
        split={"strategy": "column", "column": "side", "train": [HOSTILE], "validation": ['"']},
    )
    sql = stage_of(spec)
    assert "DROP" in sql
    assert "DROP" not in outside_of_quotes(sql)
    assert "U&'a\\000ab'" in sql


def test_columns_named_like_words_of_sql_are_quoted_everywhere() -> None:
    spec = spec_of({"select": {"type": "int8"}, "order": {"type": "timestamp"}}, entity="select", order_by=["order"])
    for sql in (stage_of(spec), raw_query(spec, "stage", "train"), ties_question(spec, "stage").query, rejected_query("stage")):
        assert not re.search(r"\b(select|order)\b", outside_of_quotes(sql))


def test_the_tables_of_records_and_of_the_stage_have_types_of_hive() -> None:
    spec = spec_of({"f": {"type": "float32"}, "s": {"type": "string"}, "i": {"type": "int32"}, "t": {"type": "timestamp"}})
    carriers = {"e": Carrier.BIG_INTEGER, "f": Carrier.FLOAT, "s": Carrier.TEXT, "i": Carrier.OTHER, "t": Carrier.NANOSECONDS}
    fixed = [("_file", "int"), ("_name", "string"), ("_row", "bigint")]
    assert records_columns(spec, carriers, ["f", "t"]) == [
        *(*fixed, ("_malformed", "string"), ("_detail", "string"), ("_unreadable", "string"), ("_too_long", "string")),
        ("e", "decimal(38,0)"),
        *(("f", "float"), ("_text_f", "string")),
        *(("s", "string"), ("i", "string")),
        *(("t", "bigint"), ("_text_t", "string")),
    ]
    assert stage_columns(spec) == [
        *fixed,
        ("subset", "string"),
        ("_rejections", "array<struct<name:string,value:string,detail:string,reason:string>>"),
        *(("e", "bigint"), ("f", "float"), ("s", "string"), ("i", "int"), ("t", "bigint")),
    ]


def test_only_ties_that_may_be_in_any_order_are_ordered_by_what_is_no_key() -> None:
    columns: dict[str, Any] = {"t": {"type": "int64"}, "answer": {"type": "int8"}}
    files = spec_of(columns, order_by=["t"])
    table = spec_of(columns, order_by=["t"], source={"location": "glue://school/answers"}, ties="any")
    assert 'ORDER BY "e", "t", _file, _row)' in raw_query(files, "stage", "train")
    assert 'ORDER BY "e", "t", _file, _row, "e", "t", "answer")' in raw_query(table, "stage", "train")
