"""What is done with versions is the same in every environment: exports and differences, also where files are in no order."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import seq_assets
from seq_assets.models import SUBSETS
from seq_assets_tests.warehouse.building import Workspace

WORDS = ["b", "é", "a,b", 'q"', "😀", "line\nbreak", "x"]


@pytest.fixture
def history(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Two versions of a model with overlapping windows: one pupil is gone, one is new, and one has another last answer."""
    monkeypatch.setenv("SEQ_ASSETS_MODELS", str(workspace.folder))
    columns = {
        "pupil": {"type": "string"},
        "time": {"type": "timestamp"},
        "word": {"type": "string"},
        "item": {"type": "int32"},
        "lag": {"type": "float32", "nullable": True},
    }
    features = {"word": {"pad_value": "-"}, "item": {"pad_value": 0}, "lag": {"pad_value": 0.5, "fill_null": -1.5}}
    for pupils, last in ((range(20), 1), (range(1, 21), 2)):
        lines = ["pupil,time,word,item,lag"]
        for pupil in pupils:
            for number in range(pupil % 6 + 1):
                word = WORDS[(pupil + number) % len(WORDS)].replace('"', '""')
                item = last if (pupil, number) == (11, 5) else number
                lag = "" if number == 2 else number / 8
                lines.append(
                    f'{WORDS[pupil % 5][0]}{pupil},2024-01-{pupil + 1:02} 10:00:00.00000{number},"{word}",{item},{lag}'
                )
        workspace.write("source.csv", "\n".join(lines) + "\n")
        spec = workspace.model(
            columns=columns,
            features=features,
            sequence_lengths=[3],
            window={"mode": "sliding", "stride": 2},
            padding={"side": "left"},
        )
        workspace.ingest(spec)
        for subset in SUBSETS:
            workspace.sequence(spec, subset)
    return workspace


def assert_an_export_has_what_the_handle_has() -> None:
    ds = seq_assets.load("plain", sequence_length=3)
    arrays, table = ds.to_numpy(), ds.to_arrow()
    for format_ in ("parquet", "npz", "jsonl"):
        ds.export(f"out.{format_}", format_)
    assert pq.read_table("out.parquet").equals(table)
    with np.load("out.npz") as archive:
        for name, array in arrays.items():
            np.testing.assert_array_equal(archive[name], array)
    rows = [json.loads(line) for line in Path("out.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]
    assert rows == table.to_pylist()


def assert_observations_are_exported_in_their_order() -> None:
    observations = seq_assets.load_observations("plain")
    observations.export("observations.parquet")
    assert pq.read_table("observations.parquet").equals(observations.to_arrow())
    done = observations.export("out.inter", "recbole", columns={"item_id": "item"})
    assert done.records == len(observations)
    lines = [line.split("\t") for line in Path("out.inter").read_text(encoding="utf-8").splitlines()[1:]]
    assert [int(item) for _, item, _ in lines] == observations.to_numpy()["item"].tolist()


def assert_a_difference_names_who_came_went_and_changed() -> None:
    for found in (seq_assets.diff("plain"), seq_assets.diff("plain", sequence_length=3)):
        [entities] = [each for each in found.entities if each.subset == "train"]
        assert (entities.first_removed, entities.first_added, entities.first_altered) == (("b0",), ("b20",), ("é11",))
        assert (entities.before, entities.after, entities.unchanged) == (20, 20, 18)
        changed = {name for name, count in found.altered_columns.items() if count}
        assert changed == {"item" if found.table.endswith("observations") else "item_sequence"}
    assert found.metrics["item"]["mean"][0] < found.metrics["item"]["mean"][1]


@pytest.mark.usefixtures("history")
def test_versions_are_exported_and_compared_alike_in_every_environment() -> None:
    # One test, because building the history is dear.
    assert_an_export_has_what_the_handle_has()
    assert_observations_are_exported_in_their_order()
    assert_a_difference_names_who_came_went_and_changed()
