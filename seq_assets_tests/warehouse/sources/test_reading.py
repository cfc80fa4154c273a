"""What holds of text sources of every format."""

from pathlib import Path

import pytest

from seq_assets.warehouse.sources.records import SourceFindings
from seq_assets_tests.warehouse.sources.reading import read, wanted


def ignored(folder: Path, *names: str) -> list[str]:
    found = SourceFindings()
    read(folder, wanted(*names), findings=found)
    return found.ignored(wanted(*names))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "pupil,hint,session\n1,2,3\n"),
        ("a.tsv", "pupil\thint\tsession\n1\t2\t3\n"),
        ("a.jsonl", '{"pupil": 1, "hint": 2}\nnull\n\n{"pupil": 1, "session": {"x": 3}}\n'),
    ],
)
def test_the_columns_that_the_contract_does_not_read_are_told(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert ignored(tmp_path, "pupil") == ["hint", "session"]


def test_they_are_told_of_all_files_each_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("pupil,hint\n")
    (tmp_path / "b.csv").write_text("session,pupil,hint\n1,2,3\n")
    assert ignored(tmp_path, "pupil") == ["hint", "session"]


def test_without_a_header_they_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("7,8,9\n")
    found = SourceFindings()
    read(tmp_path, wanted("2"), findings=found, header=False)
    assert found.ignored(wanted("2")) == ["1", "3"]


def test_the_three_line_format_has_four_columns_of_which_some_may_be_ignored(tmp_path: Path) -> None:
    (tmp_path / "a.dkt").write_text("1\n5\n0\n")
    assert ignored(tmp_path, "entity", "answer") == ["position", "skill"]
