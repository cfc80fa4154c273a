"""Real data, with their dirt, against plain pandas.

The data are not part of the repository. `SEQ_ASSETS_TEST_DATA` names the folder that has them; without it, these tests are
skipped.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from seq_assets.models import SUBSETS, ModelSpec, Subset
from seq_assets.sequencing.plans import Dataset
from seq_assets_tests.warehouse.building import Workspace, read_table

FOLDER = os.environ.get("SEQ_ASSETS_TEST_DATA", "")

pytestmark = pytest.mark.skipif(
    not Path(FOLDER, "ednet_small").is_dir(), reason="SEQ_ASSETS_TEST_DATA names no folder with ednet_small and the others"
)

EDNET = Path(FOLDER, "ednet_small", "preprocessed_data_test.csv")
ALGEBRA = Path(FOLDER, "algebra2005_kdd", "algebra_2005_2006_master.txt")
STATICS = Path(FOLDER, "statics2011_3line")


def is_validation(entity: Any) -> bool:
    return int(hashlib.md5(f"0:{entity}".encode()).hexdigest()[:8], 16) / 2**32 < 0.2


def of_subset(frame: pd.DataFrame, entity: str, subset: str) -> pd.DataFrame:
    """The rows of a subset, their index from 0, with each item's position in its history."""
    sides = {value: "validation" if is_validation(value) else "train" for value in frame[entity].unique()}
    found = frame[frame[entity].map(sides) == subset].reset_index(drop=True)
    return found.assign(position=found.groupby(entity).cumcount())


def matrix(frame: pd.DataFrame, values: Any, row: Any, cell: Any, length: int, pad: Any) -> np.ndarray:
    """Values at (row, cell), padding elsewhere."""
    found = np.full((int(row.max()) + 1, length), pad, dtype=object)
    found[row.to_numpy(), cell.to_numpy()] = values.to_numpy()
    return found


def lists(workspace: Workspace, spec: ModelSpec, subset: Subset, name: str) -> np.ndarray:
    """A column of lists of the newest sequences."""
    table = read_table(workspace.warehouse.find(Dataset.sequenced(spec.name, subset, spec.lengths[0])))
    return np.array(table.column(name).to_pylist(), dtype=object)


def assert_everything_adds_up(workspace: Workspace, spec: ModelSpec, records: int) -> None:
    """Accounting from the file to the sequences, and all audits."""
    warehouse = workspace.warehouse
    raw = warehouse.find(Dataset.raw(spec.name))
    counted = raw.metadata["accounting"]
    assert counted["read"] == records == counted["accepted"] + counted["rejected"]
    assert counted["accepted"] == raw.rows == counted["train"] + counted["validation"]
    assert counted["rejected"] == sum(counted["rejected_by_reason"].values())
    for dataset in warehouse.datasets():
        if dataset.kind == "rejected_observations":
            continue
        version = warehouse.find(dataset)
        assert all(finding.passed for finding in warehouse.inspect(version))
        if dataset.sequence_length is not None:
            found = version.metadata["accounting"]
            dropped = found["dropped_min_length"] + found["dropped_truncation"]
            assert found["observations"] == counted[dataset.kind.removeprefix("sequenced_")] == found["sequenced"] + dropped
            assert found["positions"] == version.rows * dataset.sequence_length


def test_ednet_equals_pandas_and_ties_keep_the_files_order(workspace: Workspace) -> None:
    frame = pd.read_csv(EDNET, sep="\t")
    assert frame.duplicated(["user_id", "timestamp"], keep=False).sum() == 21_409
    spec = workspace.model(
        name="ednet",
        source={"location": str(EDNET), "options": {"delimiter": "\t"}},
        entity="user_id",
        order_by=["timestamp"],
        columns={
            "user_id": {"type": "int64"},
            "timestamp": {"type": "timestamp", "unit": "s"},
            "item_id": {"type": "int32"},
            "skill_id": {"type": "int16"},
            "correct": {"type": "int8", "is_in": [0, 1]},
        },
        features={"item_id": {"pad_value": -1}, "correct": {"pad_value": 0}, "timestamp": {"pad_value": 0}},
        split={"strategy": "entity_hash"},
        sequence_lengths=[100],
        window={"mode": "sliding", "stride": 40},
        padding={"side": "left"},
    )
    workspace.ingest(spec)
    ordered = frame.assign(row=frame.index + 1).sort_values(["user_id", "timestamp"], kind="stable")
    for subset in SUBSETS:
        expected = of_subset(ordered, "user_id", subset)
        raw = workspace.warehouse.find(Dataset.raw("ednet"))
        found = read_table(raw).to_pandas().query(f"subset == '{subset}'").reset_index(drop=True)
        for name, other in [("_row", "row"), ("user_id", "user_id"), ("item_id", "item_id"), ("_position", "position")]:
            assert (found[name] == expected[other]).all()
        assert (found["timestamp"] == expected["timestamp"] * 1_000_000).all()

        workspace.sequence(spec, subset)
        items = expected.assign(n=expected.groupby("user_id")["position"].transform("size"))
        windows = []
        for start in range(0, int(items["n"].max()), 40):
            inside = items[(items["position"] >= start) & (items["position"] < start + 100)]
            # A window is there unless the one before has reached the end.
            windows.append(inside[(start == 0) | (inside["n"] > start - 40 + 100)].assign(start=start))
        cells = pd.concat(windows)
        cells["row"] = cells.groupby(["user_id", "start"]).ngroup()
        size = cells.groupby("row")["row"].transform("size")
        cells["cell"] = 100 - size + cells["position"] - cells["start"]
        for name, values, pad in [
            ("item_id_sequence", cells["item_id"], -1),
            ("correct_sequence", cells["correct"], 0),
            ("timestamp_sequence", cells["timestamp"] * 1000, 0),
            ("is_pad_sequence", cells["cell"] * 0, 1),
            ("is_repeat_sequence", ((cells["start"] > 0) & (cells["position"] < cells["start"] - 40 + 100)).astype(int), 0),
        ]:
            expected_lists = matrix(cells, values, cells["row"], cells["cell"], 100, pad)
            assert (lists(workspace, spec, subset, name) == expected_lists).all(), name
    assert_everything_adds_up(workspace, spec, len(frame))


def test_algebra_equals_pandas_and_null_skills_are_rejected_by_row(workspace: Workspace) -> None:
    frame = pd.read_csv(ALGEBRA, sep="\t", dtype=str, keep_default_na=False, quoting=3)
    frame["row"] = frame.index + 1
    null = frame[frame["KC(Default)"] == ""]
    assert len(null) == 1013
    spec = workspace.model(
        name="algebra",
        source={"location": str(ALGEBRA), "format": "csv", "options": {"delimiter": "\t"}},
        entity="pupil",
        order_by=["at", "number"],
        columns={
            "pupil": {"type": "string", "from": "Anon Student Id"},
            "at": {"type": "timestamp", "from": "First Transaction Time"},
            "number": {"type": "int64", "from": "Row"},
            "skills": {"type": "string", "from": "KC(Default)"},
            "correct": {"type": "int8", "from": "Correct First Attempt", "is_in": [0, 1]},
            "seconds": {"type": "float32", "from": "Step Duration (sec)", "nullable": True},
        },
        features={
            "skills": {"pad_value": ""},
            "correct": {"pad_value": 0},
            "seconds": {"pad_value": -1.0, "fill_null": 0.0},
        },
        split={"strategy": "entity_hash"},
        sequence_lengths=[5],
        min_length=2,
        checks={"rejected_ratio": {"max": 0.26}},
    )
    workspace.ingest(spec)
    rejected = read_table(workspace.warehouse.find(Dataset.rejected("algebra"))).to_pydict()
    assert rejected["row"] == null["row"].to_list()
    assert set(zip(rejected["column"], rejected["value"], rejected["reason"], strict=True)) == {("skills", None, "null")}
    assert set(rejected["file"]) == {ALGEBRA.name}

    accepted = frame[frame["KC(Default)"] != ""].assign(number=lambda rows: rows["Row"].astype(int))
    accepted = accepted.assign(key=accepted["Anon Student Id"].str.encode("utf-8"))
    ordered = accepted.sort_values(["key", "First Transaction Time", "number"], kind="stable")
    for subset in SUBSETS:
        items = of_subset(ordered, "Anon Student Id", subset)
        workspace.sequence(spec, subset)
        cells = items.assign(window=items["position"] // 5, cell=items["position"] % 5)
        size = cells.groupby(["Anon Student Id", "window"])["cell"].transform("size")
        cells = cells[size >= 2]
        cells["sequence"] = cells.groupby(["key", "window"]).ngroup()
        for name, values, pad in [
            ("skills_sequence", cells["KC(Default)"], ""),
            ("correct_sequence", cells["Correct First Attempt"].astype(int), 0),
            ("seconds_sequence", pd.to_numeric(cells["Step Duration (sec)"]).fillna(0.0).astype("float32").astype(float), -1.0),
            ("is_pad_sequence", cells["cell"] * 0, 1),
        ]:
            expected = matrix(cells, values, cells["sequence"], cells["cell"], 5, pad)
            assert (lists(workspace, spec, subset, name) == expected).all(), name
        version = workspace.warehouse.find(Dataset.sequenced("algebra", subset, 5))
        assert version.metadata["accounting"]["dropped_min_length"] == (size < 2).sum()
    assert_everything_adds_up(workspace, spec, len(frame))


@pytest.mark.parametrize("location", [STATICS, STATICS / "STATICS_*.csv"], ids=["folder", "glob"])
def test_statics_equals_plain_python(workspace: Workspace, location: Path) -> None:
    blocks: list[tuple[Any, ...]] = []
    for path in sorted(STATICS.iterdir(), key=lambda path: path.name.encode()):
        text = path.read_text().splitlines()
        for number, (count, skills, answers) in enumerate(zip(text[0::3], text[1::3], text[2::3], strict=True), 1):
            fields = [[int(field) for field in line.rstrip(",").split(",")] for line in (skills, answers)]
            assert [len(field) for field in fields] == [int(count)] * 2
            blocks.append((f"{path.name}#{number}", *fields))
    assert len(blocks) == 333
    spec = workspace.model(
        name="statics",
        source={"location": str(location), "format": "dkt"},
        entity="entity",
        order_by=["position"],
        columns={
            "entity": {"type": "string"},
            "position": {"type": "int32"},
            "skill": {"type": "int16"},
            "answer": {"type": "int8", "is_in": [0, 1]},
        },
        features={"skill": {"pad_value": -1}, "answer": {"pad_value": 0}},
        split={"strategy": "entity_hash"},
        sequence_lengths=[200],
        window={"mode": "last"},
        padding={"side": "left"},
        min_length=10,
    )
    workspace.ingest(spec)
    for subset in SUBSETS:
        workspace.sequence(spec, subset)
        table = read_table(workspace.warehouse.find(Dataset.sequenced("statics", subset, 200)))
        kept = sorted(
            (block for block in blocks if len(block[1]) >= 10 and is_validation(block[0]) == (subset == "validation")),
            key=lambda block: block[0].encode(),
        )
        assert table.column("entity").to_pylist() == [name for name, _, _ in kept]
        for name, index, pad in [("skill_sequence", 1, -1), ("answer_sequence", 2, 0)]:
            expected = [[pad] * (200 - len(block[index])) + block[index][-200:] for block in kept]
            assert table.column(name).to_pylist() == expected
    assert_everything_adds_up(workspace, spec, 189_297)


def test_algebra_skills_are_numbered_as_pandas_counts_them_and_keep_their_numbers(workspace: Workspace) -> None:
    frame = pd.read_csv(ALGEBRA, sep="\t", dtype=str, keep_default_na=False, quoting=3)
    half = frame.iloc[: len(frame) // 2]
    ids: dict[str, int] = {}
    for part in (half, frame):
        path = workspace.folder / "algebra.tsv"
        part.to_csv(path, sep="\t", index=False, quoting=3)
        spec = workspace.model(
            name="algebra",
            source={"location": "algebra.tsv"},
            entity="pupil",
            order_by=["at", "number"],
            columns={
                "pupil": {"type": "string", "from": "Anon Student Id"},
                "at": {"type": "timestamp", "from": "First Transaction Time"},
                "number": {"type": "int64", "from": "Row"},
                "skills": {"type": "string", "from": "KC(Default)", "nullable": True},
            },
            features={"skills": {"encode": "vocabulary"}},
            split={"strategy": "entity_hash"},
            sequence_lengths=[50],
        )
        raw = workspace.ingest(spec).version

        ordered = part.assign(key=part["Anon Student Id"].str.encode("utf-8"), number=part["Row"].astype(int))
        ordered = ordered.sort_values(["key", "First Transaction Time", "number"], kind="stable")
        train = of_subset(ordered, "Anon Student Id", "train")
        counts = train[train["KC(Default)"] != ""]["KC(Default)"].value_counts()
        new = sorted(set(counts.index) - set(ids), key=lambda skill: (-counts[skill], skill.encode()))
        ids |= {skill: len(ids) + 2 + number for number, skill in enumerate(new)}
        table = read_table(workspace.warehouse.find(Dataset.vocabulary("algebra"), raw.metadata["vocabulary_version"]))
        assert table.to_pydict() == {
            "feature": ["skills"] * len(ids),
            "value": list(ids),
            "id": list(ids.values()),
            "count": [int(counts.get(skill, 0)) for skill in ids],
        }
        for subset in SUBSETS:
            items = of_subset(ordered, "Anon Student Id", subset)
            workspace.sequence(spec, subset)
            row = items.groupby(["key", items["position"] // 50]).ngroup()
            expected = matrix(items, items["KC(Default)"].map(ids).fillna(1).astype(int), row, items["position"] % 50, 50, 0)
            assert (lists(workspace, spec, subset, "skills_sequence") == expected).all()
    assert len(new) > 0, "the second half has skills that the first one lacks"
    unknown = of_subset(ordered, "Anon Student Id", "validation")["KC(Default)"]
    assert not set(unknown) <= {"", *ids}, "validation has skills that train lacks"
