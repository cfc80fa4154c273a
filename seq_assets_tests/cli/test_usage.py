"""Help, wrong usage and exit codes of every command."""

import gc
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from seq_assets.cli import OBJECTS_BETWEEN_COLLECTIONS, main, stopping
from seq_assets.cli.commands import cli
from seq_assets_tests.cli.running import run


@pytest.mark.parametrize(
    "command", ["models", "validate", "materialize", "versions", "advise", "diff", "export", "sequence", "repair"]
)
def test_every_command_explains_itself(command: str) -> None:
    listed = run("--help").output
    assert command in listed
    shown = run(command, "--help").output
    assert shown == run(command, "-h").output
    assert shown.startswith(f"Usage: seq-assets {command} ")


def test_help_shows_what_happens_without_a_flag() -> None:
    shown = {name: " ".join(run(name, "--help").output.split()) for name in ("materialize", "validate", "versions")}
    assert "Builds models (all by default)" in shown["materialize"]
    assert "Only this length (repeatable); default: all." in shown["materialize"]
    assert "(all of the models folder by default)" in shown["validate"]
    assert "default: the raw observations" in shown["versions"]
    assert "Only this subset; default: both." in shown["versions"]


def test_help_of_sequence_shows_every_default_and_variable() -> None:
    shown = " ".join(run("sequence", "--help").output.split())
    for flag, default in {
        "s3_data_location": "data/raw",
        "sequence_length": "5",
        "output_s3_location": "data/sequenced",
        "model": "dkt",
        "subset": "all",
    }.items():
        assert f"--{flag} " in shown
        assert f"[env var: SEQ_ASSETS_{flag.upper()}; default: {default}" in shown


def test_a_command_runs_with_fewer_collections_of_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    before, handler, found = gc.get_threshold(), signal.getsignal(signal.SIGINT), []
    monkeypatch.setattr(stopping, "run_stoppable", lambda *_: found.append(gc.get_threshold()[0]))
    try:
        main()
    finally:
        gc.set_threshold(*before)
        signal.signal(signal.SIGINT, handler)
    assert found == [OBJECTS_BETWEEN_COLLECTIONS]


def test_the_version_is_that_of_the_package() -> None:
    assert run("--version").output == "seq-assets, version 0.1.0\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["no_such_command"],
        ["materialize", "--no_such_flag"],
        ["materialize", "--sequence-length", "five"],
        ["versions"],
        ["versions", "dkt", "--subset", "test", "--sequence-length", "50"],
        ["sequence", "--sequence_length", "0"],
        ["sequence", "--sequence_length", "10001"],
        ["sequence", "--subset", "test"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert "Usage: seq-assets" in run(*arguments, code=2).stderr


def test_an_unknown_environment_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQ_ASSETS_ENV", "prot")
    assert "SEQ_ASSETS_ENV: found 'prot'; allowed: local" in run("models", code=1).stderr


# Errors


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command `models` has a mistake."""

    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(cli.commands["models"], "callback", fail)


@pytest.mark.usefixtures("broken")
def test_a_mistake_of_the_program_is_a_sentence_that_says_how_to_see_more() -> None:
    shown = run("models", code=1).stderr
    assert shown.startswith(
        "Error: ZeroDivisionError: a mistake. This is a mistake of the program; run the same command with --debug"
    )


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("arguments", [("--debug", "models"), ("models", "--debug")], ids=" ".join)
def test_where_an_error_comes_from_is_shown_to_whoever_asks(arguments: tuple[str, str]) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert 'raise ZeroDivisionError("a mistake")' in result.stderr


def test_a_home_of_dagster_that_cannot_be_made_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "file" / "home"))
    shown = run("materialize", code=1).stderr
    assert "/file/home' cannot be used: Not a directory; mend that, or set DAGSTER_HOME to another folder." in shown


def test_a_home_that_cannot_be_made_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SEQ_ASSETS_HOME", str(tmp_path / "file" / "home"))
    for command in ("materialize", "models"):
        shown = run(command, code=1).stderr
        assert "/file/home" in shown
        assert "cannot be used: Not a directory; mend that, or set SEQ_ASSETS_HOME to another folder." in shown
