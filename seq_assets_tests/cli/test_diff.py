"""`diff`: what it shows and refuses. What is compared, and how, is in `client/test_diff.py`."""

import pytest

import seq_assets
from seq_assets_tests.cli.running import run, run_json


@pytest.mark.usefixtures("home_with_history")
def test_what_changed_is_shown() -> None:
    arguments = ("diff", "plain", "--sequence-length", "4")
    newest, oldest = (str(version.id) for version in seq_assets.versions("plain", sequence_length=4))
    shown = run_json(*arguments)
    assert (shown["from_version"], shown["to_version"], shown["table"]) == (oldest, newest, "plain_sequenced_train_4")
    assert shown["entities"][0]["first_altered"] == [1]
    assert shown == run_json(*arguments, "--subset", "train", "--from", oldest, "--to", newest)
    assert run(*arguments).output == f"{seq_assets.diff('plain', sequence_length=4)!r}\n"
    raw = run_json("diff", "plain")
    assert [entities["subset"] for entities in raw["entities"]] == ["train", "validation"]
    assert raw["rows"] == [1, 3]
    same = run(*arguments, "--from", newest).output
    assert same.splitlines()[1:] == ["nothing changed: it is the same version"]


@pytest.mark.usefixtures("bundled_home")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["dktt"], 2, "No model 'dktt'; allowed: dkt, irt, recommender, sakt; did you mean 'dkt'?"),
        (["irt", "--sequence-length", "5"], 2, "irt is a raw model, without sequences"),
        (["sakt"], 1, "sakt_raw_observations has no published version; materialize it first."),
        (["irt"], 1, "irt_raw_observations has no version before"),
        (["irt", "--to", "5"], 1, "irt_raw_observations has no version 5; its newest are "),
    ],
)
def test_what_cannot_be_compared_is_said(arguments: list[str], code: int, message: str) -> None:
    assert message in run("diff", *arguments, code=code).stderr
