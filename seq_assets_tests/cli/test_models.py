"""`models` and `validate`."""

from pathlib import Path

import pytest

import seq_assets
from seq_assets.models import bundled_models_folder
from seq_assets_tests.cli.running import run, run_json
from seq_assets_tests.warehouse.building import Workspace


@pytest.mark.usefixtures("bundled_home")
def test_models_shows_lengths_and_what_is_built() -> None:
    shown = run("models").output
    for name in ("dkt", "irt", "recommender", "sakt"):
        assert f"\n{name}  " in f"\n{shown}"
    assert "lengths: 50, 100, 200" in shown
    assert "lengths: none (a raw model)" in shown
    assert str(seq_assets.versions("dkt", sequence_length=50)[0].id) in shown


@pytest.mark.usefixtures("bundled_home")
def test_tables_are_shown_by_kind_and_then_by_length_as_a_number() -> None:
    lines = [line.split() for line in run("models").output.splitlines()]
    assert [words[0] for words in lines if words and words[0].startswith("dkt_")] == [
        "dkt_raw_observations",
        "dkt_rejected_observations",
        "dkt_sequenced_train_50",
        "dkt_sequenced_train_100",
        "dkt_sequenced_validation_50",
        "dkt_sequenced_validation_100",
    ]


@pytest.mark.usefixtures("bundled_home")
def test_models_as_json() -> None:
    shown = {model["model"]: model for model in run_json("models")}
    assert list(shown) == ["dkt", "irt", "recommender", "sakt"]
    assert shown["dkt"]["sequence_lengths"] == [50, 100, 200]
    assert shown["irt"]["sequence_lengths"] == shown["sakt"]["built"] == []
    assert shown["dkt"]["error"] is None
    built = {table["table"]: table for table in shown["dkt"]["built"]}
    version = seq_assets.versions("dkt", sequence_length=50, subset="validation")[0]
    table = built["dkt_sequenced_validation_50"]
    assert (table["version"], table["rows"], table["raw_version"]) == (
        str(version.id),
        version.rows,
        str(version.raw_version),
    )
    assert built["dkt_raw_observations"]["raw_version"] is None
    assert 0 < table["pad_ratio"] < 1
    assert built["dkt_raw_observations"]["pad_ratio"] is None


def test_models_shows_the_mistakes_of_a_broken_file_among_the_good(plain: Workspace) -> None:
    (plain.folder / "broken.yaml").write_text("name: broken\nentity: 1\n", encoding="utf-8")
    shown = {model["model"]: model for model in run_json("models")}
    assert "broken.yaml: entity: found 1" in shown["broken"]["error"]
    assert shown["plain"]["error"] is None
    assert "broken.yaml: entity: found 1" in run("models").output


def test_a_models_folder_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQ_ASSETS_MODELS", "nowhere")
    for command in ("models", "validate", "materialize"):
        assert "nowhere; set SEQ_ASSETS_MODELS to one that exists" in run(command, code=1).stderr


def test_a_models_folder_without_models_is_said(workspace: Workspace) -> None:
    assert f"{workspace.folder}; add one, or set SEQ_ASSETS_MODELS" in run("materialize", code=1).stderr


def test_validate_says_which_files_are_right() -> None:
    shown = run("validate").output.splitlines()
    assert shown == [f"{bundled_models_folder() / name}.yaml: ok" for name in ("dkt", "irt", "recommender", "sakt")]


def test_validate_shows_every_mistake_of_every_file_at_once(plain: Workspace) -> None:
    first, second = plain.folder / "first.yaml", plain.folder / "second.yaml"
    first.write_text("name: First\ncolumns: {a: {type: int65}}\nentity: a\nsource: {location: x.csv}\n", encoding="utf-8")
    second.write_text("name: [", encoding="utf-8")
    result = run("validate", code=1)
    assert result.stdout == f"{plain.folder / 'plain.yaml'}: ok\n"
    lines = result.stderr.splitlines()
    assert lines[0].startswith(f"Error: {first}: name: found 'First' (str); allowed: ")
    assert any(line.startswith(f"{first}: columns.a.type: found 'int65' (str); allowed: ") for line in lines)
    assert any(line.startswith(f"{second}: found ") for line in lines)


def test_validate_takes_files(plain: Workspace, tmp_path: Path) -> None:
    good = plain.folder / "plain.yaml"
    assert run("validate", good).output == f"{good}: ok\n"
    copy = tmp_path / "copy.yaml"
    copy.write_text(good.read_text(encoding="utf-8"), encoding="utf-8")
    assert (
        f"{copy}: name: found 'plain'; allowed: a name of its own; {good} has this one"
        in run("validate", good, copy, code=1).stderr
    )


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_validate_says_what_is_no_file(name: str) -> None:
    assert f"Error: {name}: found " in run("validate", name, code=1).stderr
