"""What holds of sources of every format."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seq_assets.models.spec import SourceOptions
from seq_assets.warehouse.sources.location import find_files
from seq_assets.warehouse.sources.reading import ignored_columns
from seq_assets_tests.warehouse.sources.reading import wanted


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet"])
def test_the_columns_that_the_contract_does_not_read_are_told(tmp_path: Path, name: str) -> None:
    if name.endswith(".parquet"):
        pq.write_table(pa.table({"pupil": [1], "hint": [2], "session": [3]}), tmp_path / name)
    else:
        separator = "\t" if name.endswith(".tsv") else ","
        (tmp_path / name).write_text(separator.join(["pupil", "hint", "session"]) + "\n")
    source = find_files(name, str(tmp_path), "auto")
    assert ignored_columns(source, wanted("pupil"), SourceOptions()) == ["hint", "session"]


def test_the_three_line_format_has_four_columns_of_which_some_may_be_ignored(tmp_path: Path) -> None:
    (tmp_path / "a.dkt").write_text("1\n5\n0\n")
    source = find_files("a.dkt", str(tmp_path), "auto")
    assert ignored_columns(source, wanted("entity", "answer"), SourceOptions()) == ["position", "skill"]


def test_json_lines_have_no_columns_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"pupil": 1, "hint": 2}\n')
    source = find_files("a.jsonl", str(tmp_path), "auto")
    assert ignored_columns(source, wanted("pupil"), SourceOptions()) == []
