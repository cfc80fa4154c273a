"""`sequence`: a data set in, finished files out."""

import errno
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seq_assets_tests.cli.running import PATIENT, run
from seq_assets_tests.warehouse.building import Workspace

LARGEST_FILE = 40_000
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


def test_sequence_says_what_was_rejected_and_what_came_out_empty(workspace: Workspace) -> None:
    workspace.write("answers.csv", "pupil,time,item\n1,1,1\n1,x,2\n1,3,3\n")
    workspace.sequence_model(
        checks={"rejected_ratio": {"max": 0.5}}, split={"strategy": "entity_hash", "validation_fraction": 1e-9}
    )
    arguments = ("--s3_data_location", workspace.folder / "answers.csv", "--output_s3_location", "out", "--model", "plain")
    assert run("sequence", *arguments).stderr.splitlines() == [
        "warn: 1 of 3 records were rejected (unreadable 1), within checks.rejected_ratio.max, 0.5",
        "warn: validation is empty: the hash puts no entity there, as happens with few of them; change "
        "split.validation_fraction, now 1e-09, or split.seed.",
    ]
    assert len(run("sequence", *arguments, "--subset", "train").stderr.splitlines()) == 1


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
    arguments = ("sequence", "--s3_data_location", answers, "--output_s3_location", out, "--sequence_length")
    run(*arguments, "2")
    run(*arguments, "9")
    before = {path: path.read_bytes() for path in out.rglob("*.parquet")}
    answers.write_text(ANSWERS.replace("1,2024-01-01,3", "1,2024-01-01,33"), encoding="utf-8")
    run(*arguments, "2")
    after = {path: path.read_bytes() for path in out.rglob("*.parquet")}
    assert {path.parent.name for path in before.keys() - after.keys()} == {"train_sequenced_2", "validation_sequenced_2"}
    assert {path.parent.name for path in before.keys() & after.keys()} == {"train_sequenced_9", "validation_sequenced_9"}
    assert rows_of(out / "train_sequenced_2")[0]["skillid_sequence"] == [33, 4]
    assert len(after) == len(before)
    assert all(after[path] == before[path] for path in before.keys() & after.keys())


@pytest.mark.parametrize("name", ["old.parquet", "part-0.parquet", ".hidden", "folder/seq-assets-0.parquet"])
def test_sequence_refuses_a_folder_with_files_of_others_before_it_reads_anything(
    name: str, answers: Path, tmp_path: Path
) -> None:
    stranger = tmp_path / "out" / "validation_sequenced_2" / name
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(b"old")
    answers.write_text("no columns at all\n")
    arguments = ("--s3_data_location", answers, "--sequence_length", "2", "--output_s3_location", tmp_path / "out")
    message = run("sequence", *arguments, code=1).stderr
    found = tmp_path / "out" / "validation_sequenced_2" / name.split("/", maxsplit=1)[0]
    assert f"'{found}' was not written by this command" in message
    assert "move it away, or choose another place" in message
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [stranger]
    run("sequence", *arguments, "--subset", "train", code=1)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [stranger], "the audit comes first"


@pytest.mark.parametrize(
    ("data", "out"), [("data", "data/out"), ("data", "data"), ("data/*/*.parquet", "data"), ("data/**", "data")]
)
def test_sequence_refuses_to_write_what_it_would_read(data: str, out: str, answers: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    answers.rename(tmp_path / "data" / "answers.csv")
    message = run("sequence", "--s3_data_location", data, "--output_s3_location", out, code=1).stderr
    assert f"'{out}/train_sequenced_5' will be written, and is read as part of '{data}'; choose an output" in message
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["answers.csv"]


def test_sequence_may_write_beside_what_it_reads(answers: Path, tmp_path: Path) -> None:
    for _ in range(2):
        run("sequence", "--s3_data_location", "*.csv", "--output_s3_location", ".")
    assert len(rows_of(tmp_path / "train_sequenced_5")) + len(rows_of(tmp_path / "validation_sequenced_5")) == 3


def test_sequence_leaves_no_folder_behind_where_it_fails(answers: Path, tmp_path: Path) -> None:
    run("sequence", "--s3_data_location", answers, "--output_s3_location", "new/out", "--model", "sakt", code=2)
    answers.write_text(ANSWERS.replace(",3,1,", ",3,7,"), encoding="utf-8")
    run("sequence", "--s3_data_location", answers, "--output_s3_location", "new/out", code=1)
    assert [path.name for path in tmp_path.iterdir()] == ["answers.csv"]


def test_sequence_writes_a_file_for_a_subset_without_rows(tmp_path: Path) -> None:
    (tmp_path / "answers.csv").write_text("".join(ANSWERS.splitlines(keepends=True)[:4]), encoding="utf-8")
    run("sequence", "--s3_data_location", "answers.csv", "--output_s3_location", "out")
    assert rows_of(tmp_path / "out" / "validation_sequenced_5") == []


@pytest.mark.parametrize("place", ["/proc/out", "file/out", "file"])
def test_sequence_says_where_it_cannot_write(place: str, answers: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    message = run("sequence", "--s3_data_location", answers, "--output_s3_location", place, code=1).stderr
    assert f"{place!r} cannot be used: " in message
    assert "; mend that, or choose another place." in message


def test_sequence_on_a_full_disk_leaves_nothing_and_names_the_place(
    answers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(found: str, rows: int) -> None:
        if found.startswith("sequence"):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("seq_assets.io_managers.progress.progress_of", lambda *_: full)
    message = run("sequence", "--s3_data_location", answers, "--output_s3_location", "out", code=1).stderr
    assert "'out' cannot be used: No space left on device; make room there, or choose another place." in message
    assert [path.name for path in tmp_path.iterdir()] == ["answers.csv"]


@pytest.mark.slow
def test_sequence_names_the_place_where_no_file_can_grow(tmp_path: Path) -> None:
    rows = "".join(f"{number},2024-01-01,3,1,1\n" for number in range(20_000))
    (tmp_path / "answers.csv").write_text(f"{ANSWERS.splitlines()[0]}\n{rows}", encoding="utf-8")
    # No file can grow beyond this, as on a full disk.
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({LARGEST_FILE}, {LARGEST_FILE})); {PATIENT}"
    arguments = ("sequence", "--s3_data_location", "answers.csv", "--output_s3_location", "out")
    done = subprocess.run([sys.executable, "-c", limited, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert done.stderr == "Error: 'out' cannot be used: File too large; make room there, or choose another place.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["answers.csv"]


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


def test_sequence_asks_for_nothing_in_the_cloud_in_staging(
    answers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQ_ASSETS_ENV", "staging")
    monkeypatch.setenv("SEQ_ASSETS_BUCKET", "school")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # where nobody answers
    out = tmp_path / "out"
    run("sequence", "--s3_data_location", answers, "--sequence_length", "3", "--output_s3_location", out)
    assert len(rows_of(out / "train_sequenced_3") + rows_of(out / "validation_sequenced_3")) == 3


def test_sequence_refuses_a_model_that_does_not_fit() -> None:
    assert (
        "No model 'dkd'; allowed: dkt, irt, recommender, sakt; did you mean 'dkt'?"
        in run("sequence", "--model", "dkd", code=1).stderr
    )
    assert "--model: irt is a raw model" in run("sequence", "--model", "irt", code=2).stderr
    message = "--sequence_length: found 24; allowed for sakt: at least 25"
    assert message in run("sequence", "--model", "sakt", "--sequence_length", "24", code=2).stderr
