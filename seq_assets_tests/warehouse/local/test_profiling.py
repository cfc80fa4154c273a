"""A sample of a source: its types read every value, and what is proposed for it can be ingested as it is."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq_assets.errors import SourceError
from seq_assets.models import ModelSpec, parse_model
from seq_assets.models.proposal import SampledSource, propose
from seq_assets.sequencing.plans import IngestPlan
from seq_assets.warehouse.local import profiling
from seq_assets.warehouse.local.profiling import sample_source
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets_tests.reference import examples


def sample_of(path: Path) -> SampledSource:
    return sample_source(str(path), "", str(path))


def proposed_for(path: Path) -> ModelSpec:
    return parse_model(propose(sample_of(path), "answers"), "answers.yaml")


def types_in(path: Path) -> dict[str, str | None]:
    return {column.source: column.type and column.type.value for column in sample_of(path).columns}


def test_each_column_of_text_gets_the_narrowest_type_that_reads_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "user,int,share,flag,day,at,word,zero,code\n"
        "1,5,0.5,true,2024-01-01,2024-01-01 08:00,a,1,7\n"
        "1,6.0,1e3,FALSE,2024-02-29,2024-01-01T08:00:01.5+01:00,2,0,x\n",
        encoding="utf-8",
    )
    assert types_in(path) == {
        "user": "int64",
        "int": "int64",
        "share": "float64",
        "flag": "bool",
        "day": "date",
        "at": "timestamp",
        "word": "string",
        "zero": "int64",
        "code": "string",
    }


def test_columns_of_parquet_keep_their_types(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    columns: dict[str, pa.Array] = {
        "user": pa.array([1, 2], pa.int64()),
        "small": pa.array([1, 2], pa.int8()),
        "unsigned": pa.array([1, 2], pa.uint8()),
        "single": pa.array([1, 2], pa.float32()),
        "double": pa.array([1, 2], pa.float64()),
        "holes": pa.array([1, None], pa.float64()),
        "flag": pa.array([True, False]),
        "at": pa.array([datetime(2024, 1, 1, 8, tzinfo=UTC)] * 2),
        "tags": pa.array([["a"], ["b"]]),
        "lost": pa.array([1, 2], pa.timestamp("ns")),
    }
    pq.write_table(pa.table(columns), path)
    assert types_in(path) == {
        "user": "int64",
        "small": "int8",
        "unsigned": "int16",
        "single": "float32",
        "double": "float64",
        "holes": "int64",
        "flag": "bool",
        "at": "timestamp",
        "tags": None,
        "lost": None,
    }


def test_values_of_json_that_are_nested_are_read_by_no_type(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [{"user": 1, "tags": [1], "more": {"a": 1}, "text": "[1]", "share": 0.5}, {"user": 2, "late": "x"}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert types_in(path) == {
        "user": "int64",
        "tags": None,
        "more": None,
        "text": "string",
        "share": "float64",
        "late": "string",
    }


def test_words_for_null_are_found_where_the_rest_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user,points,word\n1,5,NA\n1,NA,-\n1,-,x\n", encoding="utf-8")
    spec = proposed_for(path)
    assert spec.source.options.null_values == ("", "NA", "-")
    assert (spec.columns["points"].type.value, spec.columns["points"].nullable) == ("int32", True)
    assert spec.columns["word"].nullable


def test_text_of_another_encoding_is_proposed_as_such_and_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("user,word\n1,café\n1,caf\u00e9".encode("cp1252"))
    spec = proposed_for(path)
    assert (spec.source.options.encoding, list(spec.columns)) == ("cp1252", ["user", "word"])
    assert spec.checks.rejected_ratio.max == 0


@pytest.mark.parametrize(
    ("beginning", "skip_rows", "header"), [("by a tool\n\na,b\n", 1, True), ("a,a\n", 1, False), ("a,b\n", 0, True)]
)
def test_lines_before_the_records_are_no_records(tmp_path: Path, beginning: str, skip_rows: int, header: bool) -> None:
    path = tmp_path / "x.csv"
    path.write_text(beginning + "".join(f"{number},{number % 3}\n" for number in range(30)))
    sample, options = sample_of(path), proposed_for(path).source.options
    assert (sample.records, sample.malformed, options.skip_rows, options.header) == (30, 0, skip_rows, header)
    assert list(types_in(path).values()) == ["int64", "int64"]


def test_what_is_mostly_malformed_gets_no_proposal_that_would_reject_it(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("some words\nmore, words\nand, again, more\nor, four, or, so\nor, five, or, more, here\n")
    with pytest.raises(
        SourceError, match=r"Of 4 sampled records of the source .*notes\.txt', 4 are malformed when it is read as csv"
    ):
        sample_of(path)


def test_words_alone_are_no_nulls(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user,word,only\n1,NA,-\n1,x,-\n", encoding="utf-8")
    assert proposed_for(path).source.options.null_values == ("",)


def test_records_that_are_malformed_raise_the_maximum(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user,item\n" + "1,2\n" * 98 + "1\n1,2,3\n", encoding="utf-8")
    assert proposed_for(path).checks.rejected_ratio.max == 0.04


def test_of_many_files_the_first_the_middle_and_the_last_are_looked_at(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}.csv").write_text(f"user,item\n1,{'x' if number == 9 else number}\n", encoding="utf-8")
    assert types_in(tmp_path)["item"] == "string"
    assert sample_of(tmp_path).described == "the first 3 records of 3 of 10 files"


def test_files_of_several_formats_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user\n1\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text('{"user": 1}\n', encoding="utf-8")
    with pytest.raises(SourceError, match=r"'a.csv' \(csv\) and 'b.csv' \(json\); name those of one"):
        sample_of(tmp_path)


@pytest.mark.parametrize(
    ("form", "record"),
    [
        ("csv", f"1,{{:>9}},{'x' * 40}\n"),
        pytest.param("jsonl", '{{"user": 1, "item": {:>9}, "word": "x"}}\n', marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("place", [100_500, *(pytest.param(place, marks=pytest.mark.slow) for place in (0, 199_999))])
def test_of_a_large_file_its_middle_and_end_are_looked_at(tmp_path: Path, form: str, record: str, place: int) -> None:
    records = [record.format(number) for number in range(200_000)]
    records[place] = record.format('   "none"')
    lines = ["user,item,word\n"] * (form == "csv") + records
    path = tmp_path / f"a.{form}"
    path.write_text("".join(lines).replace('"none"', "none" if form == "csv" else '"none"'))
    assert path.stat().st_size > profiling.LARGE
    assert types_in(path)["item"] == "string"
    assert "from the beginning, the middle and the end" in sample_of(path).described


def test_a_large_file_with_quotes_is_looked_at_from_its_beginning_and_where_there_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    records = ['1,"two\nlines",x\n', *(f"1,{number:>9},{'x' * 40}\n" for number in range(200_000))]
    path.write_text("user,item,word\n" + "".join(records) + "1,2,late\n", encoding="utf-8")
    assert types_in(path)["item"] == "string"
    assert sample_of(path).malformed == 0


def test_a_sample_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user,item\n1,2\n", encoding="utf-8")
    sample_of(path)
    assert list(tmp_path.iterdir()) == [path]


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "ints": st.integers(-(2**63), 2**63 - 1),
    "small": st.integers(0, 1),
    "floats": st.floats(allow_nan=False, allow_infinity=False),
    "bools": st.booleans(),
    "dates": st.dates(),
    "times": st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)),
    "texts": st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=6),
    "nulls": st.sampled_from(["", "NA", "1"]),
}


@pytest.mark.slow
@settings(max_examples=examples(25), deadline=None)
@given(st.lists(st.sampled_from(sorted(VALUES)), max_size=5), st.sampled_from([",", "\t", ";"]), st.data())
def test_what_is_proposed_for_a_sample_accepts_all_of_it(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str], delimiter: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("proposed")
    columns = {f"{kind} {number}": VALUES[kind] for number, kind in enumerate(kinds)}
    rows = [[1, "word", *(data.draw(values) for values in columns.values())] for _ in range(data.draw(st.integers(1, 25)))]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_MINIMAL).writerows(
        [["user", "sure", *columns], *rows]
    )
    (folder / "a.csv").write_text(text.getvalue(), encoding="utf-8")
    spec = proposed_for(folder / "a.csv")
    warehouse = LocalWarehouse(folder / "home")
    accounting = warehouse.execute(IngestPlan(spec, str(folder / "a.csv"), "")).version.metadata["accounting"]
    assert (accounting["read"], accounting["rejected"]) == (len(rows), 0)
