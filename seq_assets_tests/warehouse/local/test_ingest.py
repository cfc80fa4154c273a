"""Ingest, end to end: what is accepted, in which order and subset, what is rejected and why, and what is counted."""

import csv
import hashlib
import io
import json
import os
import random
import statistics
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seq_assets.errors import AuditError, NotPublishedError, SourceError
from seq_assets.models import SUBSETS, ModelSpec
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.engine import Engine, connect_in_memory
from seq_assets.warehouse.local.ingest import SMALL_SOURCE, stage_place
from seq_assets.warehouse.local.ingest_sql import stage_query
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets.warehouse.sources.location import SourceFile, SourceFiles
from seq_assets_tests.reference import examples
from seq_assets_tests.warehouse.building import PLAIN_COLUMNS, Row, Workspace, csv_text, read_rows, read_table

ANYTHING_MAY_BE_REJECTED = {"rejected_ratio": {"max": 1.0}}


def columns(**types: Any) -> dict[str, Any]:
    """The plain columns and more, each given by its type or by its whole contract."""
    return {**PLAIN_COLUMNS, **{name: {"type": type_} if isinstance(type_, str) else type_ for name, type_ in types.items()}}


def picked(rows: list[Row], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def rejections(workspace: Workspace, spec: ModelSpec) -> list[tuple[Any, ...]]:
    """Row, column, value and reason of everything that was rejected."""
    return picked(workspace.rejected_rows(spec), "row", "column", "value", "reason")


def details(workspace: Workspace, spec: ModelSpec) -> dict[int, str | None]:
    """What was found in each rejected record; in its last failed column, where there are several."""
    return {row["row"]: row["detail"] for row in workspace.rejected_rows(spec)}


def metrics(workspace: Workspace, spec: ModelSpec, column: str) -> dict[str, Any]:
    found: dict[str, Any] = workspace.warehouse.find(Dataset.raw(spec.name)).metadata["metrics"][column]
    return found


# Order


def test_rows_are_ordered_by_entity_then_order_by_then_file_then_row(workspace: Workspace) -> None:
    workspace.write("data/9.csv", "pupil,time,item\n2,1,90\n1,5,91\n1,3,92\n")
    workspace.write("data/10.csv", "item,time,pupil\n100,5,1\n101,5,1\n102,0,2\n")
    workspace.write("data/Z.csv", "pupil,time,item\n1,5,93\n")
    spec = workspace.model(source={"location": "data"})
    workspace.ingest(spec)
    assert picked(workspace.raw_rows(spec), "pupil", "time", "item", "_file", "_row", "_position") == [
        (1, 3, 92, "9.csv", 3, 0),
        (1, 5, 100, "10.csv", 1, 1),
        (1, 5, 101, "10.csv", 2, 2),
        (1, 5, 91, "9.csv", 2, 3),
        (1, 5, 93, "Z.csv", 1, 4),
        (2, 0, 102, "10.csv", 3, 0),
        (2, 1, 90, "9.csv", 1, 1),
    ]


def test_without_order_by_the_sources_order_stands(workspace: Workspace) -> None:
    workspace.write("source.csv", csv_text({"pupil": [1, 2, 1, 2, 1], "time": [5, 4, 3, 2, 1], "item": [9, 8, 7, 6, 5]}))
    spec = workspace.model(order_by=[])
    workspace.ingest(spec)
    assert picked(workspace.raw_rows(spec), "pupil", "item") == [(1, 9), (1, 7), (1, 5), (2, 8), (2, 6)]


def test_histories_can_be_ordered_by_several_columns_of_any_type(workspace: Workspace) -> None:
    rows = [
        (flag, number, text, day)
        for flag in (True, False)
        for number in (0.0, -0.0, 1e-300, -1.5, 1e300)
        for text in ("é", "z", "Z", "", "😀", "ａ")
        for day in (date(1969, 12, 31), date(2024, 2, 29))
    ]
    random.Random(0).shuffle(rows)
    flags, numbers, texts, days = zip(*rows, strict=True)
    table = {"flag": flags, "number": numbers, "text": texts, "day": days, "pupil": [1] * len(rows)}
    workspace.write("source.parquet", pa.table({**table, "time": range(len(rows)), "item": [0] * len(rows)}))
    spec = workspace.model(
        source={"location": "source.parquet"},
        order_by=["flag", "number", "text", "day"],
        columns=columns(flag="bool", number="float64", text="string", day="date"),
    )
    workspace.ingest(spec)
    found = picked(workspace.raw_rows(spec), "flag", "number", "text", "day", "time")
    assert found == sorted(found, key=lambda row: (row[0], row[1], row[2].encode(), *row[3:]))
    assert len(found) == len(rows)


FILE_NAMES = ["a.csv", "b.csv", "é.csv", "Z.csv", "10.csv", "9.csv"]
OBSERVATIONS = st.tuples(st.sampled_from(FILE_NAMES), st.integers(-2, 2), st.integers(0, 3), st.integers(0, 99))


@settings(deadline=None, max_examples=examples(5), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(OBSERVATIONS, min_size=1, max_size=60), fraction=st.sampled_from([0.0, 0.5, 1.0]))
def test_any_files_come_out_in_the_order_of_plain_python(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, int, int]], fraction: float
) -> None:
    folder = tmp_path_factory.mktemp("order")
    workspace = Workspace(folder, LocalWarehouse(folder / "home"))
    expected: dict[str, list[tuple[Any, ...]]] = {subset: [] for subset in SUBSETS}
    for name in {row[0] for row in rows}:
        records = [row[1:] for row in rows if row[0] == name]
        workspace.write(f"data/{name}", "pupil,time,item\n" + "\n".join(",".join(map(str, record)) for record in records))
        for number, record in enumerate(records, 1):
            expected[md5_subset(str(record[0]), 0, fraction)].append((*record, name, number))
    spec = workspace.model(source={"location": "data"}, split={"strategy": "entity_hash", "validation_fraction": fraction})
    workspace.ingest(spec)
    found = workspace.raw_rows(spec)
    for subset in SUBSETS:
        ordered = sorted(expected[subset], key=lambda row: (row[0], row[1], row[3].encode(), row[4]))
        of_subset = [row for row in found if row["subset"] == subset]
        assert picked(of_subset, "pupil", "time", "item", "_file", "_row") == ordered
        entities = [row[0] for row in ordered]
        assert picked(of_subset, "_position") == [(entities[:index].count(entity),) for index, entity in enumerate(entities)]


def test_string_entities_are_ordered_by_their_utf_8_bytes_and_kept_as_they_are(workspace: Workspace) -> None:
    entities = ["", "007", "7", "NA", "Z", "a", "nan", "null", "é", "ａ", "😀", "a ", " a"]
    table = pa.table({"pupil": list(reversed(entities)), "time": range(len(entities)), "item": range(len(entities))})
    workspace.write("source.parquet", table)
    spec = workspace.sequence_model(source={"location": "source.parquet"}, columns=columns(pupil="string"))
    workspace.ingest(spec)
    ordered = [(entity,) for entity in sorted(entities, key=str.encode)]
    assert picked(workspace.raw_rows(spec), "pupil") == ordered
    assert picked(read_rows(workspace.sequence(spec).version), "pupil") == ordered


def test_a_quoted_empty_text_is_an_entity_and_an_unquoted_one_is_none(workspace: Workspace) -> None:
    workspace.write("source.csv", 'pupil,time,item\n"",1,1\n,2,2\nNA,3,3\n')
    spec = workspace.model(columns=columns(pupil="string"), checks=ANYTHING_MAY_BE_REJECTED)
    workspace.ingest(spec)
    assert picked(workspace.raw_rows(spec), "pupil") == [("",), ("NA",)]
    assert rejections(workspace, spec) == [(2, "pupil", None, "null")]


def test_the_extremes_of_int64_can_be_entity_order_and_feature(workspace: Workspace) -> None:
    low, high = -(2**63), 2**63 - 1
    workspace.write("source.csv", csv_text({"pupil": [high, low, low], "time": [low, high, low], "item": [high, low, 0]}))
    spec = workspace.sequence_model(columns=columns(item="int64"), features={"item": {"pad_value": low}})
    workspace.ingest(spec)
    assert picked(workspace.raw_rows(spec), "pupil", "time", "item") == [(low, low, 0), (low, high, low), (high, low, high)]
    sequences = picked(read_rows(workspace.sequence(spec).version), "pupil", "item_sequence")
    assert sequences == [(low, [0, low, low, low]), (high, [high, low, low, low])]
    assert (metrics(workspace, spec, "item")["min"], metrics(workspace, spec, "item")["max"]) == (low, high)


# Types


def test_every_type_is_stored_as_documented(workspace: Workspace) -> None:
    workspace.write(
        "source.csv",
        "pupil,time,item,i8,i16,f32,f64,flag,text,day,at,epoch\n"
        '1,1,1,-128,32767,0.1,0.1,TRUE," a ",2024-02-29,2024-02-29T12:00:00.000001+01:00,1.5\n',
    )
    spec = workspace.model(
        columns=columns(
            i8="int8", i16="int16", f32="float32", f64="float64", flag="bool", text="string", day="date", at="timestamp"
        )
        | {"epoch": {"type": "timestamp", "unit": "s"}}
    )
    version = workspace.ingest(spec).version
    table = read_table(version).drop_columns(["pupil", "time", "item", "subset", "_file", "_row", "_position"])
    at = datetime(2024, 2, 29, 11, 0, 0, 1, UTC)
    assert table.schema.types == [
        *(pa.int8(), pa.int16(), pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.date32(), pa.int64(), pa.int64())
    ]
    (row,) = table.to_pylist()
    assert row.pop("f32") == pytest.approx(0.1, rel=1e-7)
    assert row == {
        "i8": -128,
        "i16": 32767,
        "f64": 0.1,
        "flag": True,
        "text": " a ",
        "day": date(2024, 2, 29),
        "at": (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1),
        "epoch": 1_500_000,
    }


def test_nulls_and_nan_are_nulls_where_the_column_allows_them(workspace: Workspace) -> None:
    table = pa.table({"pupil": [1, 1, 1], "time": [1, 2, 3], "item": [1, 2, 3], "elapsed": [0.5, float("nan"), None]})
    workspace.write("source.parquet", table)
    spec = workspace.sequence_model(
        source={"location": "source.parquet"},
        columns=columns(elapsed={"type": "float32", "nullable": True}),
        features={"elapsed": {"pad_value": -1.0, "fill_null": 9.0}},
    )
    workspace.ingest(spec)
    assert picked(workspace.raw_rows(spec), "elapsed") == [(0.5,), (None,), (None,)]
    assert read_rows(workspace.sequence(spec).version)[0]["elapsed_sequence"] == [0.5, 9.0, 9.0, -1.0]


def test_columns_that_the_contract_does_not_name_are_not_read(workspace: Workspace) -> None:
    workspace.write("source.csv", "pupil,secret,time,item\n1,s,1,1\n")
    spec = workspace.model()
    version = workspace.ingest(spec).version
    assert version.schema.names == ("pupil", "time", "item", "subset", "_file", "_row", "_position")


HOSTILE_NAMES = [
    "v0",
    "w1",
    "n",
    "p",
    "items",
    "content",
    "position",
    "f0",
    "is_short",
    "subsets",
    "entity",
    "records",
    "number",
]
HOSTILE_NAMES += [
    "object",
    "line",
    "row",
    "value",
    "reason",
    "train",
    "count",
    "rejection",
    "select",
    "table",
    "found",
    "expected",
]
HOSTILE_NAMES += ["observations", "dropped_min_length", "histories", "stage", "files", "texts", "types", "file", "column"]


def test_columns_may_be_named_like_anything_that_the_queries_name(workspace: Workspace) -> None:
    names = {"pupil": "int64", "time": "int64", **dict.fromkeys(HOSTILE_NAMES, "int64")}
    rows = [{name: 10 * row + index for index, name in enumerate(names)} for row in (9, 10, 11)]
    workspace.write("source.json", "\n".join(map(json.dumps, rows)))
    spec = workspace.sequence_model(
        source={"location": "source.json"},
        columns={name: {"type": type_} for name, type_ in names.items()},
        features={name: {"pad_value": -1} for name in HOSTILE_NAMES},
    )
    workspace.ingest(spec)
    assert [{name: row[name] for name in names} for row in workspace.raw_rows(spec)] == rows
    assert read_rows(workspace.sequence(spec).version)[0]["n_sequence"] == [rows[0]["n"], -1, -1, -1]


@pytest.mark.parametrize("entity", ["v0", "n", "items", "position", "f0", "subsets", "observations"])
def test_the_entity_may_be_named_like_anything_that_the_queries_name(workspace: Workspace, entity: str) -> None:
    # As text, 10 would come before 9.
    workspace.write("source.csv", csv_text({entity: [10, 9, 10], "time": [1, 2, 3], "item": [4, 5, 6]}))
    contract = {entity: {"type": "int64"}, "time": {"type": "int64"}, "item": {"type": "int32"}}
    spec = workspace.sequence_model(entity=entity, columns=contract, window={"mode": "sliding", "stride": 1})
    workspace.ingest(spec)
    assert picked(workspace.raw_rows(spec), entity, "item") == [(9, 5), (10, 4), (10, 6)]
    assert len(read_rows(workspace.sequence(spec).version)) == 2


# Formats


def test_json_lines_are_ingested(workspace: Workspace) -> None:
    rows = ['{"pupil": 1, "time": 1.0, "item": "7"}', "[]", '{"pupil": 1, "item": 3, "time": null}', '{"pupil": 1.5}']
    workspace.write("source.jsonl", "\n".join(rows))
    spec = workspace.model(source={"location": "source.jsonl"}, checks=ANYTHING_MAY_BE_REJECTED)
    workspace.ingest(spec)
    assert picked(workspace.raw_rows(spec), "pupil", "time", "item") == [(1, 1, 7)]
    assert rejections(workspace, spec) == [
        (2, None, "[]", "malformed"),
        (3, "time", None, "null"),
        (4, "pupil", "1.5", "unreadable"),
        (4, "time", None, "null"),
        (4, "item", None, "null"),
    ]


def test_floats_and_nested_values_of_json_are_no_strings(workspace: Workspace) -> None:
    values = ['"x"', "1", "true", "1.5", "[1]", '{"a": 1}']
    lines = [f'{{"pupil": 1, "time": 1, "item": 1, "text": {value}}}' for value in values]
    workspace.write("source.jsonl", "\n".join(lines))
    spec = workspace.model(source={"location": "source.jsonl"}, columns=columns(text="string"), checks=ANYTHING_MAY_BE_REJECTED)
    workspace.ingest(spec)
    assert picked(workspace.raw_rows(spec), "text") == [("x",), ("1",), ("true",)]
    assert rejections(workspace, spec) == [
        (4, "text", "1.5", "unreadable"),
        (5, "text", "[1]", "unreadable"),
        (6, "text", '{"a":1}', "unreadable"),
    ]


def test_three_line_text_is_ingested(workspace: Workspace) -> None:
    workspace.write("data/y.dkt", "2\n7,8,\n1,0,\n3\n1\n1\n1\n9\n2\n")
    spec = workspace.sequence_model(
        source={"location": "data"},
        entity="entity",
        order_by=["position"],
        columns={
            "entity": {"type": "string"},
            "position": {"type": "int32"},
            "skill": {"type": "int32"},
            "answer": {"type": "int8", "is_in": [0, 1]},
        },
        features={"skill": {"pad_value": -1}, "answer": {"pad_value": 0}},
        checks=ANYTHING_MAY_BE_REJECTED,
    )
    workspace.ingest(spec)
    assert rejections(workspace, spec) == [(3, None, "3\n1\n1", "malformed"), (4, "answer", "2", "is_in")]
    (sequence,) = read_rows(workspace.sequence(spec).version)
    assert (sequence["entity"], sequence["skill_sequence"], sequence["answer_sequence"]) == (
        "y.dkt#1",
        [7, 8, -1, -1],
        [1, 0, 0, 0],
    )


def test_parquet_files_of_different_schemas_are_each_read_by_their_own(workspace: Workspace) -> None:
    """Read together, their columns would be cast to a common type, and 2^53 + 1 would lose its last digit."""
    big = 2**53 + 1
    plain = {"pupil": [1], "item": [1]}
    workspace.write("data/a.parquet", pa.table({**plain, "time": [1], "number": pa.array([big], pa.int64())}))
    workspace.write("data/b.parquet", pa.table({**plain, "time": ["2"], "number": pa.array([2.0], pa.float64())}))
    workspace.write("data/c.parquet", pa.table({"number": pa.array([str(big)]), **plain, "time": pa.array([3], pa.uint8())}))
    workspace.write("data/d.parquet", pa.table({**plain, "time": [4]}))
    workspace.write("data/e.parquet", pa.table({**plain, "time": [5], "number": pa.array([2.5], pa.float64())}))
    spec = workspace.model(
        source={"location": "data/*.parquet"},
        columns=columns(number={"type": "int64", "nullable": True}),
        checks=ANYTHING_MAY_BE_REJECTED,
    )
    workspace.ingest(spec)
    assert picked(workspace.raw_rows(spec), "time", "number", "_file") == [
        (1, big, "a.parquet"),
        (2, 2, "b.parquet"),
        (3, big, "c.parquet"),
        (4, None, "d.parquet"),
    ]
    assert picked(workspace.rejected_rows(spec), "file", "row", "value") == [("e.parquet", 1, "2.5")]


@pytest.mark.parametrize("names", [["item", "Item", "ITEM"], ["ITEM", "Item", "item"]])
def test_columns_of_parquet_may_differ_in_upper_and_lower_case_only(workspace: Workspace, names: list[str]) -> None:
    values = {name: [number] for number, name in enumerate(names)}
    workspace.write("source.parquet", pa.table({"pupil": [1], "time": [1], **values}))
    spec = workspace.model(source={"location": "source.parquet"})
    workspace.ingest(spec)
    assert picked(workspace.raw_rows(spec), "item") == [(names.index("item"),)]
    ignored = workspace.warehouse.find(Dataset.raw("plain")).metadata["ignored_columns"]
    assert ignored == [name for name in names if name != "item"]


def test_a_column_of_parquet_that_stands_twice_is_an_error(workspace: Workspace) -> None:
    arrays = [pa.array([1])] * 4
    workspace.write("source.parquet", pa.Table.from_arrays(arrays, ["pupil", "time", "item", "item"]))
    with pytest.raises(SourceError, match=r"source\.parquet has 2 columns 'item'; allowed: one"):
        workspace.ingest(workspace.model(source={"location": "source.parquet"}))


@pytest.mark.parametrize("name", ["x*", "x?", "x[1]", "x[!2]", "**", "x{1,2}"])
def test_names_of_parquet_files_are_no_patterns(workspace: Workspace, name: str) -> None:
    for number, file in enumerate([name, "x1", "x2", "x3"]):
        workspace.write(f"data/{file}.parquet", pa.table({"pupil": [1], "time": [number], "item": [number]}))
    spec = workspace.model(source={"location": "data"})
    workspace.ingest(spec)
    assert picked(workspace.raw_rows(spec), "item", "_file") == [
        (0, f"{name}.parquet"),
        (1, "x1.parquet"),
        (2, "x2.parquet"),
        (3, "x3.parquet"),
    ]


def test_row_numbers_of_parquet_go_over_row_groups(workspace: Workspace) -> None:
    table = pa.table({"pupil": [1] * 100, "time": range(100, 0, -1), "item": range(100)})
    path = workspace.folder / "source.parquet"
    pq.write_table(table, path, row_group_size=7)
    spec = workspace.model(source={"location": "source.parquet"})
    workspace.ingest(spec)
    assert picked(workspace.raw_rows(spec), "_row", "item") == [(number, number - 1) for number in range(100, 0, -1)]


def test_bytes_of_parquet_are_text(workspace: Workspace) -> None:
    table = pa.table({"pupil": [b"p", "é".encode()], "time": [1, 2], "item": [b"1", b" 2 "]})
    workspace.write("source.parquet", table)
    spec = workspace.model(source={"location": "source.parquet"}, columns=columns(pupil="string"))
    workspace.ingest(spec)
    assert picked(workspace.raw_rows(spec), "pupil", "item") == [("p", 1), ("é", 2)]


def test_pandas_timestamps_in_nanoseconds_with_a_zone_are_read(workspace: Workspace) -> None:
    nanoseconds = [1_500, 2_000_000_000, 1]
    times = pa.array(nanoseconds, pa.timestamp("ns", "UTC"))
    workspace.write("source.parquet", pa.table({"pupil": [1, 1, 1], "time": times, "item": [1, 2, 3]}))
    spec = workspace.model(
        source={"location": "source.parquet"}, columns=columns(time="timestamp"), checks=ANYTHING_MAY_BE_REJECTED
    )
    workspace.ingest(spec)
    assert picked(workspace.raw_rows(spec), "time") == [(2_000_000,)]
    assert picked(workspace.rejected_rows(spec), "row", "reason") == [(1, "unreadable"), (3, "unreadable")]


def test_records_that_span_lines_are_kept_with_the_version(workspace: Workspace) -> None:
    workspace.write("source.csv", 'pupil,time,item,note\n1,1,1,"two\nlines"\n1,2,2,one\n')
    spec = workspace.model()
    workspace.ingest(spec)
    assert workspace.warehouse.find(Dataset.raw("plain")).metadata["records_over_lines"] == 1


# Columns of paths

ONE_ANSWER: dict[str, str | pa.Table] = {
    "csv": "time,item\n1,7\n",
    "jsonl": '{"time": 1, "item": 7}\n',
    "dkt": "1\n7\n1\n",
    "parquet": pa.table({"time": [1], "item": [7]}),
}


@pytest.mark.parametrize("extension", ONE_ANSWER)
def test_a_column_may_be_a_part_of_the_path_of_the_file(workspace: Workspace, extension: str) -> None:
    for name in ("a/u17", "b/u5", "it's u6/b", "nobody"):
        workspace.write(f"data/{name}.{extension}", ONE_ANSWER[extension])
    names = {"time": "position", "item": "skill"} if extension == "dkt" else {"time": "time", "item": "item"}
    others = {name: {"type": "int64", "from": source} for name, source in names.items()}
    of_path = {"pupil": {"type": "int64", "from": {"path": "u([0-9]+)"}}, "side": {"type": "string", "from": {"path": "(a?)/"}}}
    spec = workspace.model(
        source={"location": "data"},
        columns={**of_path, **others, "class": {"type": "string", "from": {"path": "^([^/]+)/"}, "nullable": True}},
        checks=ANYTHING_MAY_BE_REJECTED,
    )
    workspace.ingest(spec)
    found = picked(workspace.raw_rows(spec), "pupil", "item", "side", "class", "_file")
    assert found == [
        (5, 7, "", "b", f"b/u5.{extension}"),
        (6, 7, "", "it's u6", f"it's u6/b.{extension}"),
        (17, 7, "a", "a", f"a/u17.{extension}"),
    ]
    assert rejections(workspace, spec) == [(1, "pupil", None, "null"), (1, "side", None, "null")]
    ignored = workspace.warehouse.find(Dataset.raw("plain")).metadata["ignored_columns"]
    assert ignored == (["entity", "answer"] if extension == "dkt" else [])


def test_all_columns_that_files_have_may_be_missing_beside_those_of_their_paths(workspace: Workspace) -> None:
    workspace.write("data/u5.csv", "other\n1\n2\n")
    workspace.write("data/u6.csv", "time\n3\n")
    columns = {"pupil": {"type": "int64", "from": {"path": "u([0-9]+)"}}, "time": {"type": "int64", "nullable": True}}
    spec = workspace.model(source={"location": "data"}, columns=columns, order_by=[])
    workspace.ingest(spec)
    assert picked(workspace.raw_rows(spec), "pupil", "time", "_row") == [(5, None, 1), (5, None, 2), (6, 3, 1)]
    workspace.write("lines/u5.jsonl", '{"x": 1}\n')
    only = workspace.model(name="only", source={"location": "lines"}, columns={"pupil": columns["pupil"]}, order_by=[])
    workspace.ingest(only)
    assert picked(workspace.raw_rows(only), "pupil", "_row") == [(5, 1)]


# Rejection


def test_timestamps_as_databases_write_them_are_read(workspace: Workspace) -> None:
    forms = [
        "2017-07-14 02:40:00.238544+00",
        "2017-07-14 02:40:00.238 UTC",
        "2017-07-14 02:40:00+0000",
        "2017-07-14T04:40:00+02",
        "2017-07-14 02:40:00Z",
        "2017-07-14 02:40:00.100000000",
    ]
    workspace.write("source.csv", csv_text({"pupil": [1] * 6, "time": forms, "item": range(6)}))
    spec = workspace.model(columns=columns(time="timestamp"))
    workspace.ingest(spec)
    found = sorted(picked(workspace.raw_rows(spec), "item", "time"))
    at = int(datetime(2017, 7, 14, 2, 40, tzinfo=UTC).timestamp()) * 1_000_000
    assert found == [(0, at + 238_544), (1, at + 238_000), (2, at), (3, at), (4, at), (5, at + 100_000)]


def test_local_times_in_a_format_of_their_own_are_points_in_time(workspace: Workspace) -> None:
    local = ["29/10/2023 02:30", "29/10/2023 03:30", "26/03/2023 02:30", "26/03/2023 03:30", "2023-10-29 02:30"]
    workspace.write("source.csv", csv_text({"pupil": [1] * 5, "time": local, "item": range(5)}))
    time = {"type": "timestamp", "format": "%d/%m/%Y %H:%M", "timezone": "Europe/Amsterdam"}
    spec = workspace.model(columns=columns(time=time), checks=ANYTHING_MAY_BE_REJECTED)
    workspace.ingest(spec)
    in_utc = [datetime(2023, 3, 26, 1, 30), datetime(2023, 10, 29, 0, 30), datetime(2023, 10, 29, 2, 30)]
    found = [
        (int(moment.replace(tzinfo=UTC).timestamp()) * 1_000_000, item) for moment, item in zip(in_utc, (3, 0, 1), strict=True)
    ]
    assert picked(workspace.raw_rows(spec), "time", "item") == found
    assert rejections(workspace, spec) == [(3, "time", local[2], "unreadable"), (5, "time", local[4], "unreadable")]


def test_a_text_of_json_has_the_columns_format_and_zone_too(workspace: Workspace) -> None:
    workspace.write("source.jsonl", '{"pupil": 1, "time": "1/7/2023", "item": 1}\n{"pupil": 1, "time": 5, "item": 1}\n')
    time = {"type": "timestamp", "format": "%d/%m/%Y", "timezone": "Asia/Tokyo"}
    spec = workspace.model(source={"location": "source.jsonl"}, columns=columns(time=time), checks=ANYTHING_MAY_BE_REJECTED)
    workspace.ingest(spec)
    assert picked(workspace.raw_rows(spec), "time") == [(int(datetime(2023, 6, 30, 15, tzinfo=UTC).timestamp()) * 1_000_000,)]
    assert rejections(workspace, spec) == [(2, "time", "5", "unreadable")]


def test_times_of_parquet_without_a_zone_are_local_and_int96_is_utc(workspace: Workspace) -> None:
    moments = pa.array([1_698_546_600_000_000], pa.timestamp("us"))
    table = pa.table({"pupil": [1], "time": moments, "item": [1]})
    pq.write_table(table, workspace.folder / "local.parquet")
    pq.write_table(table, workspace.folder / "int96.parquet", use_deprecated_int96_timestamps=True)
    in_utc = table.set_column(1, "time", moments.cast(pa.timestamp("us", "UTC")))
    pq.write_table(in_utc, workspace.folder / "utc.parquet")
    time = {"type": "timestamp", "timezone": "Europe/Amsterdam"}
    spec = workspace.model(source={"location": "*.parquet"}, columns=columns(time=time))
    workspace.ingest(spec)
    assert picked(workspace.raw_rows(spec), "_file", "time") == [
        ("local.parquet", 1_698_539_400_000_000),
        ("int96.parquet", 1_698_546_600_000_000),
        ("utc.parquet", 1_698_546_600_000_000),
    ]


def test_numbers_with_a_decimal_comma_are_read_and_shown_as_they_stood(workspace: Workspace) -> None:
    workspace.write("source.csv", "pupil;time;item\n1;1;1,5\n1;2;1.234,25\n1;3;-0,5\n1;4;1.5\n")
    options = {"delimiter": ";", "decimal": ",", "thousands": "."}
    spec = workspace.model(
        source={"location": "source.csv", "options": options}, columns=columns(item="float64"), checks=ANYTHING_MAY_BE_REJECTED
    )
    workspace.ingest(spec)
    assert picked(workspace.raw_rows(spec), "item") == [(1.5,), (1234.25,), (-0.5,)]
    assert rejections(workspace, spec) == [(4, "item", "1.5", "unreadable")]


def test_the_first_reason_counts_and_every_failed_column_is_told(workspace: Workspace) -> None:
    workspace.write(
        "source.csv",
        "pupil,time,item,score\n"
        "1,1,1,5\n"
        "x, 1e3 ,,5\n"  # three columns fail; the record counts once, by the first of them
        "1,2\n"
        "1,3,1,50\n"  # breaks two validations of one column; the first of them counts
        "1,4,1,\n"
        "1,5,1, five \n"
        "1,6,1,-1\n",
    )
    spec = workspace.model(
        columns=columns(score={"type": "int8", "is_in": [5, -1], "is_greater_than_or_equal": 0, "is_lower_than": 10}),
        checks=ANYTHING_MAY_BE_REJECTED,
    )
    workspace.ingest(spec)
    assert rejections(workspace, spec) == [
        (2, "pupil", "x", "unreadable"),
        (2, "time", " 1e3 ", "unreadable"),
        (2, "item", None, "null"),
        (3, None, "1,2", "malformed"),
        (4, "score", "50", "is_in"),
        (5, "score", None, "null"),
        (6, "score", " five ", "unreadable"),
        (7, "score", "-1", "is_greater_than_or_equal"),
    ]
    assert workspace.accounting(spec) == {
        "read": 7,
        "accepted": 1,
        "rejected": 6,
        "train": 1,
        "validation": 0,
        "rejected_by_reason": {"malformed": 1, "unreadable": 2, "null": 1, "is_in": 1, "is_greater_than_or_equal": 1},
    }


def test_what_is_wrong_with_a_malformed_record_is_said_in_its_detail(workspace: Workspace) -> None:
    workspace.write("source.csv", "pupil,time,item\n1,1,1\n1,2\n1,x,3\n")
    spec = workspace.model(checks=ANYTHING_MAY_BE_REJECTED)
    workspace.ingest(spec)
    assert details(workspace, spec) == {2: "3 fields expected, 2 found", 3: None}
    strict = workspace.model(name="strict")
    with pytest.raises(AuditError, match=r"row 2, '1,2': malformed \(3 fields expected, 2 found\)\n"):
        workspace.ingest(strict)


def test_the_detail_of_unreadable_values_is_that_of_their_column(workspace: Workspace) -> None:
    spec = workspace.model()
    fixed = "0 AS _file, 1 AS _row, NULL AS _malformed, NULL AS _detail, NULL AS _unreadable, NULL AS _too_long"
    types = {"pupil": "INTEGER", "time": "VARCHAR", "item": "VARCHAR"}
    said = {"time": "it's text", "item": "never shown", "pupil": "neither"}
    query = stage_query(spec, f"(SELECT {fixed}, 1 AS pupil, 'x' AS time, NULL AS item)", types, unreadable=said)
    with connect_in_memory({}) as connection:
        found = Engine(connection).row(query)["_rejections"]
    assert [(failed["column"], failed["detail"]) for failed in found] == [("time", "it's text"), ("item", None)]


VALIDATIONS: list[tuple[str, dict[str, Any], list[Any], list[Any]]] = [
    ("int8", {"is_in": [0, 1]}, [0, 1], [2, -1]),
    ("string", {"is_in": ["a", "it's"]}, ["a", "it's"], ["A", "", "its"]),
    ("bool", {"is_in": [True]}, [True], [False]),
    ("date", {"is_in": ["2024-02-29"]}, ["2024-02-29"], ["2024-02-28"]),
    ("int64", {"is_greater_than": 2**53}, [2**53 + 1], [2**53, 0]),
    ("float64", {"is_greater_than": 0.1}, [0.2], [0.1, -1]),
    ("int32", {"is_greater_than_or_equal": -5}, [-5, 0], [-6]),
    ("string", {"is_greater_than_or_equal": "b"}, ["b", "é"], ["a", "B"]),
    ("float32", {"is_lower_than": 0.5}, [0.25], [0.5, 1]),
    ("date", {"is_lower_than": "2024-01-01"}, ["2023-12-31"], ["2024-01-01"]),
    ("int16", {"is_lower_than_or_equal": 7}, [7, -7], [8]),
    (
        "timestamp",
        {"is_lower_than_or_equal": "2024-01-01 00:00:00+01:00"},
        ["2023-12-31T23:00Z"],
        ["2023-12-31T23:00:00.000001Z"],
    ),
    ("float32", {"is_between": [0, 86400]}, [0, 86400, 0.5], [-0.001, 86401]),
    (
        "timestamp",
        {"is_between": ["2024-01-01", "2024-01-02"]},
        ["2024-01-01", "2024-01-02"],
        ["2023-12-31", "2024-01-02 00:01"],
    ),
    ("int32", {"has_no_null_values": True}, [1], [""]),
]


def test_each_validation_accepts_its_bounds_as_its_name_says_and_rejects_the_rest(workspace: Workspace) -> None:
    """All of them in one source: a record per value, null in the columns that are not its own."""
    names = [f"x{number}" for number in range(len(VALIDATIONS))]
    contracts = {
        name: {"type": type_, "nullable": "has_no_null_values" not in contract, **contract}
        for name, (type_, contract, _, _) in zip(names, VALIDATIONS, strict=True)
    }
    last = names[-1]
    records: list[dict[str, Any]] = []
    expected = []
    for name, (_, contract, good, bad) in zip(names, VALIDATIONS, strict=True):
        for value in [*good, *bad]:
            records.append({"pupil": 1, "time": len(records), "item": 0, last: 1, name: value})
            if value in bad and not (value is False and bad != [False]):
                reason = "null" if "has_no_null_values" in contract else next(iter(contract))
                expected.append((len(records), name, None if reason == "null" else str(value), reason))
    text = io.StringIO()
    writer = csv.DictWriter(text, ["pupil", "time", "item", *names], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    workspace.write("source.csv", text.getvalue().replace(',"",', ",,"))
    spec = workspace.model(columns=columns(**contracts), checks=ANYTHING_MAY_BE_REJECTED)
    workspace.ingest(spec)
    found = rejections(workspace, spec)
    # An empty string is a null, which a nullable column accepts.
    assert found == [rejection for rejection in expected if rejection[2] != ""]
    assert {reason for *_, reason in found} == {
        *("is_in", "is_greater_than", "is_greater_than_or_equal", "is_lower_than"),
        *("is_lower_than_or_equal", "is_between", "null"),
    }


def test_a_null_is_no_breach_of_a_validation(workspace: Workspace) -> None:
    workspace.write("source.csv", "pupil,time,item,score\n1,1,1,\n")
    spec = workspace.model(columns=columns(score={"type": "int8", "nullable": True, "is_in": [1], "is_between": [0, 1]}))
    workspace.ingest(spec)
    assert picked(workspace.raw_rows(spec), "score") == [(None,)]


def test_values_that_must_be_unique_fail_the_contract_where_they_are_not(workspace: Workspace) -> None:
    spec = workspace.model(columns=columns(answer={"type": "string", "nullable": True, "has_unique_values": True}))
    workspace.write("source.csv", "pupil,time,item,answer\n1,1,1,a\n1,2,2,\n1,3,3,\n1,4,4,b\n")
    workspace.ingest(spec)
    workspace.write("source.csv", "pupil,time,item,answer\n1,1,1,a\n1,2,2,b\n1,3,3,a\n1,4,4,a\n")
    with pytest.raises(AuditError, match=r"contract: columns\.answer\.has_unique_values: 2 accepted rows repeat a value"):
        workspace.ingest(spec)


def test_too_large_a_share_of_nulls_fails_the_contract(workspace: Workspace) -> None:
    contract = {"type": "int8", "nullable": True, "has_acceptable_percentage_of_nulls": 0.5}
    spec = workspace.model(columns=columns(score=contract))
    workspace.write("source.csv", "pupil,time,item,score\n1,1,1,1\n1,2,2,\n")
    workspace.ingest(spec)
    workspace.write("source.csv", "pupil,time,item,score\n1,1,1,1\n1,2,2,\n1,3,3,\n")
    with pytest.raises(
        AuditError, match=r"score\.has_acceptable_percentage_of_nulls: found a share of 0\.6667; allowed: .* 0\.5"
    ):
        workspace.ingest(spec)


def test_too_many_rejected_records_publish_nothing_and_say_which(workspace: Workspace) -> None:
    spec = workspace.model(checks={"rejected_ratio": {"max": 0.5}})
    workspace.write("source.csv", "pupil,time,item\n1,1,1\n1,x,2\n")
    workspace.ingest(spec)
    before = workspace.warehouse.find(Dataset.raw("plain")), workspace.raw_rows(spec), workspace.rejected_rows(spec)
    workspace.write("source.csv", "pupil,time,item\n1,1,1\n1,x,2\n1,2\n,3,3\n")
    with pytest.raises(AuditError) as caught:
        workspace.ingest(spec)
    assert str(caught.value).splitlines() == [
        "plain_raw_observations was not published, because its audit failed:",
        "contract: 3 of 4 records were rejected (malformed 1, unreadable 1, null 1), a ratio of 0.75; allowed: "
        "checks.rejected_ratio.max, 0.5.",
        "Mend the rows, change the fields of the model file that refuse them, or raise the maximum:",
        "  1 malformed: source.format, source.options (delimiter, quoting, encoding)",
        "  1 null: columns.pupil.nullable, now false",
        "  1 unreadable: columns.time.type, now int64",
        "The first rejected:",
        "  source.csv, row 2, column 'time', value 'x': unreadable",
        "  source.csv, row 3, '1,2': malformed (3 fields expected, 2 found)",
        "  source.csv, row 4, column 'pupil', value None: null",
    ]
    assert (workspace.warehouse.find(Dataset.raw("plain")), workspace.raw_rows(spec), workspace.rejected_rows(spec)) == before
    assert len(workspace.warehouse.versions(Dataset.rejected("plain"))) == 1


def test_too_many_unreadable_values_are_told_with_the_field_that_reads_them(workspace: Workspace) -> None:
    spec = workspace.model(columns={**PLAIN_COLUMNS, "item": {"type": "int8"}})
    workspace.write("source.csv", "pupil,time,item\n1,1565096190.5,300\n1,2,70000\n1,3,NA\n")
    with pytest.raises(AuditError) as caught:
        workspace.ingest(spec)
    assert "\n".join(
        [
            "  1 unreadable: columns.time.type, now int64",
            "    '1565096190.5' is no whole number: columns.time.type: float64",
            "  3 unreadable: columns.item.type, now int8",
            '    \'NA\' looks like a null: source.options.null_values: ["", "NA"], with columns.item.nullable: true',
            "    '70000' does not fit int8, -128 to 127: columns.item.type: int32",
        ]
    ) in str(caught.value)


@pytest.mark.parametrize("name", ["source.csv", "source.parquet"])
def test_a_record_that_gets_lost_after_it_was_read_publishes_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def lossy(*arguments: Any, **named: Any) -> str:
        return f"SELECT * FROM ({stage_query(*arguments, **named)}) WHERE _row <> 2"

    rows = {"pupil": [1, 1, 1], "time": [1, 2, 3], "item": [1, 2, 3]}
    workspace.write(name, csv_text(rows) if name == "source.csv" else pa.table(rows))
    monkeypatch.setattr("seq_assets.warehouse.local.ingest.stage_query", lossy)
    with pytest.raises(AuditError, match=r"nothing_lost: read 3 = accepted 2 \+ rejected 0 does not hold"):
        workspace.ingest(workspace.model(source={"location": name}))
    assert workspace.warehouse.datasets() == []


def test_a_first_ingest_that_fails_publishes_nothing(workspace: Workspace) -> None:
    workspace.write("source.csv", "pupil,time,item\n1,x,1\n")
    spec = workspace.model()
    with pytest.raises(AuditError, match=r"1 of 1 records were rejected"):
        workspace.ingest(spec)
    assert workspace.warehouse.datasets() == []


def test_a_source_may_be_rejected_whole_where_the_model_allows_it(workspace: Workspace) -> None:
    workspace.write("source.csv", "pupil,time,item\nx,1,1\n")
    spec = workspace.sequence_model(checks=ANYTHING_MAY_BE_REJECTED)
    version = workspace.ingest(spec).version
    assert (version.rows, workspace.raw_rows(spec)) == (0, [])
    assert all(finding.passed for finding in workspace.warehouse.inspect(version))
    sequenced = workspace.sequence(spec).version
    assert (sequenced.rows, read_rows(sequenced)) == (0, [])
    assert all(finding.passed for finding in workspace.warehouse.inspect(sequenced))


# Split


def md5_subset(entity: str, seed: int, fraction: float) -> str:
    digits = hashlib.md5(f"{seed}:{entity}".encode()).hexdigest()[:8]
    return "validation" if int(digits, 16) / 2**32 < fraction else "train"


@pytest.mark.parametrize("seed", [0, -7, 2**40])
def test_whole_entities_are_split_by_md5(workspace: Workspace, seed: int) -> None:
    entities = [0, -1, 2**63 - 1, -(2**63), *range(1, 200)]
    table = pa.table({"pupil": entities * 2, "time": range(2 * len(entities)), "item": [1] * 2 * len(entities)})
    workspace.write("source.parquet", table)
    spec = workspace.model(
        source={"location": "source.parquet"}, split={"strategy": "entity_hash", "validation_fraction": 0.3, "seed": seed}
    )
    workspace.ingest(spec)
    found = workspace.raw_rows(spec)
    assert {(row["pupil"], row["subset"]) for row in found} == {(n, md5_subset(str(n), seed, 0.3)) for n in entities}
    assert {row["subset"] for row in found} == {"train", "validation"}
    accounting = workspace.accounting(spec)
    assert accounting["validation"] == sum(row["subset"] == "validation" for row in found)


@pytest.mark.parametrize(("above", "subset"), [(0, "train"), (0.5, "validation")])
def test_an_entity_is_validation_where_its_hash_is_below_the_fraction(workspace: Workspace, above: float, subset: str) -> None:
    """The fraction is the entity's own hash, or lies between it and the next one."""
    fraction = (int(hashlib.md5(b"0:7").hexdigest()[:8], 16) + above) / 2**32
    workspace.write("source.csv", "pupil,time,item\n7,1,1\n")
    spec = workspace.model(split={"strategy": "entity_hash", "validation_fraction": fraction})
    workspace.ingest(spec)
    assert picked(workspace.raw_rows(spec), "subset") == [(subset,)]
    assert md5_subset("7", 0, fraction) == subset


def test_string_entities_are_hashed_as_utf_8(workspace: Workspace) -> None:
    entities = ["", "007", "é", "😀", "e\u0301", "a:b", *(f"pupil {number}" for number in range(40))]
    workspace.write("source.parquet", pa.table({"pupil": entities, "time": range(len(entities)), "item": range(len(entities))}))
    spec = workspace.model(
        source={"location": "source.parquet"},
        columns=columns(pupil="string"),
        split={"strategy": "entity_hash", "validation_fraction": 0.5, "seed": 1},
    )
    workspace.ingest(spec)
    found = {(row["pupil"], row["subset"]) for row in workspace.raw_rows(spec)}
    assert found == {(entity, md5_subset(entity, 1, 0.5)) for entity in entities}


@pytest.mark.parametrize(("fraction", "subset"), [(0.0, "train"), (1.0, "validation")])
def test_all_entities_may_be_on_one_side(workspace: Workspace, fraction: float, subset: str) -> None:
    workspace.write("source.csv", csv_text({"pupil": range(50), "time": range(50), "item": range(50)}))
    spec = workspace.sequence_model(split={"strategy": "entity_hash", "validation_fraction": fraction})
    version = workspace.ingest(spec).version
    assert {row["subset"] for row in workspace.raw_rows(spec)} == {subset}
    assert all(finding.passed for finding in workspace.warehouse.inspect(version))
    assert [workspace.sequence(spec, side).version.rows for side in SUBSETS] == [50 * (side == subset) for side in SUBSETS]


def test_a_column_may_name_the_subset_and_other_values_are_rejected(workspace: Workspace) -> None:
    values = ["A", "B", "C", "D", "", "a"]
    workspace.write("source.csv", csv_text({"pupil": [1] * 6, "time": range(6), "item": range(6), "part": values}))
    spec = workspace.model(
        columns=columns(part={"type": "string", "nullable": True}),
        split={"strategy": "column", "column": "part", "train": ["A", "B"], "validation": ["C"]},
        checks=ANYTHING_MAY_BE_REJECTED,
    )
    version = workspace.ingest(spec).version
    found = picked(workspace.raw_rows(spec), "part", "subset", "_position")
    assert found == [("A", "train", 0), ("B", "train", 1), ("C", "validation", 0)]
    assert rejections(workspace, spec) == [
        (4, "part", "D", "split_value"),
        (5, "part", None, "split_value"),
        (6, "part", "a", "split_value"),
    ]
    assert all(finding.passed for finding in workspace.warehouse.inspect(version))


def test_a_value_that_is_no_subset_is_the_last_of_the_reasons(workspace: Workspace) -> None:
    workspace.write("source.csv", csv_text({"pupil": [1] * 4, "time": range(4), "item": range(4), "part": [1, 7, 99, "x"]}))
    spec = workspace.model(
        columns=columns(part={"type": "int8", "is_lower_than": 50}),
        split={"strategy": "column", "column": "part", "train": [1], "validation": [2]},
        checks=ANYTHING_MAY_BE_REJECTED,
    )
    workspace.ingest(spec)
    assert [reason for *_, reason in rejections(workspace, spec)] == ["split_value", "is_lower_than", "unreadable"]


@pytest.mark.parametrize("cutoff", ["2024-01-02", "2024-01-02T01:00:00+01:00", "2024-01-02 00:00:00"])
def test_time_splits_before_and_from_the_cutoff(workspace: Workspace, cutoff: str) -> None:
    times = ["2024-01-01", "2024-01-01 23:59:59.999999", "2024-01-02", "2024-01-02T00:30:00+01:00", "2024-01-03"]
    workspace.write("source.csv", csv_text({"pupil": [1] * 5, "time": times, "item": range(5)}))
    spec = workspace.model(columns=columns(time="timestamp"), split={"strategy": "time", "column": "time", "cutoff": cutoff})
    version = workspace.ingest(spec).version
    found = picked(workspace.raw_rows(spec), "item", "subset", "_position")
    assert found == [(0, "train", 0), (3, "train", 1), (1, "train", 2), (2, "validation", 0), (4, "validation", 1)]
    assert all(finding.passed for finding in workspace.warehouse.inspect(version))


@pytest.mark.parametrize(
    ("cutoff", "validation"), [("2024-01-02", [1, 2]), ("2024-01-02 00:00:01", [2]), ("1969-12-31", [0, 1, 2])]
)
def test_a_date_is_its_midnight_in_a_split_by_time(workspace: Workspace, cutoff: str, validation: list[int]) -> None:
    workspace.write(
        "source.csv", csv_text({"pupil": [1] * 3, "time": ["2024-01-01", "2024-01-02", "2024-01-03"], "item": range(3)})
    )
    spec = workspace.model(columns=columns(time="date"), split={"strategy": "time", "column": "time", "cutoff": cutoff})
    version = workspace.ingest(spec).version
    assert [row["item"] for row in workspace.raw_rows(spec) if row["subset"] == "validation"] == validation
    assert all(finding.passed for finding in workspace.warehouse.inspect(version))


def test_folders_may_name_the_subset(workspace: Workspace) -> None:
    workspace.write("data/train/a.csv", "pupil,time,item\n1,1,1\n")
    workspace.write("data/train/deep/validation/b.csv", "pupil,time,item\n1,2,2\n")
    workspace.write("data/validation/a.csv", "pupil,time,item\n1,3,3\n")
    spec = workspace.model(source={"location": "data"}, split={"strategy": "location"})
    version = workspace.ingest(spec).version
    assert picked(workspace.raw_rows(spec), "item", "subset", "_file") == [
        (1, "train", "train/a.csv"),
        (2, "train", "train/deep/validation/b.csv"),
        (3, "validation", "validation/a.csv"),
    ]
    assert all(finding.passed for finding in workspace.warehouse.inspect(version))


@pytest.mark.parametrize("stray", ["a.csv", "test/a.csv", "training/a.csv"])
def test_a_file_outside_the_two_folders_is_an_error(workspace: Workspace, stray: str) -> None:
    for name in ("train/a.csv", "validation/a.csv", stray):
        workspace.write(f"data/{name}", "pupil,time,item\n1,1,1\n")
    spec = workspace.model(source={"location": "data"}, split={"strategy": "location"})
    with pytest.raises(SourceError, match=f"found '{stray}' below 'data'; allowed: files below train/ and validation/ only"):
        workspace.ingest(spec)


# Metrics


def test_metrics_are_those_of_the_statistics_module(workspace: Workspace) -> None:
    generator = random.Random(0)
    numbers = [10**9 + generator.random() for _ in range(200)]
    scores = [generator.randint(-50, 50) for _ in range(200)]
    elapsed = [None if number % 10 == 0 else generator.expovariate(0.1) for number in range(200)]
    large = [2**60 + generator.randrange(1000) for _ in range(200)]
    apart = [-(2**63), 2**63 - 1, *(generator.randrange(-(2**63), 2**63) for _ in range(198))]
    measured: dict[str, list[Any]] = {"number": numbers, "score": scores, "elapsed": elapsed, "large": large, "apart": apart}
    workspace.write("source.parquet", pa.table({"pupil": range(200), "time": range(200), "item": [1] * 200} | measured))
    spec = workspace.model(
        source={"location": "source.parquet"},
        columns=columns(
            number="float64", score="int8", elapsed={"type": "float64", "nullable": True}, large="int64", apart="int64"
        ),
        split={"strategy": "entity_hash", "validation_fraction": 0.5},
    )
    workspace.ingest(spec)
    for name, column in measured.items():
        values = [value for value in column if value is not None]
        found = metrics(workspace, spec, name)
        assert (found["count"], found["unique"]) == (len(values), len(set(values)))
        assert (found["min"], found["max"]) == (min(values), max(values))
        assert found["mean"] == pytest.approx(statistics.mean(values), rel=1e-12)
        assert found["variance"] == pytest.approx(statistics.variance(values), rel=1e-9)
        assert found["standard_deviation"] == pytest.approx(statistics.stdev(values), rel=1e-9)
        assert "labels" not in found


def test_metrics_are_over_accepted_rows_only(workspace: Workspace) -> None:
    workspace.write("source.csv", "pupil,time,item\n1,1,1\n1,x,100\n1,3,2\n")
    spec = workspace.model(checks=ANYTHING_MAY_BE_REJECTED)
    workspace.ingest(spec)
    assert metrics(workspace, spec, "item") == {
        "count": 2,
        "unique": 2,
        "min": 1,
        "max": 2,
        "mean": 1.5,
        "variance": 0.5,
        "standard_deviation": pytest.approx(0.5**0.5),
        "labels": {"1": 1, "2": 1},
    }


def test_metrics_of_other_types_are_counts_and_extremes(workspace: Workspace) -> None:
    workspace.write(
        "source.csv", "pupil,time,item,text,day,flag\n1,1,1,é,2024-01-01,true\n1,2,1,Z,2023-01-01,\n1,3,1,Z,2024-01-01,0\n"
    )
    spec = workspace.model(columns=columns(text="string", day="date", flag={"type": "bool", "nullable": True}))
    workspace.ingest(spec)
    assert metrics(workspace, spec, "text") == {"count": 3, "unique": 2, "min": "Z", "max": "é", "labels": {"Z": 2, "é": 1}}
    day = {"count": 3, "unique": 2, "min": "2023-01-01", "max": "2024-01-01", "labels": {"2023-01-01": 1, "2024-01-01": 2}}
    assert metrics(workspace, spec, "day") == day
    assert metrics(workspace, spec, "flag")["count"] == 2
    assert {str(label).lower(): count for label, count in metrics(workspace, spec, "flag")["labels"].items()} == {
        "true": 1,
        "false": 1,
    }


@pytest.mark.parametrize("unique", [50, 51])
def test_labels_are_counted_up_to_fifty(workspace: Workspace, unique: int) -> None:
    workspace.write("source.csv", csv_text({"pupil": range(unique), "time": range(unique), "item": range(unique)}))
    spec = workspace.model()
    workspace.ingest(spec)
    found = metrics(workspace, spec, "item")
    assert found["unique"] == unique
    assert found.get("labels") == ({str(item): 1 for item in range(50)} if unique == 50 else None)


# Sources that cannot be read


def test_a_missing_source_is_an_error_and_the_last_version_stands(workspace: Workspace) -> None:
    path = workspace.write("source.csv", "pupil,time,item\n1,1,1\n")
    spec = workspace.model()
    version = workspace.ingest(spec).version
    path.unlink()
    with pytest.raises(SourceError, match=r"No source file at 'source\.csv'"):
        workspace.ingest(spec)
    assert workspace.warehouse.find(Dataset.raw("plain")) == version


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "", r"x\.csv is empty \(0 bytes\)"),
        ("x.csv", "pupil,time,item\n", r"The source 'x\.csv' has no rows in 1 file\(s\)"),
        ("x.csv", "\n\n", "only blank lines"),
        ("x.json", "\n", "no rows"),
        ("x.dkt", "\n", "no column 'pupil'"),
        ("x.csv", 'pupil,time,"item\n1,1,1\n', "a field not closed"),
        ("x.csv", "pupil,time\n1,1\n", r"no column 'item' \(columns\.item\); found: 'pupil', 'time'\. Mend"),
        (
            "x.parquet",
            "no parquet",
            r"x\.parquet cannot be read as Parquet, and is no such file; set source\.format",
        ),
        ("x.parquet", "PAR1 and no more", r"x\.parquet cannot be read as Parquet: its end is missing"),
        ("x.csv.gz", "no gzip", r"x\.csv\.gz cannot be read"),
    ],
)
def test_a_source_that_cannot_be_read_is_an_error_that_names_it(
    workspace: Workspace, name: str, content: str, message: str
) -> None:
    workspace.write(name, content)
    spec = workspace.model(source={"location": name})
    with pytest.raises(SourceError, match=message):
        workspace.ingest(spec)
    with pytest.raises(NotPublishedError):
        workspace.warehouse.find(Dataset.raw("plain"))


def test_parquet_without_rows_is_an_error(workspace: Workspace) -> None:
    workspace.write(
        "x.parquet", pa.table({"pupil": pa.array([], pa.int64()), "time": pa.array([], pa.int64()), "item": pa.nulls(0)})
    )
    with pytest.raises(SourceError, match="has no rows"):
        workspace.ingest(workspace.model(source={"location": "x.parquet"}))


def test_a_broken_page_of_parquet_is_an_error_that_names_the_file(workspace: Workspace) -> None:
    path = workspace.write("x.parquet", pa.table({"pupil": range(5000), "time": range(5000), "item": range(5000)}))
    content = bytearray(path.read_bytes())
    content[40:400] = bytes(360)
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"x\.parquet"):
        workspace.ingest(workspace.model(source={"location": "x.parquet"}))


def test_text_of_parquet_that_is_not_utf_8_is_an_error_that_names_the_file(workspace: Workspace) -> None:
    table = pa.table({"pupil": pa.array([b"a", b"\xff"]).view(pa.string()), "time": [1, 2], "item": [1, 2]})
    workspace.write("x.parquet", table)
    with pytest.raises(SourceError, match=r"x\.parquet.*not valid UTF8"):
        workspace.ingest(workspace.model(source={"location": "x.parquet"}, columns=columns(pupil="string")))


@pytest.mark.parametrize("name", ["file_index", "file_row_number", "File_Row_Number"])
def test_columns_that_the_parquet_reader_adds_itself_are_refused(workspace: Workspace, name: str) -> None:
    """The file's own values would take the place of the position of each row."""
    workspace.write("x.parquet", pa.table({"pupil": [1], "time": [1], "item": [1], name: [7]}))
    with pytest.raises(SourceError, match=rf"x\.parquet has a column '{name}'.*rename it"):
        workspace.ingest(workspace.model(source={"location": "x.parquet"}))


def test_a_column_missing_in_one_of_many_files_is_an_error_that_names_the_file(workspace: Workspace) -> None:
    workspace.write("data/a.parquet", pa.table({"pupil": [1], "time": [1], "item": [1]}))
    workspace.write("data/b.parquet", pa.table({"pupil": [1], "time": [1], "itme": [1]}))
    with pytest.raises(SourceError, match=r"b\.parquet has no column 'item'.*did you mean 'itme'"):
        workspace.ingest(workspace.model(source={"location": "data"}))


def test_a_source_that_changes_while_it_is_read_is_an_error(workspace: Workspace) -> None:
    path = workspace.write("source.csv", "pupil,time,item\n1,1,1\n")

    def touch(stage: str, rows: int) -> None:
        os.utime(path, ns=(1, 1))

    with pytest.raises(SourceError, match="changed while it was read; run it again"):
        workspace.ingest(workspace.model(), progress=touch)
    assert workspace.warehouse.datasets() == []


# Size


def shuffled_rows(rows: int, entities: int) -> pa.Table:
    """Rows, out of order, whose items are their places in their histories; the number of rows is no multiple of 7919."""
    numbers = np.arange(rows) * 7919 % rows
    times = numbers // entities
    return pa.table({"pupil": numbers % entities, "time": times, "item": times.astype(np.int32)})


@pytest.mark.slow
def test_a_million_rows_of_one_entity_are_one_history(workspace: Workspace) -> None:
    rows = 1_000_000
    workspace.write("source.parquet", shuffled_rows(rows, entities=1))
    spec = workspace.sequence_model(source={"location": "source.parquet"}, sequence_lengths=[1000])
    table = read_table(workspace.ingest(spec).version)
    assert table.column("item").equals(pa.chunked_array([pa.array(range(rows), pa.int32())]))
    assert table.column("_position").equals(pa.chunked_array([pa.array(range(rows), pa.int64())]))
    sequences = read_table(workspace.sequence(spec).version)
    assert sequences.column("item_sequence").combine_chunks().flatten().equals(pa.array(range(rows), pa.int32()))


@pytest.mark.slow
def test_what_does_not_fit_into_memory_is_sorted_on_disk(workspace: Workspace) -> None:
    def connect(config: dict[str, Any]) -> Any:
        return connect_in_memory(config | {"memory_limit": "48MiB", "threads": 1})

    rows, entities = 1_500_000, 1000
    home = workspace.folder / "limited"
    limited = Workspace(workspace.folder, LocalWarehouse(home, connect=connect))
    limited.write("source.parquet", shuffled_rows(rows, entities))
    spec = limited.model(source={"location": "source.parquet"})
    seen: set[str] = set()

    def watch(stage: str, rows: int) -> None:
        seen.update(path.name for path in (home / "scratch").glob("*/*"))

    table = read_table(limited.ingest(spec, progress=watch).version)
    assert table.num_rows == rows
    assert table.column("item").equals(table.column("_position").cast(pa.int32()))
    assert seen - {"stage.duckdb", "stage.duckdb.wal"}, "the limit is too high for this test to say anything"
    assert list((home / "scratch").iterdir()) == []


@pytest.mark.parametrize(("sizes", "is_in_memory"), [([SMALL_SOURCE], True), ([SMALL_SOURCE, 1], False)])
def test_only_records_of_large_sources_are_compressed_on_disk(tmp_path: Path, sizes: list[int], is_in_memory: bool) -> None:
    files = tuple(SourceFile(f"{number}.csv", f"{number}.csv", size, 0) for number, size in enumerate(sizes))
    place, _ = stage_place(SourceFiles("data", "csv", files), tmp_path)
    assert (place == "':memory:'") is is_in_memory


def test_progress_is_told_of_every_stage(workspace: Workspace) -> None:
    workspace.write("source.csv", "pupil,time,item\n1,1,1\n1,x,1\n2,1,1\n")
    spec = workspace.sequence_model(checks=ANYTHING_MAY_BE_REJECTED)
    told: list[tuple[str, int]] = []
    workspace.ingest(spec, progress=lambda stage, rows: told.append((stage, rows)))
    workspace.sequence(spec, progress=lambda stage, rows: told.append((stage, rows)))
    assert told == [
        ("read", 3),
        ("sort and write train", 2),
        ("write rejected observations", 1),
        ("sequence plain_sequenced_train_4", 2),
    ]


def scratch_of(workspace: Workspace) -> Iterator[Path]:
    assert isinstance(workspace.warehouse, LocalWarehouse)
    yield from (workspace.warehouse.home / "scratch").iterdir()


def test_nothing_is_left_in_the_scratch_folder(workspace: Workspace) -> None:
    workspace.write("source.csv", "pupil,time,item\n1,1,1\n")
    workspace.ingest(workspace.model())
    workspace.write("source.csv", "pupil,time,item\n1,x,1\n")
    with pytest.raises(AuditError):
        workspace.ingest(workspace.model())
    assert list(scratch_of(workspace)) == []
