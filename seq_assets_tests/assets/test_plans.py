"""What an asset asks for: the plan of each partition, from the model file and the versions that stand. Nothing is run."""

from datetime import UTC, datetime
from typing import Any

import pytest

from seq_assets.assets.raw_observations import plan_ingest
from seq_assets.assets.sequenced import plan_cell
from seq_assets.models import SUBSETS, Subset
from seq_assets.sequencing.plans import Dataset, IngestPlan, RefusedPlan, SequencePlan
from seq_assets.sequencing.schemas import TableSchema
from seq_assets.warehouse.interface import RawObservations, Version
from seq_assets_tests.assets.building import School

NOTHING = RawObservations({})


def published(model: str, version: int = 7) -> RawObservations:
    """The handle of one model's raw observations."""
    return RawObservations({model: Version(Dataset.raw(model), version, datetime.now(UTC), 0, TableSchema(()), (), {})})


def test_a_models_source_is_read_as_its_file_says(school: School) -> None:
    school.add_model("dkt", [5])
    plan = plan_ingest(school.grid(), "dkt")
    assert plan == IngestPlan(school.grid().registry["dkt"], "answers.csv", str(school.models_folder))


def test_a_raw_model_is_ingested_as_any_other(school: School) -> None:
    school.add_model("irt", [])
    assert isinstance(plan_ingest(school.grid(), "irt"), IngestPlan)


def test_of_a_mapping_of_locations_the_environments_own_is_read(school: School) -> None:
    school.add_model("dkt", [5], source={"location": {"local": "answers.csv", "prod": "s3://bucket/answers/"}})
    plan = plan_ingest(school.grid(), "dkt")
    assert isinstance(plan, IngestPlan)
    assert plan.location == "answers.csv"


def test_a_mapping_of_locations_without_this_environment_is_refused_with_the_remedy(school: School) -> None:
    school.add_model("dkt", [5], source={"location": {"prod": "s3://bucket/answers/"}})
    plan = plan_ingest(school.grid(), "dkt")
    assert plan == RefusedPlan("dkt: source.location names no location for the environment 'local'; add one.")


def test_a_broken_model_file_refuses_its_ingest_with_all_its_mistakes(school: School) -> None:
    school.add_model("dkt", [5])
    school.add_file("broken")
    plan = plan_ingest(school.grid(), "broken")
    assert isinstance(plan, RefusedPlan)
    assert str(school.models_folder / "broken.yaml") in plan.message
    assert "did you mean 'source'?" in plan.message
    assert "columns" in plan.message
    assert isinstance(plan_ingest(school.grid(), "dkt"), IngestPlan), "it takes no other model down"


@pytest.mark.parametrize("subset", SUBSETS)
def test_a_declared_cell_is_sequenced_from_the_version_that_the_handle_names(school: School, subset: Subset) -> None:
    school.add_model("dkt", [5, 10], window={"mode": "sliding", "stride": 2}, padding={"side": "left"})
    plan = plan_cell(school.grid(), subset, "dkt|10", published("dkt", version=42))
    assert plan == SequencePlan.of(school.grid().registry["dkt"], subset, 10, 42)
    assert plan.dataset == Dataset.sequenced("dkt", subset, 10)


@pytest.mark.parametrize("raw_observations", [NOTHING, published("dkt")])
def test_a_length_that_is_not_declared_is_refused_with_the_declared_ones(
    school: School, raw_observations: RawObservations
) -> None:
    school.add_model("dkt", [10, 5])
    school.add_model("sakt", [50])
    plan = plan_cell(school.grid(), "train", "dkt|50", raw_observations)
    assert plan == RefusedPlan(
        "dkt|50: no declared cell; dkt has the lengths 5, 10. Choose another, or add it to its sequence_lengths."
    )


@pytest.mark.parametrize("model", [{"sequence_lengths": []}, {"sequence_lengths": [5], "features": {}}])
def test_a_raw_model_has_no_cell(school: School, model: dict[str, Any]) -> None:
    school.add_model("irt", **model)
    plan = plan_cell(school.grid(), "train", "irt|5", published("irt"))
    assert isinstance(plan, RefusedPlan)
    assert "irt is a raw model." in plan.message


def test_a_cell_whose_raw_observations_were_never_published_is_refused_with_the_remedy(school: School) -> None:
    school.add_model("dkt", [5])
    plan = plan_cell(school.grid(), "train", "dkt|5", published("sakt"))
    assert plan == RefusedPlan("dkt has no published raw_observations; materialize that partition first.")


def test_a_broken_model_file_refuses_its_cells_with_its_mistakes(school: School) -> None:
    school.add_model("dkt", [5])
    school.add_file("broken")
    plan = plan_cell(school.grid(), "train", "broken|5", NOTHING)
    assert isinstance(plan, RefusedPlan)
    assert str(school.models_folder / "broken.yaml") in plan.message
