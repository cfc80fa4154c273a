"""From files to datasets, through the commands that people and scripts call."""

import csv
import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

import seq_assets
from seq_assets.cli.commands import cli


def test_sequence_e2e_local_warehouse(tmp_path: Path) -> None:
    source, out = tmp_path / "observations.parquet", tmp_path / "out"
    observation = {"pupilid": [1], "timestamp": ["2024-01-01 08:00:00"], "skillid": [3], "correct": [1]}
    pq.write_table(pa.table(observation), source)

    locations = ["--s3_data_location", str(source), "--output_s3_location", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "seq_assets", "sequence", "--sequence_length", "5", *locations],
        env={**os.environ, "MODE": "local"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    train, validation = out / "train_sequenced_5", out / "validation_sequenced_5"
    assert done.stdout.splitlines()[-2:] == [str(train), str(validation)]
    assert sorted(out.iterdir()) == [train, validation]
    tables = [pq.ParquetFile(file).read() for folder in (train, validation) for file in folder.glob("*.parquet")]
    assert len(tables) == 2, "a subset without observations has its file too"
    (sequence,) = pa.concat_tables(tables).to_pylist()
    assert sequence["is_pad_sequence"] == [0, 1, 1, 1, 1]
    assert sequence["correct_sequence"] == [1, 0, 0, 0, 0]
    assert sequence["pupilid_sequence"] == [1, -1, -1, -1, -1]


MODEL = {
    "name": "spelling",
    "source": {"location": "answers/*.csv", "options": {"delimiter": ";"}},
    "entity": "pupil",
    "order_by": ["at"],
    "columns": {
        "pupil": {"type": "string", "from": "Pupil ID"},
        "at": {"type": "timestamp", "unit": "s"},
        "word": {"type": "int32"},
        "seconds": {"type": "float64", "nullable": True},
    },
    "features": {"word": {"pad_value": -7}, "seconds": {"pad_value": -1.0, "fill_null": 0.25}},
    "split": {"strategy": "entity_hash", "validation_fraction": 0.4, "seed": 3},
    "window": {"mode": "sliding", "stride": 2},
    "padding": {"side": "left"},
    "min_length": 2,
    "sequence_lengths": [3, 4],
}


def written_answers(folder: Path) -> list[dict[str, Any]]:
    """Writes answers of 12 pupils, mixed, in two files; returns them in the order of the source."""
    chance = random.Random(7)
    answers = [
        {
            "Pupil ID": f"pupil {pupil}",
            "at": chance.randrange(5),  # many ties
            "word": chance.randrange(100),
            "seconds": chance.choice([None, 1.5, 2.75]),
        }
        for pupil in range(12)
        for _ in range(pupil)
    ]
    chance.shuffle(answers)
    folder.mkdir()
    for name, rows in {"a.csv": answers[:30], "b.csv": answers[30:]}.items():
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(answers[0]), delimiter=";")
            writer.writeheader()
            writer.writerows(rows)
    return answers


def plain_sequences(answers: list[dict[str, Any]], subset: str, length: int) -> dict[str, list[Any]]:
    """The columns that the model asks for, in plain Python: windows of every second start, padded on the left."""
    expected: dict[str, list[Any]] = {name: [] for name in ("pupil", "word_sequence", "seconds_sequence", "is_pad_sequence")}
    for pupil in sorted({answer["Pupil ID"] for answer in answers}):
        digits = hashlib.md5(f"3:{pupil}".encode()).hexdigest()[:8]
        if (int(digits, 16) / 2**32 < 0.4) != (subset == "validation"):
            continue
        history = sorted((answer for answer in answers if answer["Pupil ID"] == pupil), key=lambda answer: answer["at"])
        start = 0
        while True:
            window = history[start : start + length]
            padding = length - len(window)
            if len(window) >= 2:
                seconds = [0.25 if item["seconds"] is None else item["seconds"] for item in window]
                expected["pupil"].append(pupil)
                expected["word_sequence"].append([-7] * padding + [item["word"] for item in window])
                expected["seconds_sequence"].append([-1.0] * padding + seconds)
                expected["is_pad_sequence"].append([1] * padding + [0] * len(window))
            if start + length >= len(history):
                break
            start += 2
    return expected


@pytest.mark.usefixtures("runs_in_memory")
def test_materialize_e2e_model_file_to_matrices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "spelling.yaml").write_text(yaml.safe_dump(MODEL, sort_keys=False), encoding="utf-8")
    answers = written_answers(models / "answers")
    monkeypatch.setenv("SEQ_ASSETS_MODELS", str(models))

    result = CliRunner().invoke(cli, ["materialize"])

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == f"Tables are in {tmp_path / 'home'}"
    assert (tmp_path / "home" / "dagster" / "dagster.yaml").is_file(), "where the runs would appear"
    for length in (3, 4):
        both = dict(zip(("train", "validation"), seq_assets.load_split("spelling", sequence_length=length), strict=True))
        for subset, ds in both.items():
            arrays, expected = ds.to_numpy(), plain_sequences(answers, subset, length)
            assert arrays["word_sequence"].shape == (len(ds), length)
            assert len(ds) > 3, "the comparison has something to compare"
            for name, values in expected.items():
                np.testing.assert_array_equal(arrays[name], values, f"{name} of {subset}, length {length}")
