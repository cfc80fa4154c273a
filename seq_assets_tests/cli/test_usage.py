"""Help, wrong usage and exit codes of every command."""

import pytest

from seq_assets_tests.cli.running import run


@pytest.mark.parametrize("command", ["models", "validate", "materialize", "versions", "advise", "sequence", "repair"])
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
