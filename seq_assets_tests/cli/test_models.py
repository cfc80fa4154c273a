"""`models` and `validate`."""

import os
from pathlib import Path

import pytest

import seq_assets
from seq_assets.models import bundled_models_folder
from seq_assets_tests.cli.running import SOURCE, run, run_json
from seq_assets_tests.warehouse.building import PLAIN_COLUMNS, Workspace


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


def test_hostile_files_among_the_models_take_no_other_down(plain: Workspace) -> None:
    hostile = {
        "alias": "a: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9}x]\n" for n in range(1, 12)),
        "binary": "name: 'a\0b'",
        "deep": "[" * 5_000,
        "digits": f"name: {'1' * 5_000}",
        "empty": "name: !!int ''",
        "octal": "seed: 010",
        "tag": "name: !!python/object/apply:os.getcwd []",
    }
    for name, text in hostile.items():
        (plain.folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    (plain.folder / "latin.yaml").write_bytes(b"name: caf\xe9")
    (plain.folder / "folder.yaml").mkdir()
    (plain.folder / "link.yaml").symlink_to("nowhere")
    os.mkfifo(plain.folder / "pipe.yaml")
    with (plain.folder / "large.yaml").open("wb") as opened:
        opened.truncate(100 << 20)
    names = {*hostile, "latin", "folder", "link", "pipe", "large"}
    said = run("validate", code=1)
    assert said.stdout == f"{plain.folder / 'plain.yaml'}: ok\n"
    assert {name for name in names if f"{plain.folder / name}.yaml: found " in said.stderr} == names
    shown = {model["model"]: model["error"] for model in run_json("models")}
    assert {name for name, error in shown.items() if error} == names


def test_a_models_folder_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQ_ASSETS_MODELS", "nowhere")
    for command in ("models", "validate", "materialize"):
        assert "nowhere; set SEQ_ASSETS_MODELS to one that exists" in run(command, code=1).stderr


def test_a_models_folder_without_models_is_said(workspace: Workspace) -> None:
    assert f"{workspace.folder}; add one, or set SEQ_ASSETS_MODELS" in run("materialize", code=1).stderr


def test_validate_says_which_files_are_right() -> None:
    shown = run("validate").stdout.splitlines()
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
    assert run("validate", good).stdout == f"{good}: ok\n"
    copy = tmp_path / "copy.yaml"
    copy.write_text(good.read_text(encoding="utf-8"), encoding="utf-8")
    assert (
        f"{copy}: name: found 'plain'; allowed: a name of its own; {good} has this one"
        in run("validate", good, copy, code=1).stderr
    )


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_validate_says_what_is_no_file(name: str) -> None:
    assert f"Error: {name}: found " in run("validate", name, code=1).stderr


# The source of a model file


def test_validate_looks_at_the_source_and_writes_nothing(plain: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    home = plain.folder.parent / "unused"
    monkeypatch.setenv("SEQ_ASSETS_HOME", str(home))
    plain.write("source.csv", SOURCE.replace("item\n", "item,mood\n").replace("0\n", "0,good\n"))
    file = plain.folder / "plain.yaml"
    result = run("validate")
    assert result.stdout == f"{file}: ok\n"
    assert result.stderr.splitlines() == [
        f"{file}: its source, source.csv, is 1 file (csv)",
        "  columns that the contract does not read: mood",
        "  records: the first 4 meet the contract",
    ]
    assert not home.exists()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (None, "No source file at 'source.csv'"),
        ("", "is empty (0 bytes)"),
        ("pupil,time,item\n", "has no rows"),
        ("pupil,tme,item\n1,1,1\n", "has no column 'time' (columns.time); found: 'pupil', 'tme', 'item'; did you mean 'tme'?"),
    ],
)
def test_validate_says_what_is_wrong_with_the_source(plain: Workspace, source: str | None, said: str) -> None:
    (plain.folder / "source.csv").unlink()
    if source is not None:
        plain.write("source.csv", source)
    other = plain.folder / "other.yaml"
    other.write_text((plain.folder / "plain.yaml").read_text().replace("plain", "other").replace("source.csv", "other.csv"))
    plain.write("other.csv", SOURCE)
    result = run("validate", code=1)
    assert result.stdout == f"{other}: ok\n"
    assert f"Error: {plain.folder / 'plain.yaml'}: " in result.stderr
    assert said in result.stderr
    assert run("validate", "--no-source").stdout == f"{other}: ok\n{plain.folder / 'plain.yaml'}: ok\n"


def test_more_rejected_records_than_the_model_allows_are_a_mistake(plain: Workspace) -> None:
    plain.write("source.csv", SOURCE + "2,x,50\n")
    said = run("validate", code=1).stderr
    assert "of the first records of source.csv, 1 of 5 records were rejected (unreadable 1), a ratio of 0.2" in said
    assert "columns.time.type" in said
    assert "source.csv, row 5, column 'time', value 'x': unreadable" in said


def test_as_many_rejected_records_as_the_model_allows_are_said(plain: Workspace) -> None:
    plain.write("source.csv", SOURCE + "2,x,50\n")
    plain.sequence_model(checks={"rejected_ratio": {"max": 0.25}})
    result = run("validate")
    assert result.stdout == f"{plain.folder / 'plain.yaml'}: ok\n"
    assert result.stderr.splitlines()[1:] == [
        "  records: 1 of the first 5 are rejected (unreadable 1), within checks.rejected_ratio.max, 0.25; the first of them:",
        "    source.csv, row 5, column 'time', value 'x': unreadable",
    ]


def test_a_column_that_may_be_null_and_is_nowhere_is_said(plain: Workspace) -> None:
    plain.sequence_model(columns={**PLAIN_COLUMNS, "mood": {"type": "string", "nullable": True}})
    assert "columns that were not found, and are null: mood" in run("validate").stderr


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ({"prod": "s3://bucket/answers/"}, "names none for the environment local"),
        ("glue://lake/answers", "glue://lake/answers is a table, which the environment prod alone can read"),
    ],
)
def test_a_source_that_is_elsewhere_is_not_looked_at(plain: Workspace, location: object, said: str) -> None:
    plain.sequence_model(source={"location": location})
    result = run("validate")
    assert result.stdout == f"{plain.folder / 'plain.yaml'}: ok\n"
    assert said in result.stderr


@pytest.mark.slow
def test_only_the_beginning_of_a_large_file_is_read(plain: Workspace) -> None:
    """Its end cannot be read at all."""
    records = "".join(f"1,{number:>25},{number}\n" for number in range(100_000)) * 15
    plain.write("source.csv", "pupil,time,item\n" + records + '"never closed')
    assert "records: the first 1,000 meet the contract" in run("validate").stderr
    assert "1,000" not in run("materialize", code=1).stderr
