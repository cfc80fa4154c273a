"""A data set that came out empty is told, with why, unless the model file asks for it."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from seq_assets.assets.emptiness import empty_subset
from seq_assets.assets.judgements import Result, pad_ratio, with_empty_subsets
from seq_assets.assets.raw_observations import plan_ingest
from seq_assets.models import Subset
from seq_assets.sequencing.accounting import IngestAccounting
from seq_assets.sequencing.plans import Dataset, IngestPlan, SequencePlan
from seq_assets_tests.assets.building import School
from seq_assets_tests.cli.running import SOURCE, run, run_json
from seq_assets_tests.models.model_files import model
from seq_assets_tests.warehouse.building import Workspace

COLUMN = {"strategy": "column", "column": "school", "train": ["a"], "validation": ["b", "c"]}
SOME = IngestAccounting(2, 1, 1, 1, 0, {"null": 1})
NONE = IngestAccounting(1_200, 0, 1_200, 0, 0, {"malformed": 1_000, "null": 200})
TIME = {"strategy": "time", "column": "timestamp", "cutoff": "2024-01-01"}


@pytest.fixture
def school(tmp_path: Path) -> School:
    """A school with its source, and no model yet."""
    found = School(tmp_path)
    found.add_source()
    return found


def judged(school: School, subset: Subset, length: int = 5, **fields: Any) -> Result:
    """What `pad_ratio` says of the sequences of a model with these fields, which are built."""
    school.add_model("dkt", [length], **fields)
    plan = plan_ingest(school.grid(), "dkt")
    assert isinstance(plan, IngestPlan)
    raw = school.warehouse.execute(plan).version
    school.warehouse.execute(SequencePlan.of(plan.spec, subset, length, raw.id))
    return pad_ratio(school.warehouse, school.grid(), Dataset.sequenced("dkt", subset, length))


@pytest.mark.parametrize(
    ("split", "subset", "said"),
    [
        ({"strategy": "entity_hash"}, "validation", "validation is empty: the hash puts no entity there"),
        ({"strategy": "entity_hash", "validation_fraction": 0.9}, "train", "split.validation_fraction, now 0.9, or split.seed"),
        (COLUMN, "validation", "no accepted record has one of split.validation ('b', 'c') in school"),
        (COLUMN, "train", "no accepted record has one of split.train ('a') in school"),
        (TIME, "validation", "no accepted record has a timestamp at or after split.cutoff, 2024-01-01"),
        (TIME, "train", "no accepted record has a timestamp before split.cutoff, 2024-01-01"),
        ({"strategy": "location"}, "train", "no record of a file below train/ was accepted"),
    ],
)
def test_an_empty_subset_is_told_with_why(split: dict[str, Any], subset: Subset, said: str) -> None:
    assert said in str(empty_subset(model({"split": split}), subset, SOME))


@pytest.mark.parametrize("split", [{"strategy": "entity_hash"}, COLUMN, TIME, {"strategy": "location"}])
def test_where_all_records_are_rejected_a_split_is_no_reason(split: dict[str, Any]) -> None:
    assert empty_subset(model({"split": split}), "train", NONE) == (
        "train is empty: all 1,200 records of the source were rejected (malformed 1,000, null 200); mend them, or the contract."
    )


@pytest.mark.parametrize(("fraction", "subset"), [(0, "validation"), (1, "train")])
def test_a_subset_that_the_model_file_asks_to_be_empty_is_no_surprise(fraction: float, subset: Subset) -> None:
    assert empty_subset(model({"split": {"strategy": "entity_hash", "validation_fraction": fraction}}), subset, SOME) is None


def test_sequences_of_an_empty_subset_warn(school: School) -> None:
    result = judged(school, "validation", split={"strategy": "entity_hash", "validation_fraction": 0.000001})
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert str(result.description).startswith("validation is empty: the hash puts no entity there")
    assert judged(school, "validation", split={"strategy": "entity_hash", "validation_fraction": 0}).passed


def test_sequences_of_a_source_that_was_rejected_whole_warn_of_that(school: School) -> None:
    columns = {name: {"type": "int64", "is_in": [-5]} for name in ("pupil", "time", "skill", "correct")}
    result = judged(school, "train", columns=columns, checks={"rejected_ratio": {"max": 1.0}})
    assert str(result.description).startswith("train is empty: all 200 records of the source were rejected (is_in 200)")


def test_a_subset_whose_windows_are_all_too_short_warns(school: School) -> None:
    everything = {"strategy": "entity_hash", "validation_fraction": 0}
    result = judged(school, "train", 50, split=everything, min_length=30)
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert str(result.description).startswith(
        "train has 200 observations and no sequence: every window is shorter than 30 items (min_length 30, window.mode chunk), "
        "and the longest history has 19."
    )


def test_observations_of_a_raw_model_warn_of_an_empty_subset(school: School) -> None:
    school.add_model("irt", [], split={"strategy": "time", "column": "time", "cutoff": "2100-01-01"}, **timed_columns())
    plan = plan_ingest(school.grid(), "irt")
    assert isinstance(plan, IngestPlan)
    school.warehouse.execute(plan)
    result = with_empty_subsets(school.warehouse, school.grid(), "irt", Result("no_leakage", True, {"misplaced": 0}))
    assert (result.passed, result.severity, result.metadata) == (False, dg.AssetCheckSeverity.WARN, {"misplaced": 0})
    assert "validation is empty: no accepted record has a time at or after split.cutoff" in str(result.description)
    worse = Result("no_leakage", False, {}, "1 observations are in the wrong subset")
    assert with_empty_subsets(school.warehouse, school.grid(), "irt", worse) is worse


def timed_columns() -> dict[str, Any]:
    """The source's times, as seconds since 1970."""
    return {"columns": {"pupil": {"type": "int64"}, "time": {"type": "timestamp", "unit": "s"}}}


@pytest.mark.slow
def test_the_command_line_warns_of_what_came_out_empty(workspace: Workspace) -> None:
    workspace.write("source.csv", SOURCE)
    workspace.sequence_model(min_length=4, sequence_lengths=[4])
    warned = (
        "warn: pad_ratio of sequenced_train, plain|4: train has 4 observations and no sequence: every window is shorter than 4"
    )
    assert warned in run("materialize").stdout
    checks = run_json("materialize")["checks"]
    assert [(check["check"], check["asset"], check["severity"]) for check in checks] == [
        ("pad_ratio", "sequenced_train", "warn")
    ]


def test_the_command_line_warns_of_a_raw_model_without_validation(workspace: Workspace) -> None:
    workspace.write("source.csv", SOURCE)
    workspace.model(split={"strategy": "entity_hash", "validation_fraction": 0.000001})
    assert "warn: no_leakage of raw_observations, plain: validation is empty" in run("materialize").stdout
