"""`gc`: what it says, what a model file keeps, and how it is refused."""

import shutil
from pathlib import Path

import pytest
import yaml

from seq_assets_tests.cli.running import run, run_json

TRAIN = ("versions", "plain", "--sequence-length", "4", "--subset", "train")


@pytest.fixture
def home(home_with_history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy in which versions may go: each table has two."""
    copy = shutil.copytree(home_with_history, tmp_path / "copy")
    monkeypatch.setenv("SEQ_ASSETS_HOME", str(copy))
    return Path(copy)


def test_it_says_what_goes_and_how_many_bytes_and_a_dry_run_says_the_same(home: Path) -> None:
    newest, older = run_json(*TRAIN)
    said = run_json("gc", "--keep", "1", "--older-than", "0m", "--dry-run")
    assert run_json(*TRAIN) == [newest, older]
    shown = run("gc", "--keep", "1", "--older-than", "0m").stdout.splitlines()
    assert shown[0].split() == ["what", "of", "number", "bytes"]
    assert ["versions", "plain_sequenced_train_4", "1", "-"] in [line.split() for line in shown]
    number = sum(one["number"] for one in said["removed"])
    assert shown[-1] == f"Removed: {len(said['versions'])} versions, {number} files, {said['bytes']:,} bytes."
    assert older["version"] in [one["version"] for one in said["versions"]]
    assert (said["dry_run"], said["left_alone"]) == (True, [])
    assert run_json(*TRAIN) == [newest]
    assert run("gc", "--keep", "1", "--older-than", "0s").stdout == "Nothing to remove.\n"
    assert run("gc", "--keep", "1", "--older-than", "99999d").stdout == "Nothing to remove.\n"


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_each_model_file_says_how_many_versions_it_keeps_and_without_a_number_all_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "kept"
    models.mkdir()
    monkeypatch.setenv("SEQ_ASSETS_MODELS", str(models))
    assert run_json("gc", "--older-than", "0m")["versions"] == []
    content = {"name": "plain", "source": {"location": "x"}, "entity": "a", "columns": {"a": {"type": "int64"}}, "keep": 1}
    (models / "plain.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    assert run_json("gc")["versions"] == [], "they were replaced less than a day ago"
    tables = {one["table"] for one in run_json("gc", "--older-than", "0m", "--dry-run")["versions"]}
    assert "plain_sequenced_train_4" in tables
    assert run_json("gc", "--keep", "2", "--older-than", "0m")["versions"] == [], "the command beats the file"


@pytest.mark.parametrize(
    ("option", "found"), [("--older-than", "24"), ("--older-than", "1w"), ("--older-than", "100000d"), ("--keep", "0")]
)
def test_what_is_no_number_or_duration_is_refused(option: str, found: str) -> None:
    assert option in run("gc", option, found, code=2).stderr


@pytest.mark.slow
def test_tables_that_are_left_alone_are_said(home: Path) -> None:
    folder = home / "warehouse" / "seq_assets_local" / "plain_raw_observations" / "metadata"
    next(folder.glob("00002-*.metadata.json")).write_bytes(b"\x00")
    assert "The tables of plain were left alone." in run("gc", "--keep", "1", "--older-than", "0m", code=1).stderr
