"""Plans are values whose identity changes exactly when what they make could change."""

from typing import Any

import pytest
from hypothesis import given, settings

from seq_assets.models import ColumnType, ModelSpec, parse_model
from seq_assets.sequencing.plans import Dataset, FeaturePlan, IngestPlan, SequencePlan
from seq_assets.sequencing.windows import Sliding
from seq_assets_tests.models.model_files import MODEL, model, model_text
from seq_assets_tests.reference import examples
from seq_assets_tests.sequencing.cases import Case, cases

NEITHER: list[dict[str, Any]] = [
    {"description": "Another one."},
    {"owner": "someone@school.org"},
    {"columns.skillid.description": "The skill that an exercise trains."},
    {"checks.pad_ratio": {"warn": 0.1, "max": 0.2}},
]
ONLY_RAW: list[dict[str, Any]] = [
    {"source.location": "elsewhere/*.csv"},
    {"source.format": "auto"},
    {"source.options.null_values": [""]},
    {"order_by": ["timestamp", "skillid"]},
    {"order_by": []},
    {"columns.correct.is_in": [0, 1, 2]},
    {"columns.skillid.from": "Skill"},
    {"columns.skillid.nullable": True},
    {"columns": dict(reversed(MODEL["columns"].items()))},
    {"split.seed": 1},
    {"split.validation_fraction": 0.3},
    {"split": {"strategy": "time", "column": "timestamp", "cutoff": "2024-01-01"}},
    {"checks.rejected_ratio.max": 0.1},
]
ONLY_SEQUENCES: list[dict[str, Any]] = [
    {"features.correct.pad_value": -1},
    {"features.elapsed.fill_null": 1.0},
    {"features": dict(reversed(MODEL["features"].items()))},
    {"features.skillid": {"pad_value": 0}},
    {"window.mode": "last"},
    {"window": {"mode": "sliding", "stride": 50}},
    {"padding.side": "left"},
    {"min_length": 2},
]


def raw_identity(spec: ModelSpec) -> str:
    return IngestPlan(spec, str(spec.location("local")), "models").identity


def sequence_identity(spec: ModelSpec) -> str:
    return SequencePlan.of(spec, "train", 50, raw_version=1).identity


def changed(changes: dict[str, Any]) -> tuple[bool, bool]:
    """Whether a change of the model file changes the identity of its raw observations, and of its sequences."""
    before, after = model(), model(changes)
    return raw_identity(before) != raw_identity(after), sequence_identity(before) != sequence_identity(after)


@pytest.mark.parametrize("changes", NEITHER, ids=str)
def test_what_is_only_said_about_a_model_changes_no_identity(changes: dict[str, Any]) -> None:
    assert changed(changes) == (False, False)


@pytest.mark.parametrize("changes", ONLY_RAW, ids=str)
def test_what_is_read_and_split_changes_the_identity_of_raw_observations(changes: dict[str, Any]) -> None:
    assert changed(changes) == (True, False)


@pytest.mark.parametrize("changes", ONLY_SEQUENCES, ids=str)
def test_what_is_made_of_it_changes_the_identity_of_sequences_only(changes: dict[str, Any]) -> None:
    assert changed(changes) == (False, True)


def test_comments_the_order_of_fields_and_spelling_change_no_identity() -> None:
    text = "# a comment\n" + model_text().replace("type: int32", "nullable: false\n    type: int32")
    spec = parse_model(text, "other.yaml")
    assert raw_identity(spec) == raw_identity(model())
    assert sequence_identity(spec) == sequence_identity(model())


def test_another_length_changes_no_identity_of_a_length_that_stays() -> None:
    assert changed({"sequence_lengths": [50, 200]}) == (False, False)


def test_another_name_is_another_dataset() -> None:
    assert changed({"name": "others"}) == (True, True)


def test_ties_are_part_of_the_identity_only_where_they_are_said() -> None:
    table = {"source.location": "glue://school/answers"}
    unsaid, said = model(table), model(table | {"ties": "any"})
    assert raw_identity(unsaid) != raw_identity(said)
    # As it was before the field was there.
    assert unsaid.digest("order_by", "ties") == unsaid.digest("order_by")


def test_descriptions_of_columns_are_in_no_digest_so_that_those_of_before_there_were_any_stay() -> None:
    described = model({"columns.skillid.description": "The skill that an exercise trains."})
    assert described.digest() == model().digest()
    assert model().digest("columns") == "d53232d557aa4d0532f4404ec368240858dd7cb7b3313810441f91f415d441bc"


def test_options_that_came_when_there_were_versions_are_in_no_digest_where_they_are_unsaid() -> None:
    assert model().digest("source") == "3290b59b23ae181e26aa9a077935dc5279e2ed5c6a8975b9a64d7e22dca5d2af"
    options = {"quoting": "none", "quoted_nulls": True, "skip_rows": 1, "decimal": ",", "thousands": "'"}
    assert all(changed({f"source.options.{name}": value}) == (True, False) for name, value in options.items())


def test_only_the_location_of_its_own_environment_counts() -> None:
    here = model({"source.location": {"local": "a.csv", "prod": "s3://bucket/a/"}})
    moved = model({"source.location": {"local": "a.csv", "prod": "s3://bucket/b/"}})
    assert raw_identity(here) == raw_identity(moved)
    assert IngestPlan(here, "s3://bucket/a/", "").identity != IngestPlan(moved, "s3://bucket/b/", "").identity


def test_each_subset_length_and_raw_version_has_an_identity_of_its_own() -> None:
    plans = [
        SequencePlan.of(model(), "train", 50, raw_version=1),
        SequencePlan.of(model(), "validation", 50, raw_version=1),
        SequencePlan.of(model(), "train", 100, raw_version=1),
        SequencePlan.of(model(), "train", 50, raw_version=2),
    ]
    assert len({plan.identity for plan in plans}) == 4


def test_a_plan_says_what_the_model_file_says() -> None:
    spec = model({"window": {"mode": "sliding", "stride": 25}, "padding.side": "left", "min_length": 3})
    plan = SequencePlan.of(spec, "validation", 100, raw_version=7)
    assert plan == SequencePlan(
        model="pupils",
        subset="validation",
        raw_version=7,
        entity=("pupilid", ColumnType.INT64),
        features=(
            FeaturePlan("pupilid", ColumnType.INT64, -1),
            FeaturePlan("correct", ColumnType.INT8, 0),
            FeaturePlan("elapsed", ColumnType.FLOAT32, 0.0, 0.0),
        ),
        window=Sliding(25),
        sequence_length=100,
        padding_side="left",
        min_length=3,
    )


def test_a_sequence_plan_has_the_schema_of_its_table() -> None:
    assert SequencePlan.of(model(), "train", 50, raw_version=1).schema.names == (
        "pupilid",
        "sequence_index",
        "sequence_start",
        "sequence_size",
        "pupilid_sequence",
        "correct_sequence",
        "elapsed_sequence",
        "is_pad_sequence",
    )


def test_an_ingest_plan_has_the_schema_of_the_raw_table() -> None:
    schema = IngestPlan(model(), "answers/*.csv", "models").schema
    assert schema.names == (*MODEL["columns"], "subset", "_file", "_row", "_position")
    assert [column.name for column in schema.columns if column.nullable] == ["elapsed", "_row"]


def test_first_and_last_windows_are_not_the_same_plan() -> None:
    assert sequence_identity(model({"window.mode": "first"})) != sequence_identity(model({"window.mode": "last"}))


@settings(max_examples=examples(50), deadline=None)
@given(cases())
def test_a_sequence_plan_survives_its_json(case: Case) -> None:
    again = SequencePlan.from_json(case.plan.to_json())
    assert again == case.plan
    assert again.identity == case.plan.identity


@pytest.mark.parametrize(
    ("dataset", "table"),
    [
        (Dataset.raw("dkt"), "dkt_raw_observations"),
        (Dataset.rejected("dkt"), "dkt_rejected_observations"),
        (Dataset.sequenced("dkt", "train", 100), "dkt_sequenced_train_100"),
        (Dataset.sequenced("dkt", "validation", 100), "dkt_sequenced_validation_100"),
    ],
)
def test_each_dataset_is_a_table_of_its_own(dataset: Dataset, table: str) -> None:
    assert dataset.table == table


def test_plans_publish_their_own_dataset() -> None:
    assert IngestPlan(model(), "a.csv", "").dataset == Dataset.raw("pupils")
    assert SequencePlan.of(model(), "train", 50, 1).dataset == Dataset.sequenced("pupils", "train", 50)
