"""CSV files as they come: what is a record, which number it has, and what is null."""

import csv
import gzip
import io
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq_assets.errors import SourceError
from seq_assets.models import ColumnType
from seq_assets.warehouse.sources import lines
from seq_assets.warehouse.sources.records import WantedColumn
from seq_assets_tests.reference import examples
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


@pytest.mark.parametrize("block", [32, 50, 64, 1000])
def test_numbers_count_on_where_the_reader_goes_from_block_to_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(lines, "LONGEST_RECORD", block)
    written = [f"{number}" if number % 3 == 0 or number > 60 else f"{number},{number}" for number in range(1, 91)]
    (tmp_path / "x.csv").write_text("\n".join(["a,b", *written]))
    records = read(tmp_path, AB)
    assert malformed(records) == {number: str(number) for number in range(1, 91) if number % 3 == 0 or number > 60}
    assert [record["_row"] for record in records] == list(range(1, 91))
    assert values(records, "a") == [str(number) for number in range(1, 61) if number % 3]


def test_bytes_that_are_no_text_make_the_record_malformed(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"a,b\n1,2\n3,\xff4\n\xfe\n5,6\n")
    records = read(tmp_path, AB)
    assert malformed(records) == {2: "3,\ufffd4", 3: "\ufffd"}
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


@pytest.mark.parametrize(
    "text",
    ['a,b\n1,2\n3,"4\n5,6\n', 'a,b,c\n1,2,3\n4,5,"6\n7,8,9\n', 'a,b\n"1,2\n', 'a,b\n1,2\n3,"'],
    ids=["in a record", "in a column that nobody reads", "in the first record", "at the end"],
)
def test_a_quote_that_is_never_closed_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(SourceError, match=r"x\.csv has a quote that is never closed, in record \d or before it"):
        read(tmp_path, AB)


def test_a_quote_that_is_never_closed_is_found_where_there_is_one_column_only(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('a\n1\n"2\n3\n')
    with pytest.raises(SourceError, match="never closed"):
        read(tmp_path, wanted("a"))


def test_a_quote_that_swallows_more_than_the_longest_record_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LONGEST_RECORD", 100)
    (tmp_path / "x.csv").write_text('a,b\n1,"2\n' + "3,4\n" * 100)
    with pytest.raises(SourceError, match=r"x\.csv .*a record is longer than 100 bytes, or a quote is never closed"):
        read(tmp_path, AB)


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
