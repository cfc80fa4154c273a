"""CSV files as they come: what is a record, which number it has, and what is null."""

import csv
import gzip
import io
import re
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq_assets.errors import SourceError
from seq_assets.models import ColumnType
from seq_assets.models.spec import SourceOptions
from seq_assets.warehouse.sources.lines import DelimitedFile
from seq_assets.warehouse.sources.location import SourceFile
from seq_assets.warehouse.sources.records import SourceFindings, WantedColumn
from seq_assets_tests.reference import examples
from seq_assets_tests.reference.files import csv_records
from seq_assets_tests.warehouse.sources.reading import details, malformed, read, values, wanted

AB = wanted("a", "b")


def test_columns_are_found_by_name_in_any_order_and_others_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("b,ignored,a\n1,2,3\n")
    assert read(tmp_path, AB) == [{"_row": 1, "a": "3", "b": "1"}]


def test_a_column_is_found_by_its_name_in_the_source(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('"Anon Student Id",b\n7,1\n')
    columns = (WantedColumn("pupil", "Anon Student Id", ColumnType.INT64, nullable=False),)
    assert read(tmp_path, columns) == [{"_row": 1, "pupil": "7"}]


def test_each_file_has_its_own_order_of_columns_and_its_own_numbers(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,2\n3,4\n")
    (tmp_path / "2.csv").write_text("b,a\n5,6\n")
    assert read(tmp_path, AB) == [
        {"_row": 1, "a": "1", "b": "2"},
        {"_row": 2, "a": "3", "b": "4"},
        {"_file": 1, "_row": 1, "a": "6", "b": "5"},
    ]


def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbfa,b\n1,2\n")
    assert values(read(tmp_path, AB), "a") == ["1"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_ends_a_record(tmp_path: Path, end: str) -> None:
    (tmp_path / "x.csv").write_bytes(end.join(["a,b", "1,2", "3,4", ""]).encode())
    assert values(read(tmp_path, AB), "b") == ["2", "4"]


def test_line_ends_may_be_mixed_and_the_last_one_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"a,b\r\n1,2\n3,4\r\n5,6")
    assert values(read(tmp_path, AB), "b") == ["2", "4", "6"]


def test_a_quoted_line_end_delimiter_or_quote_stays_in_its_value(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b'a,b\n"1\n\n2\r\n3","x,""y"""\n4,5\n')
    assert read(tmp_path, AB) == [{"_row": 1, "a": "1\n\n2\r\n3", "b": 'x,"y"'}, {"_row": 2, "a": "4", "b": "5"}]


def test_an_empty_field_is_null_unless_it_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('a,b\n,""\n')
    assert read(tmp_path, AB) == [{"_row": 1, "a": None, "b": ""}]


def test_null_values_match_whole_unquoted_fields_only(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('a,b\nNA,"NA"\nNAN, NA\n,-\n')
    records = read(tmp_path, AB, null_values=["NA", "-"])
    assert [(record["a"], record["b"]) for record in records] == [(None, "NA"), ("NAN", " NA"), ("", None)]


def test_blank_lines_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("\n\na,b\n\n1,2\n\n\n3,4\n5\n\n6,7\n\n")
    records = read(tmp_path, AB)
    assert [record["_row"] for record in records] == [1, 2, 3, 4]
    assert malformed(records) == {3: "5"}


def test_a_record_with_another_number_of_fields_is_malformed_and_the_file_goes_on(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('a,b\n1,2\n3\n4,5,6\n"7\n8",9\n10\n')
    records = read(tmp_path, AB)
    assert malformed(records) == {2: "3", 3: "4,5,6", 5: "10"}
    assert details(records) == {number: f"2 fields expected, {found} found" for number, found in ((2, 1), (3, 3), (5, 1))}
    assert [(record["_row"], record["a"]) for record in records if record.get("a")] == [(1, "1"), (4, "7\n8")]


def test_no_record_is_lost_where_all_of_a_file_are_malformed(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "2.csv").write_text("a,b\n3\n4,5,6\n")
    assert [(record.get("_file", 0), record["_row"], record.get("_malformed")) for record in read(tmp_path, AB)] == [
        (0, 1, None),
        (1, 1, "3"),
        (1, 2, "4,5,6"),
    ]


def test_bytes_that_are_no_text_make_the_record_malformed(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"a,b\n1,2\n3,\xff4\n\xfe\n5,6\n")
    records = read(tmp_path, AB)
    assert malformed(records) == {2: "3,\ufffd4", 3: "\ufffd"}
    assert details(records) == {2: "not UTF-8 at byte 3", 3: "2 fields expected, 1 found"}
    assert values(records, "b") == ["2", "6"]


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_a_record_with_bytes_that_are_no_text_is_kept_as_it_stood(tmp_path: Path, name: str) -> None:
    content = b'\xef\xbb\xbfc,a,b\r\n\r\n1,"2\r\n\xff",3\r\nNA,"4 ""5""",\xff\r\n7,8\r\n9,10,11\r\n,\xfe,\r\n'
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    records = read(tmp_path, AB, null_values=("NA", ""))
    assert malformed(records) == {1: '1,"2\r\n\ufffd",3', 2: 'NA,"4 ""5""",\ufffd', 3: "7,8", 5: ",\ufffd,"}
    assert values(records, "b") == ["11"]


def test_without_a_header_a_record_with_bytes_that_are_no_text_is_kept_too(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbf\xff,2\n3,4\n")
    assert malformed(read(tmp_path, wanted("1"), header=False)) == {1: "\ufffd,2"}


def test_bytes_that_are_no_text_do_no_harm_in_a_column_that_nobody_reads(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"a,b,c\n1,2,\xff\n")
    assert read(tmp_path, AB) == [{"_row": 1, "a": "1", "b": "2"}]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-8-sig"])
def test_any_encoding_that_python_knows_can_be_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "x.csv").write_bytes("a,b\né,ß\n".encode(encoding))
    assert read(tmp_path, AB, encoding=encoding) == [{"_row": 1, "a": "é", "b": "ß"}]


def test_gzip_and_zstd_are_known_by_the_name(tmp_path: Path) -> None:
    text = b"a,b\n1,2\n"
    (tmp_path / "1.csv.gz").write_bytes(gzip.compress(text))
    (tmp_path / "2.csv.zst").write_bytes(pa.Codec("zstd").compress(text, asbytes=True))
    assert values(read(tmp_path, AB), "a") == ["1", "1"]


@pytest.mark.parametrize("content", [gzip.compress(b"a,b\n" + b"1,2\n" * 5000)[:-12], b"a,b\n1,2\n"], ids=["cut", "no gzip"])
def test_a_broken_compressed_file_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.csv.gz").write_bytes(content)
    with pytest.raises(SourceError, match=r"x\.csv\.gz cannot be read"):
        read(tmp_path, AB)


def test_without_a_header_columns_go_by_number(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,2,3\n4,5,6\n")
    columns = (WantedColumn("last", "3", ColumnType.INT64, False), WantedColumn("first", "1", ColumnType.INT64, False))
    records = read(tmp_path, columns, header=False)
    assert records == [{"_row": 1, "last": "3", "first": "1"}, {"_row": 2, "last": "6", "first": "4"}]


def test_without_a_header_the_first_record_counts(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,2\n3\n")
    columns = (WantedColumn("first", "1", ColumnType.INT64, False),)
    assert malformed(read(tmp_path, columns, header=False)) == {2: "3"}


def test_without_a_header_a_number_beyond_the_columns_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,2\n")
    with pytest.raises(SourceError, match=r"no column '3' \(columns\.x\); found: '1', '2'"):
        read(tmp_path, (WantedColumn("x", "3", ColumnType.INT64, False),), header=False)


def test_a_column_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b,a\n1,2,3\n")
    with pytest.raises(SourceError, match=r"x\.csv has 2 columns 'a'; allowed: one"):
        read(tmp_path, AB)


def test_a_column_that_nobody_reads_may_stand_twice(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("c,a,b,c\n1,2,3,4\n")
    assert read(tmp_path, AB) == [{"_row": 1, "a": "2", "b": "3"}]


def test_a_missing_column_is_an_error_that_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("correkt,b\n1,2\n")
    with pytest.raises(SourceError, match=r"no column 'correct' \(columns\.correct\); found: 'correkt', 'b'.*'correkt'"):
        read(tmp_path, wanted("correct", nullable=False))


def test_a_missing_column_that_may_be_null_is_null_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "1.csv").write_text("a\n1\n")
    (tmp_path / "2.csv").write_text("a,b\n1,2\n")
    assert values(read(tmp_path, AB), "b") == [None, "2"]
    assert [record.getMessage() for record in caplog.records if "no column 'b'" in record.getMessage()]


def test_a_file_with_a_header_only_has_no_records(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n")
    (tmp_path / "2.csv").write_text("a,b\n1,2\n")
    (tmp_path / "3.csv").write_text("a,b")
    assert [(record["_file"], record["_row"]) for record in read(tmp_path, AB)] == [(1, 1)]


def test_a_file_of_blank_lines_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("\n\r\n\n")
    with pytest.raises(SourceError, match=r"x\.csv has no record, only blank lines"):
        read(tmp_path, AB)


def test_fields_of_tsv_files_are_separated_by_tabs(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text('a\tb\n1,1\t"2\t3"\n')
    assert read(tmp_path, AB) == [{"_row": 1, "a": "1,1", "b": "2\t3"}]


def test_a_delimiter_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a;b\n1,5;2\n")
    assert read(tmp_path, AB, delimiter=";") == [{"_row": 1, "a": "1,5", "b": "2"}]


def test_one_column_is_enough(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n\n2\n")
    assert read(tmp_path, wanted("a")) == [{"_row": 1, "a": "1"}, {"_row": 2, "a": "2"}]


# Quotes

UNCLOSED = ["user\ttime\tanswer", *(f"1\t{number}\tgood" for number in range(1, 101))]
UNCLOSED[10] = '1\t10\t"bad'
UNCLOSED[60] = '1\t60\t"bad'


def test_a_field_that_is_not_closed_makes_one_record_malformed_and_merges_none(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("\n".join(UNCLOSED) + "\n")
    records = read(tmp_path, wanted("time", "answer"))
    assert [record["_row"] for record in records] == list(range(1, 101))
    assert malformed(records) == {10: UNCLOSED[10], 60: UNCLOSED[60]}
    assert details(records) == dict.fromkeys((10, 60), "a field not closed")


def test_without_quoting_a_quote_is_a_character(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("\n".join(UNCLOSED) + "\n")
    records = read(tmp_path, wanted("time", "answer"), quoting="none")
    assert values(records, "answer") == ['"bad' if number in (10, 60) else "good" for number in range(1, 101)]
    (tmp_path / "x.tsv").write_text('"a"\tb\n"1\t"2"\n')
    assert read(tmp_path, wanted('"a"', "b"), quoting="none") == [{"_row": 1, '"a"': '"1', "b": '"2"'}]


@pytest.mark.parametrize(
    ("record", "detail"),
    [
        ('1,"a"b', "text after a closing quote"),
        ('"a"b,1', "text after a closing quote"),
        ('1,"a" ', "text after a closing quote"),
        ('1,"a""b"c', "text after a closing quote"),
        ('1,"a""b', "a field not closed"),
        ('1,"', "a field not closed"),
        ('"1,2', "a field not closed"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_quoted_field_that_is_none_makes_its_line_malformed(tmp_path: Path, record: str, detail: str, end: str) -> None:
    (tmp_path / "x.csv").write_bytes(end.join(["a,b", "1,2", record, '3,"d ""e"" f"', ""]).encode())
    records = read(tmp_path, AB)
    assert (malformed(records), details(records)) == ({2: record}, {2: detail})
    assert values(records, "b") == ["2", 'd "e" f']


def test_the_lines_that_an_unclosed_field_would_have_swallowed_are_records(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('a,b\n1,"2\n3,4\n5,x"y\n6,"7"\n')
    records = read(tmp_path, AB)
    assert details(records) == {1: "a field not closed"}
    assert [(record["a"], record["b"]) for record in records[1:]] == [("3", "4"), ("5", 'x"y'), ("6", "7")]


def test_a_malformed_record_begins_where_it_begins_and_ends_with_the_line_of_its_fault(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('a,b\n"1\n2","3"x\n"4\n5",6\n')
    records = read(tmp_path, AB)
    assert malformed(records) == {1: '"1\n2","3"x'}
    assert records[1] == {"_row": 2, "a": "4\n5", "b": "6"}


def test_a_quote_in_an_unquoted_field_is_a_character(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('a,b\n5" disk,x"\n3"","4"\n')
    assert [(record["a"], record["b"]) for record in read(tmp_path, AB)] == [('5" disk', 'x"'), ('3""', "4")]


def test_in_a_file_of_one_column_a_malformed_record_is_none_too(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('a\n1\n"2\n3\n\n"4"\n')
    records = read(tmp_path, wanted("a"))
    assert malformed(records) == {2: '"2'}
    assert values(records, "a") == ["1", "3", "4"]


def test_a_header_that_its_quotes_make_malformed_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('a,"b\n1,2\n')
    with pytest.raises(SourceError, match=r"The header of the source file .*x\.csv is malformed \(a field not closed\)"):
        read(tmp_path, AB)


def test_without_a_header_the_first_record_that_is_none_is_malformed(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('"1,2\n3,4\n')
    records = read(tmp_path, wanted("1", "2"), header=False)
    assert malformed(records) == {1: '"1,2'}
    assert records[1] == {"_row": 2, "1": "3", "2": "4"}
    (tmp_path / "x.csv").write_text('"1,2\n"3\n')
    with pytest.raises(SourceError, match=r"x\.csv has no record, only malformed ones \(a field not closed\)"):
        read(tmp_path, wanted("1", "2"), header=False)


@pytest.mark.parametrize("size", [1, 8, 20, 1000])
def test_without_a_header_no_malformed_record_before_the_first_that_is_none_is_lost(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x.csv"
    path.write_text('"a"b,1\n\n"c"d,2\n3,4\n5\n')
    found = all_records(path, size, header=False)
    assert found == [
        (1, '"a"b,1', "text after a closing quote"),
        (2, '"c"d,2', "text after a closing quote"),
        (3, ["3", "4"]),
        (4, "5", "2 fields expected, 1 found"),
    ]


def test_a_file_of_malformed_records_without_a_header_is_refused_before_all_of_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f'"a"{"b" * 1000}\n' * 25_000)
    with pytest.raises(
        SourceError, match=r"x\.csv has in its first 16777216 bytes no record, only malformed ones \(text after"
    ):
        read(tmp_path, wanted("1"), header=False)


def test_records_that_span_lines_are_counted_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "1.csv").write_text('a,b\n"two\nlines","and\ntwo"\n1,"2"\n\n"x\r\n\r\n",3\n"not\nclosed"x,1\n')
    (tmp_path / "2.csv").write_text('a,b\n"2\n",1')
    (tmp_path / "3.csv").write_text('a,b\n\n"1",2\n\n')
    findings = SourceFindings()
    assert len(values(read(tmp_path, AB, findings=findings), "a")) == 6
    assert findings.records_over_lines == 3
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"2 records of {tmp_path / '1.csv'} span lines", f"1 record of {tmp_path / '2.csv'} spans lines"]


# Options


def test_quoted_null_values_are_null_where_asked(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('a,b\n"NA",""\nNA,"x"\n')
    assert values(read(tmp_path, AB, null_values=["", "NA"]), "a") == ["NA", None]
    records = read(tmp_path, AB, null_values=["", "NA"], quoted_nulls=True)
    assert [(record["a"], record["b"]) for record in records] == [(None, None), (None, "x")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_lines_before_the_header_are_left_out_whatever_is_in_them(tmp_path: Path, end: str, size: int) -> None:
    (tmp_path / "x.csv").write_bytes(end.join(['by a "tool', "", "a,b", "1,2", "3"]).encode())
    records = read(tmp_path, AB, skip_rows=2)
    assert records[0] == {"_row": 1, "a": "1", "b": "2"}
    assert malformed(records) == {2: "3"}
    file = SourceFile(str(tmp_path / "x.csv"), "x.csv", 1, 0)
    assert DelimitedFile(file, ",", SourceOptions(skip_rows=2), size=size).names == ["a", "b"]


def test_a_file_of_fewer_lines_than_are_left_out_has_no_record(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match=r"x\.csv has no record"):
        read(tmp_path, AB, skip_rows=3)


@pytest.mark.parametrize("delimiter", ["::", "|~|", "§", "\x1f\x1e", ", "])
def test_a_delimiter_may_be_of_several_characters(tmp_path: Path, delimiter: str) -> None:
    fields = [
        ["1", f'"a{delimiter}b"', "\x1f\ufdd2\ufdd3"],
        [f"{delimiter[0]}2" if len(delimiter) > 1 else "2", "x", ""],
        ["3", "y"],
    ]
    (tmp_path / "x.dat").write_text("\n".join(delimiter.join(record) for record in fields), encoding="utf-8")
    columns = wanted("1", "2", "3")
    records = read(tmp_path, columns, source_format="csv", header=False, delimiter=delimiter)
    assert records[0] == {"_row": 1, "1": "1", "2": f"a{delimiter}b", "3": "\x1f\ufdd2\ufdd3"}
    assert records[1] == {"_row": 2, "1": fields[1][0], "2": "x", "3": None}
    assert malformed(records) == {3: delimiter.join(fields[2])}


@pytest.mark.parametrize("delimiter", [";", "::", "|"])
def test_a_header_that_another_delimiter_cuts_is_refused_with_the_field_that_mends_it(tmp_path: Path, delimiter: str) -> None:
    (tmp_path / "x.csv").write_text(f"a{delimiter}b\n1{delimiter}2\n")
    said = f"x.csv is one column, 'a{delimiter}b', with the delimiter ','; set source.options.delimiter: \"{delimiter}\"."
    with pytest.raises(SourceError, match=re.escape(said)):
        read(tmp_path, AB)
    assert values(read(tmp_path, wanted(f"a{delimiter}b")), f"a{delimiter}b") == [f"1{delimiter}2"]


def test_a_column_whose_name_differs_in_case_is_refused_with_the_field_that_mends_it(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("A,b\n1,2\n")
    with pytest.raises(SourceError, match=r"x\.csv has no column 'a' \(columns\.a\), but 'A'; set columns\.a\.from: \"A\"\.$"):
        read(tmp_path, AB)


# Any file


def all_records(path: Path, size: int, delimiter: str = ",", longest: int = 1000, **options: Any) -> list[tuple[Any, ...]]:
    """Numbers with all fields, or with the text and the detail where they are malformed; read in pieces of a size."""
    file = SourceFile(str(path), path.name, 1, 0)
    delimited = DelimitedFile(file, delimiter, SourceOptions(**options), size=size, longest=longest)
    found: list[tuple[Any, ...]] = []
    for records in delimited.records(delimited.names):
        rows = zip(records.numbers.to_pylist(), *(column.to_pylist() for column in records.columns.columns), strict=True)
        found += [(number, fields) for number, *fields in rows]
        found += [(number, record.text, record.detail) for number, record in records.malformed.items()]
    return sorted(found, key=lambda record: record[0])


PIECES = st.lists(st.sampled_from(['"', '""', ",", "\n", "\r\n", "\r", "a", "é", "\ufdd1", '"a"', '","', '\n"']), max_size=25)


@settings(deadline=None, max_examples=examples(500))
@given(pieces=PIECES, size=st.integers(1, 60), longest=st.integers(3, 40), header=st.booleans())
def test_any_text_has_the_records_of_the_reference(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str], size: int, longest: int, header: bool
) -> None:
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    text = "a,b\n" + "".join(pieces)
    path.write_bytes(text.encode())
    expected = csv_records(text, ["a", "b"] if header else ["1", "2"], header=header, longest=longest)
    assert all_records(path, size, longest=longest, header=header) == [
        (record.number, list(record.values.values()))
        if record.malformed is None
        else (record.number, record.malformed, record.detail)
        for record in expected
    ]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ufdd0\ufdd1\ufeff"), max_size=6)


@settings(deadline=None, max_examples=examples(50))
@given(records=st.lists(st.lists(TEXT, min_size=1, max_size=3), min_size=1, max_size=8), crlf=st.booleans())
def test_what_pythons_writer_quotes_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, records: list[list[str]], crlf: bool
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n" if crlf else "\n")
    writer.writerows([["a", "b"], *records])
    folder = tmp_path_factory.mktemp("csv")
    (folder / "x.csv").write_bytes(text.getvalue().encode())
    found = read(folder, AB)
    assert [record["_row"] for record in found] == list(range(1, len(records) + 1))
    assert list(malformed(found)) == [number for number, record in enumerate(records, 1) if len(record) != 2]
    assert list(zip(values(found, "a"), values(found, "b"), strict=True)) == [tuple(r) for r in records if len(r) == 2]


@settings(deadline=None, max_examples=examples(100))
@given(
    records=st.lists(st.tuples(TEXT, TEXT), max_size=8),
    delimiter=st.sampled_from([",", ";", "\t", "|", "::"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    mutations=st.lists(st.tuples(st.floats(0, 1), st.sampled_from(['"', '""', ""])), max_size=3),
    size=st.integers(1, 200),
)
def test_what_python_writes_in_any_dialect_comes_back_and_broken_quotes_are_told(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[tuple[str, str]],
    delimiter: str,
    quoting: Literal[0, 1, 2],
    mutations: list[tuple[float, str]],
    size: int,
) -> None:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter[0], quoting=quoting, lineterminator="\r\n").writerows(records)
    text = written.getvalue().replace(delimiter[0], delimiter)
    for share, quotes in mutations:
        place = int(share * len(text))
        text = text[:place] + quotes + text[place + (not quotes) :]
    text = f"a{delimiter}b\n{text}"
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    path.write_bytes(text.encode())
    expected = csv_records(text, ["a", "b"], delimiter, null_values=())
    assert all_records(path, size, delimiter, longest=1 << 24, null_values=()) == [
        (record.number, list(record.values.values()))
        if record.malformed is None
        else (record.number, record.malformed, record.detail)
        for record in expected
    ]
    if not mutations:
        values_written = [[value.replace(delimiter[0], delimiter) for value in record] for record in records]
        assert [list(record.values.values()) for record in expected] == values_written
