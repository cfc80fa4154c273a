"""What docs/semantics.md says of an ingest, where no other test of it does."""

import json

import pyarrow as pa
import pytest

from seq_assets.sequencing.plans import Dataset
from seq_assets_tests.warehouse.building import PLAIN_COLUMNS, Workspace

NAN = float("nan")


@pytest.mark.parametrize("name", ["source.csv", "source.jsonl", "source.parquet"])
def test_null_and_nan_are_rejected_alike_where_none_may_be(workspace: Workspace, name: str) -> None:
    content = {
        "source.csv": "pupil,time,item,score\n1,1,1,0.5\n1,2,2,NaN\n1,3,3,\n",
        "source.jsonl": '{"pupil": 1, "time": 1, "item": 1, "score": 0.5}\n'
        '{"pupil": 1, "time": 2, "item": 2, "score": "NaN"}\n{"pupil": 1, "time": 3, "item": 3, "score": null}\n',
        "source.parquet": pa.table({"pupil": [1] * 3, "time": [1, 2, 3], "item": [1, 2, 3], "score": [0.5, NAN, None]}),
    }
    workspace.write(name, content[name])
    columns = {**PLAIN_COLUMNS, "score": {"type": "float64"}}
    spec = workspace.model(source={"location": name}, columns=columns, checks={"rejected_ratio": {"max": 1}})
    workspace.ingest(spec)
    assert [row["score"] for row in workspace.raw_rows(spec)] == [0.5]
    found = [(row["row"], row["column"], row["reason"]) for row in workspace.rejected_rows(spec)]
    assert found == [(2, "score", "null"), (3, "score", "null")]


def test_the_variance_of_large_numbers_is_exact(workspace: Workspace) -> None:
    """As float64, these three numbers are one."""
    large = 2**62
    workspace.write("source.csv", f"pupil,time,item\n1,1,{large + 1}\n1,2,{large + 2}\n1,3,{large + 3}\n")
    spec = workspace.model(columns={**PLAIN_COLUMNS, "item": {"type": "int64"}})
    workspace.ingest(spec)
    metrics = workspace.warehouse.find(Dataset.raw(spec.name)).metadata["metrics"]["item"]
    assert (metrics["variance"], metrics["standard_deviation"], metrics["unique"]) == (1.0, 1.0, 3)


@pytest.mark.parametrize("largest", [1e200, 1.7e308])
def test_what_exceeds_float64_is_null(workspace: Workspace, largest: float) -> None:
    table = pa.table({"pupil": [1, 1], "time": [1, 2], "item": [1, 2], "score": [-largest, largest]})
    workspace.write("source.parquet", table)
    columns = {**PLAIN_COLUMNS, "score": {"type": "float64"}}
    spec = workspace.model(source={"location": "source.parquet"}, columns=columns)
    workspace.ingest(spec)
    metrics = workspace.warehouse.find(Dataset.raw(spec.name)).metadata["metrics"]["score"]
    assert (metrics["min"], metrics["max"], metrics["variance"]) == (-largest, largest, None)
    json.dumps(metrics, allow_nan=False)


@pytest.mark.parametrize(
    ("name", "content"),
    [("source.csv", "pupil,time,item\n1,2,3\n{}\n"), ("source.jsonl", '{{"pupil": 1, "time": 2, "item": 3}}\n{}\n')],
)
def test_a_malformed_record_is_kept_up_to_its_thousandth_character(workspace: Workspace, name: str, content: str) -> None:
    long = "é" * 1_001
    workspace.write(name, content.format(long))
    spec = workspace.model(source={"location": name}, checks={"rejected_ratio": {"max": 1}})
    workspace.ingest(spec)
    assert [(row["reason"], row["value"]) for row in workspace.rejected_rows(spec)] == [("malformed", long[:1_000])]
