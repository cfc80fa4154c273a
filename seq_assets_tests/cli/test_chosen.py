"""The shell completes the names of models and their lengths, as click's scripts for bash, zsh and fish ask for them."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from seq_assets.cli.commands import cli
from seq_assets_tests.warehouse.building import Workspace


def completed(line: str, shell: str = "bash") -> list[str]:
    """What the shell proposes for the last word of a line, which may be empty, in its own format."""
    words = f"seq-assets {line}"
    # As each shell's script does: bash gives the number of the word, fish the word itself.
    last = {"bash": str(len(words.split(" ")) - 1), "fish": words.rpartition(" ")[2]}[shell]
    variables = {"COMP_WORDS": words, "COMP_CWORD": last, "_SEQ_ASSETS_COMPLETE": f"{shell}_complete"}
    result = CliRunner(env={**os.environ, **variables}).invoke(cli, prog_name="seq-assets")
    assert result.exit_code == 0
    assert result.stderr == ""
    return result.stdout.split("\n")[:-1] if result.stdout.strip() else []


@pytest.mark.parametrize("command", ["materialize ", "advise ", "versions ", "sequence --model "])
def test_every_command_completes_models(command: str) -> None:
    assert completed(command) == ["plain,dkt", "plain,irt", "plain,recommender", "plain,sakt"]
    assert completed(f"{command}s") == ["plain,sakt"]
    assert completed(f"{command}x") == []


def test_a_model_that_stands_there_is_not_proposed_again() -> None:
    assert completed("materialize dkt irt ") == ["plain,recommender", "plain,sakt"]


def test_descriptions_are_shown_where_the_shell_shows_them(plain: Workspace) -> None:
    plain.model(name="raw", description="One of the raw kind.")
    (plain.folder / "broken.yaml").write_text("name: broken\n", encoding="utf-8")
    shown = completed("advise ", shell="fish")
    assert shown == ["plain,broken\tIts file has mistakes.", "plain,plain", "plain,raw\tOne of the raw kind."]


@pytest.mark.parametrize(
    "command",
    [
        "materialize dkt --sequence-length",
        "advise dkt --sequence-length",
        "versions dkt --subset train --sequence-length",
        "sequence --model dkt --sequence_length",
    ],
)
def test_lengths_are_those_of_the_chosen_models(command: str) -> None:
    assert completed(f"{command} ") == ["plain,50", "plain,100", "plain,200"]
    assert completed(f"{command} 1") == ["plain,100"]


def test_lengths_are_all_declared_ones_where_no_model_is_chosen() -> None:
    lengths = ["plain,20", "plain,50", "plain,100", "plain,200"]
    assert completed("materialize --sequence-length ") == lengths
    assert completed("materialize irt --sequence-length ") == []


def test_wrong_settings_complete_nothing_and_disturb_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQ_ASSETS_MODELS", str(tmp_path / "nowhere"))
    assert completed("materialize ") == completed("materialize --sequence-length ") == []
    monkeypatch.setenv("SEQ_ASSETS_ENV", "prot")
    assert completed("materialize ") == []


@pytest.mark.parametrize("command", ["init ", "init --output ", "validate ", "validate models/a.yaml "])
def test_commands_that_take_files_leave_completing_them_to_the_shell(command: str) -> None:
    assert completed(command) == ["file,"]
