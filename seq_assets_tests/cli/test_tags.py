"""`tag`: names of versions, from the command line to `load`."""

import shutil
from pathlib import Path

import pytest

import seq_assets
from seq_assets.models import SUBSETS
from seq_assets_tests.cli.running import run, run_json

TRAIN = ("versions", "plain", "--sequence-length", "4", "--subset", "train")
TAG = ("tag", "plain", "--sequence-length", "4")


@pytest.fixture(autouse=True)
def home(home_with_history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy whose versions may have names: each table of sequences has two."""
    copy = shutil.copytree(home_with_history, tmp_path / "copy")
    monkeypatch.setenv("SEQ_ASSETS_HOME", str(copy))
    return Path(copy)


def test_all_subsets_of_one_raw_version_get_the_name_and_are_loaded_by_it() -> None:
    newest, older = run_json(*TRAIN)
    assert "tags" not in run(*TRAIN).stdout
    shown = run(*TAG, "--version", older["version"], "production").stdout.splitlines()
    assert shown[0] == f"plain_sequenced_train_4: version {older['version']} is named production"
    assert shown[1].startswith("plain_sequenced_validation_4: version ")
    assert [one["tags"] for one in run_json(*TRAIN)] == [[], ["production"]]
    assert [line.split()[-1] for line in run(*TRAIN).stdout.splitlines()] == ["tags", "-", "production"]
    train, validation = (seq_assets.load("plain", sequence_length=4, subset=subset, version="production") for subset in SUBSETS)
    assert str(train.version) == older["version"]
    assert train.metadata["raw_version"] == validation.metadata["raw_version"]
    gone = run_json("gc", "--keep", "1", "--older-than", "0m", "--dry-run")["versions"]
    assert older["version"] not in [one["version"] for one in gone]
    for again in (
        run_json(*TAG, "--version", older["version"], "production"),
        run_json(*TAG, "--version", "production", "best"),
    ):
        assert [one["version"] for one in again] == [str(train.version), str(validation.version)]
    assert [one["tags"] for one in run_json(*TRAIN)] == [[], ["best", "production"]]
    not_both = run(*TAG, "--version", newest["version"], "newest", code=1).stderr
    assert "plain_sequenced_validation_4 has no version that was made from the raw version" in not_both
    assert "no version is named production any more" in run(*TAG, "--delete", "production").stdout
    assert "no version is named 'production'" in run(*TAG, "--delete", "production", code=1).stderr


@pytest.mark.slow
def test_what_is_wrong_usage_or_not_there_is_said() -> None:
    assert "--version" in run(*TAG, "production", code=2).stderr
    assert "--version" in run(*TAG, "--version", "1", "--delete", "production", code=2).stderr
    assert "has no version 1;" in run(*TAG, "--version", "1", "production", code=1).stderr
    assert "cannot be a version's name" in run(*TAG, "--version", run_json(*TRAIN)[1]["version"], "main", code=1).stderr
