"""`sequence`: a data set in, finished files out."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seq_assets_tests.cli.running import run
from seq_assets_tests.warehouse.building import Workspace

ANSWERS = """\
pupilid,timestamp,skillid,correct,elapsed
1,2024-01-01,3,1,2.5
1,2024-01-02,4,0,
2,2024-01-01,5,1,1
4,2024-01-01,6,0,1
"""


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """Answers of three pupils, of whom 4 is in validation."""
    path = tmp_path / "answers.csv"
    path.write_text(ANSWERS, encoding="utf-8")
    return path


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """The rows of the Parquet files in a folder."""
    rows: list[dict[str, Any]] = pa.concat_tables(
        pq.ParquetFile(path).read() for path in sorted(folder.glob("*.parquet"))
    ).to_pylist()
    return rows


def test_sequence_prints_the_arguments_first_and_the_locations_last(answers: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("sequence", "--s3_data_location", answers, "--sequence_length", "3", "--output_s3_location", out)
    assert result.stdout.splitlines() == [
        f"s3_data_location: {answers}",
        "sequence_length: 3",
        f"output_s3_location: {out}",
        "model: dkt",
        "subset: all",
        str(out / "train_sequenced_3"),
        str(out / "validation_sequenced_3"),
    ]
    train, validation = rows_of(out / "train_sequenced_3"), rows_of(out / "validation_sequenced_3")
    assert {row["pupilid"]: row["skillid_sequence"] for row in train + validation} == {
        1: [3, 4, -1],
        2: [5, -1, -1],
        4: [6, -1, -1],
    }
    assert sorted(path.name for path in out.iterdir()) == ["train_sequenced_3", "validation_sequenced_3"]
    assert not (tmp_path / "home").exists(), "it keeps no tables"


def test_sequence_takes_dashes_for_underscores_and_flags_beat_variables(
    answers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQ_ASSETS_S3_DATA_LOCATION", "nowhere")
    monkeypatch.setenv("SEQ_ASSETS_SEQUENCE_LENGTH", "2")
    monkeypatch.setenv("SEQ_ASSETS_OUTPUT_S3_LOCATION", str(tmp_path / "by_variable"))
    monkeypatch.setenv("SEQ_ASSETS_SUBSET", "train")
    result = run("sequence", "--s3-data-location", answers, "--sequence-length", "4")
    assert result.stdout.splitlines() == [
        f"s3_data_location: {answers}",
        "sequence_length: 4",
        f"output_s3_location: {tmp_path / 'by_variable'}",
        "model: dkt",
        "subset: train",
        str(tmp_path / "by_variable" / "train_sequenced_4"),
    ]
    assert [path.name for path in (tmp_path / "by_variable").iterdir()] == ["train_sequenced_4"]


def test_sequence_without_flags_uses_its_defaults(answers: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "raw").mkdir(parents=True)
    answers.rename(tmp_path / "data" / "raw" / "answers.csv")
    assert run("sequence").stdout.splitlines()[-1] == str(Path("data/sequenced/validation_sequenced_5"))
    assert {len(row["correct_sequence"]) for row in rows_of(tmp_path / "data" / "sequenced" / "train_sequenced_5")} == {5}


def test_sequence_replaces_the_whole_folder_and_no_other(answers: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    old, other = out / "train_sequenced_2" / "old.parquet", out / "train_sequenced_9" / "other.parquet"
    for path in (old, other):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"old")
    run("sequence", "--s3_data_location", answers, "--sequence_length", "2", "--output_s3_location", out)
    assert [path.name for path in old.parent.iterdir()] == ["part-0.parquet"]
    assert other.read_bytes() == b"old"


@pytest.mark.usefixtures("plain")
def test_sequence_follows_the_named_model(tmp_path: Path) -> None:
    source = tmp_path / "models" / "source.csv"
    run("sequence", "--s3_data_location", source, "--sequence_length", "3", "--output_s3_location", "out", "--model", "plain")
    assert [row["item_sequence"] for row in rows_of(tmp_path / "out" / "train_sequenced_3")] == [[10, 20, 30], [40, -1, -1]]


def test_sequence_writes_the_vocabulary_of_encoded_features_beside_the_sequences(workspace: Workspace, tmp_path: Path) -> None:
    source = workspace.write("source.csv", "pupil,time,item\n1,1,30\n1,2,10\n1,3,30\n")
    workspace.sequence_model(features={"item": {"encode": "vocabulary"}})
    arguments = ("--s3_data_location", source, "--sequence_length", "4", "--output_s3_location", "out", "--model", "plain")
    assert run("sequence", *arguments).stdout.splitlines()[-1] == str(Path("out/vocabulary"))
    assert [row["item_sequence"] for row in rows_of(tmp_path / "out" / "train_sequenced_4")] == [[2, 3, 2, 0]]
    assert [(row["value"], row["id"]) for row in rows_of(tmp_path / "out" / "vocabulary")] == [("30", 2), ("10", 3)]


def test_sequence_refuses_a_bad_source_and_leaves_what_was_written(answers: Path, tmp_path: Path) -> None:
    arguments = ("--s3_data_location", answers, "--sequence_length", "2", "--output_s3_location", "out")
    run("sequence", *arguments)
    before = rows_of(tmp_path / "out" / "train_sequenced_2")
    answers.write_text(ANSWERS.replace("2024-01-02,4,0", "2024-01-02,4,2"), encoding="utf-8")
    message = run("sequence", *arguments, code=1).stderr
    assert "answers.csv, row 2, column 'correct', value '2': is_in" in message
    assert rows_of(tmp_path / "out" / "train_sequenced_2") == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["train_sequenced_2", "validation_sequenced_2"]
    assert "No source file at 'nowhere'" in run("sequence", "--s3_data_location", "nowhere", code=1).stderr


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_sequence_asks_for_nothing_in_the_cloud(
    environment: str, answers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQ_ASSETS_ENV", environment)
    monkeypatch.setenv("SEQ_ASSETS_BUCKET", "school")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # where nobody answers
    out = tmp_path / "out"
    run("sequence", "--s3_data_location", answers, "--sequence_length", "3", "--output_s3_location", out)
    assert len(rows_of(out / "train_sequenced_3") + rows_of(out / "validation_sequenced_3")) == 3


@pytest.mark.parametrize("flag", ["s3_data_location", "output_s3_location"])
def test_sequence_refuses_remote_addresses_in_the_local_environment(flag: str, tmp_path: Path) -> None:
    message = run("sequence", f"--{flag}", "s3://bucket/prefix/", code=1).stderr
    assert "'s3://bucket/prefix/': the environment local reads and writes local paths" in message
    assert list(tmp_path.iterdir()) == []


def test_sequence_refuses_a_model_that_does_not_fit() -> None:
    assert (
        "No model 'dkd'; allowed: dkt, irt, recommender, sakt; did you mean 'dkt'?"
        in run("sequence", "--model", "dkd", code=1).stderr
    )
    assert "--model: irt is a raw model" in run("sequence", "--model", "irt", code=2).stderr
    message = "--sequence_length: found 24; allowed for sakt: at least 25"
    assert message in run("sequence", "--model", "sakt", "--sequence_length", "24", code=2).stderr
