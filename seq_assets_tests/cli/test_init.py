"""`init`: a model file for a source that nobody has described."""

import os
from pathlib import Path

import pytest
import yaml

from seq_assets_tests.cli.running import run, run_json
from seq_assets_tests.warehouse.building import Workspace

DATA = Path(os.environ.get("SEQ_ASSETS_TEST_DATA", ""))
SOURCE = "user_id\tat\tskill\tcorrect\n" + "".join(
    f"{number // 10}\t2024-05-06 08:{number:02}:00\tskill {number % 3}\t{number % 2}\n" for number in range(60)
)


def built(folder: Path, model: str) -> dict[str, int]:
    """The rows of each table of a model of the folder, which is built; nothing of it may be rejected."""
    assert f"{folder / model}.yaml: ok" in run("validate", folder / f"{model}.yaml").stdout
    tables = run_json("materialize", model)["built"]
    assert all(not table["rejected"] for table in tables)
    return {table["table"].removeprefix(f"{model}_"): table["rows"] for table in tables}


@pytest.mark.slow
def test_what_it_proposes_is_valid_and_can_be_built_as_it_is(workspace: Workspace) -> None:
    workspace.write("answers.tsv", SOURCE)
    output = workspace.folder / "answers.yaml"
    assert f"{output} is written" in run("init", workspace.folder / "answers.tsv", "--output", output).output
    content = yaml.safe_load(output.read_text(encoding="utf-8"))
    assert (content["name"], content["source"], content["entity"]) == ("answers", {"location": "answers.tsv"}, "user_id")
    assert (content["order_by"], list(content["features"])) == (["at"], ["skill", "correct"])
    rows = built(workspace.folder, "answers")
    assert rows["raw_observations"] == 60
    assert rows["sequenced_train_100"] + rows["sequenced_validation_100"] == 6


def test_it_prints_the_model_file_where_no_output_is_named(workspace: Workspace) -> None:
    path = workspace.write("answers.tsv", SOURCE)
    before = set(workspace.folder.iterdir())
    shown = run("init", path, "--name", "mine").stdout
    content = yaml.safe_load(shown)
    assert (content["name"], content["source"]["location"]) == ("mine", str(path))
    assert set(workspace.folder.iterdir()) == before


def test_an_existing_file_is_not_overwritten(workspace: Workspace) -> None:
    path = workspace.write("answers.tsv", SOURCE)
    output = workspace.write("mine.yaml", "mine")
    assert "mine.yaml exists, and is not overwritten" in run("init", path, "--output", output, code=2).stderr
    assert output.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", ["Answers", "1st", "a-b", ""])
def test_a_name_that_no_model_may_have_is_wrong_usage(workspace: Workspace, name: str) -> None:
    path = workspace.write("answers.tsv", SOURCE)
    assert f"--name: found {name!r}; allowed: a to z first" in run("init", path, "--name", name, code=2).stderr


@pytest.mark.parametrize(
    ("chosen", "location"),
    [
        pytest.param(["a.csv", "b.csv"], "days", marks=pytest.mark.slow),
        (["a.csv", "b.csv", "more/c.csv"], "days/**/*.csv"),
        pytest.param(["one/a.csv", "one/b.csv"], "days/one", marks=pytest.mark.slow),
    ],
)
def test_several_files_are_one_source(workspace: Workspace, chosen: list[str], location: str) -> None:
    for name in chosen:
        workspace.write(f"days/{name}", SOURCE.replace("\t", ","))
    if "more/c.csv" in chosen:
        workspace.write("days/notes.txt", "none of them")
    output = workspace.folder / "days.yaml"
    run("init", *(workspace.folder / "days" / name for name in chosen), "--name", "days", "--output", output)
    assert yaml.safe_load(output.read_text(encoding="utf-8"))["source"]["location"] == location
    assert built(workspace.folder, "days")["raw_observations"] == 60 * len(chosen)


def test_files_that_no_location_names_alone_are_refused(workspace: Workspace) -> None:
    paths = [workspace.write(f"{name}.csv", SOURCE) for name in "abc"]
    assert "a source has one location" in run("init", *paths[:2], code=2).stderr


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (None, "No source file at"),
        ("\n\n", "only blank lines"),
        ("user,item\n", "has no rows"),
        ("share\n0.5\n", "no column can be the entity"),
        ('[{"user": 1}]\n', "is a JSON array"),
        ("PAR1, cut off", "cannot be read as Parquet"),
    ],
)
def test_what_cannot_be_described_is_said(workspace: Workspace, source: str | None, said: str) -> None:
    path = workspace.folder / "answers.csv"
    if source is not None:
        workspace.write("answers.csv", source)
    assert said in run("init", path, code=1).stderr


@pytest.mark.slow
def test_the_bundled_sample_is_described(workspace: Workspace) -> None:
    output = workspace.folder / "school.yaml"
    run("init", "sample://school", "--output", output)
    content = yaml.safe_load(output.read_text(encoding="utf-8"))
    assert (content["entity"], content["order_by"]) == ("pupilid", ["timestamp"])
    assert built(workspace.folder, "school")["raw_observations"] == 50_010


@pytest.mark.skipif(not (DATA / "ednet_small").is_dir(), reason="SEQ_ASSETS_TEST_DATA names no folder with real data")
@pytest.mark.parametrize(
    ("place", "entity", "order", "rows"),
    [
        ("ednet_small/preprocessed_data_test.csv", "user_id", ["timestamp"], 87_210),
        ("algebra2005_kdd/algebra_2005_2006_master.txt", "anon_student_id", ["step_end_time"], 3_967),
        ("statics2011_3line", "entity", ["position"], 189_297),
    ],
)
def test_real_data_are_described(workspace: Workspace, place: str, entity: str, order: list[str], rows: int) -> None:
    output = workspace.folder / "real.yaml"
    run("init", DATA / place, "--name", "real", "--output", output)
    content = yaml.safe_load(output.read_text(encoding="utf-8"))
    assert (content["entity"], content["order_by"]) == (entity, order)
    assert built(workspace.folder, "real")["raw_observations"] == rows
