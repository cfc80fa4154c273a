"""Tables that people read, and that simple programs cut."""

from typing import Any

import pytest

from seq_assets.cli.shown import echo_table

ROWS: list[dict[str, Any]] = [
    {"table": "a_[bold]raw", "version": "7297134391924850696", "rows": 50010, "pad_ratio": None, "declared": True},
    {"table": "b", "version": "9", "rows": 0, "pad_ratio": 0.36, "declared": False},
]


@pytest.mark.parametrize("columns", ["20", "200"])
def test_a_table_is_aligned_with_numbers_to_the_right_and_never_wrapped_or_cut(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    echo_table(ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "table        version               rows  pad_ratio  declared",
        "a_[bold]raw  7297134391924850696  50010          -  yes",
        "b            9                        0     0.3600  no",
    ]


def test_a_table_may_be_indented_and_none_is_shown_without_rows(capsys: pytest.CaptureFixture[str]) -> None:
    echo_table([{"name": "x"}], indent="  ")
    echo_table([])
    assert capsys.readouterr().out == "  name\n  x\n"


def test_on_a_narrow_terminal_too_nothing_is_cut(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "20"}.items():
        monkeypatch.setenv(name, value)
    echo_table(ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "7297134391924850696" in lines[1]
