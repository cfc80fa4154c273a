"""The three-line text format: one block per pupil, one record per answer."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from seq_assets.errors import SourceError
from seq_assets_tests.warehouse.sources.reading import Record, details, malformed, read, values, wanted

COLUMNS = wanted("entity", "position", "skill", "answer")


def write_and_read(folder: Path, content: str, **options: Any) -> list[Record]:
    (folder / "x.dkt").write_bytes(content.encode())
    return read(folder, COLUMNS, **options)


def test_a_block_becomes_one_record_per_answer(tmp_path: Path) -> None:
    assert write_and_read(tmp_path, "2\n7,8\n1,0\n1\n9\n1\n") == [
        {"_row": 1, "entity": "x.dkt#1", "position": "0", "skill": "7", "answer": "1"},
        {"_row": 2, "entity": "x.dkt#1", "position": "1", "skill": "8", "answer": "0"},
        {"_row": 3, "entity": "x.dkt#2", "position": "0", "skill": "9", "answer": "1"},
    ]


def test_an_entity_is_named_by_the_files_path_below_the_location(tmp_path: Path) -> None:
    (tmp_path / "data" / "train").mkdir(parents=True)
    (tmp_path / "data" / "train" / "y.dkt").write_text("1\n7\n1\n")
    assert values(read(tmp_path, wanted("entity"), "data"), "entity") == ["train/y.dkt#1"]


def test_only_the_wanted_columns_are_read_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "x.dkt").write_text("1\n7\n1\n")
    assert read(tmp_path, wanted("answer", "skill")) == [{"_row": 1, "answer": "1", "skill": "7"}]


def test_a_trailing_comma_is_ignored(tmp_path: Path) -> None:
    assert values(write_and_read(tmp_path, "2\n7,8,\n1,0,\n1\n9, \n1\n"), "skill") == ["7", "8", "9"]


@pytest.mark.parametrize(
    "block",
    ["3\n7,8\n1,0", "1\n7,8\n1,0", "2\n7\n1,0", "2\n7,8\n1", "x\n7,8\n1,0", "-2\n7,8\n1,0", "2.0\n7,8\n1,0", "٢\n7,8\n1,0"],
)
def test_a_block_whose_counts_disagree_is_one_malformed_record(tmp_path: Path, block: str) -> None:
    records = write_and_read(tmp_path, f"1\n5\n1\n{block}\n1\n6\n0\n")
    assert malformed(records) == {2: block}
    assert [(record["_row"], record["entity"]) for record in records if record["_row"] != 2] == [
        (1, "x.dkt#1"),
        (3, "x.dkt#3"),
    ]


def test_a_number_without_end_is_no_count(tmp_path: Path) -> None:
    records = write_and_read(tmp_path, f"{'9' * 5_000}\n7\n1\n1\n5\n1\n")
    assert details(records) == {1: "the first of its three lines is no number"}


def test_blank_lines_between_blocks_do_not_count(tmp_path: Path) -> None:
    records = write_and_read(tmp_path, "\n1\n7\n1\n\n \n1\n8\n0\n\n")
    assert values(records, "entity") == ["x.dkt#1", "x.dkt#2"]


def test_a_pupil_without_answers_has_no_records_and_counts_as_a_block(tmp_path: Path) -> None:
    assert values(write_and_read(tmp_path, "0\n\n\n1\n7\n1\n"), "entity") == ["x.dkt#2"]


def test_windows_line_ends_and_a_byte_order_mark_are_taken_off(tmp_path: Path) -> None:
    assert values(write_and_read(tmp_path, "\ufeff1\r\n7\r\n1\r\n"), "answer") == ["1"]


@pytest.mark.parametrize("content", ["1\n7", "1\n", "1\n7\n1\n2\n7,8"])
def test_a_file_that_ends_within_a_block_is_an_error(tmp_path: Path, content: str) -> None:
    with pytest.raises(SourceError, match=r"x\.dkt ends within a block of three lines"):
        write_and_read(tmp_path, content)


def test_null_values_are_nulls(tmp_path: Path) -> None:
    records = write_and_read(tmp_path, "4\n7,NA,,8\n1,0,1,1\n", null_values=["NA", ""])
    assert values(records, "skill") == ["7", None, None, "8"]


def test_another_column_than_the_four_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.dkt").write_text("1\n7\n1\n")
    with pytest.raises(SourceError, match=r"no column 'skil'.*'skill'"):
        read(tmp_path, wanted("skil"))


def test_bytes_that_are_no_text_make_the_block_malformed(tmp_path: Path) -> None:
    (tmp_path / "x.dkt").write_bytes(b"1\n\xff\n1\n1\n7\n1\n")
    records = read(tmp_path, COLUMNS)
    assert malformed(records) == {1: "1\n\ufffd\n1"}
    assert values(records, "entity") == ["x.dkt#2"]


def test_text_that_grows_in_utf_8_is_read_over_many_blocks(tmp_path: Path) -> None:
    """Each of these bytes is two in UTF-8; a reader that trusts the size that it asked for overruns its buffer."""
    block = "2\n{0},{0}\n1,0\n".format("é" * 50_000).encode("latin-1")
    (tmp_path / "x.dkt").write_bytes(block * 30)
    skills = values(read(tmp_path, COLUMNS, encoding="latin-1"), "skill")
    assert len(skills) == 60
    assert set(skills) == {"é" * 50_000}


def test_a_broken_compressed_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "x.dkt.gz").write_bytes(gzip.compress(b"".join(b"1\n%d\n1\n" % number for number in range(5000)))[:-1000])
    with pytest.raises(SourceError, match=r"x\.dkt\.gz cannot be read"):
        read(tmp_path, COLUMNS)
