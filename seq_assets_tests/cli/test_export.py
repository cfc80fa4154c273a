"""`export`: what it writes, says and refuses. What each format holds is in `client/test_export.py`."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import seq_assets
from seq_assets_tests.cli.running import run, run_json

pytestmark = pytest.mark.usefixtures("bundled_home")


def test_a_version_is_written_and_said() -> None:
    [version] = seq_assets.versions("dkt", sequence_length=50, subset="validation")
    arguments = ("export", "dkt", "--sequence-length", "50", "--subset", "validation", "--format", "npz", "out.npz")
    assert run_json(*arguments, "--version", str(version.id)) == {
        "path": "out.npz",
        "format": "npz",
        "table": "dkt_sequenced_validation_50",
        "version": str(version.id),
        "records": version.rows,
        "bytes": Path("out.npz").stat().st_size,
    }
    assert np.load("out.npz")["correct_sequence"].shape == (version.rows, 50)
    assert "'out.npz' is there already" in run(*arguments, code=1).stderr
    said = run(*arguments, "--force").output
    assert said == (
        f"out.npz: {version.rows} records, {Path('out.npz').stat().st_size:,} bytes, of {version.dataset.table} {version.id}\n"
    )


def test_without_a_length_observations_of_both_subsets_are_written() -> None:
    run("export", "irt", "--format", "parquet", "both.parquet")
    assert pq.read_metadata("both.parquet").num_rows == 50_010
    run("export", "irt", "--format", "parquet", "--subset", "train", "train.parquet")
    assert set(pq.read_table("train.parquet")["subset"].to_pylist()) == {"train"}
    run("export", "dkt", "--sequence-length", "100", "--format", "parquet", "sequences.parquet")
    assert pq.read_metadata("sequences.parquet").num_rows == len(seq_assets.load("dkt", sequence_length=100))


def test_columns_are_named_by_their_roles() -> None:
    answer = ("--column", "skill=exerciseid", "--column", "answer=correct")
    assert run_json("export", "irt", "--format", "dkt", *answer, "irt.txt")["records"] == 500
    lines = Path("irt.txt").read_text().splitlines()
    assert len(lines) == 1500
    assert sum(map(int, lines[::3])) == 50_010


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["irtt", "--format", "csv"], 2, "No model 'irtt'; allowed: dkt, irt, recommender, sakt; did you mean 'irt'?"),
        (["irt", "--sequence-length", "5", "--format", "csv"], 2, "irt is a raw model, without sequences"),
        (["irt"], 2, "Missing option '--format'"),
        (["irt", "--format", "dkt", "--column", "skill"], 2, "--column: found 'skill'; allowed: ROLE=COLUMN"),
        (["irt", "--format", "dkt", "--column", "a=b", "--column", "a=c"], 2, "--column: found a twice; allowed: once"),
        (["irt", "--format", "dkt"], 1, "found no column for skill; name one with --column skill=COLUMN"),
        (["sakt", "--format", "csv"], 1, "sakt_raw_observations has no published version; materialize it first."),
        (["dkt", "--sequence-length", "7", "--format", "csv"], 1, "Published lengths of dkt: 50, 100."),
        (["irt", "--version", "5", "--format", "csv"], 1, "irt_raw_observations has no version 5; its newest are "),
    ],
)
def test_what_cannot_be_exported_is_said(arguments: list[str], code: int, message: str) -> None:
    assert message in run("export", *arguments, "out", code=code).stderr
    assert not Path("out").exists()
