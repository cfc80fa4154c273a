"""The checks that a failed run leaves out, requested for just what it published."""

from typing import Any

import dagster as dg
import pytest
from dagster._core.events import StepMaterializationData
from dagster._core.execution.plan.objects import StepFailureData

from seq_assets.assets.automation import INGEST_JOB
from seq_assets.assets.automation.unchecked import CHECK_OBSERVATIONS_JOB, CHECK_SEQUENCES_JOB
from seq_assets.models.spec import EnvironmentName
from seq_assets_tests.assets.building import School, range_tags


@pytest.fixture
def models(school: School) -> School:
    """`a` and `b`, with a length of `c` between their own."""
    for name in ("a", "b"):
        school.add_model(name, [5, 10, 50])
    school.add_model("c", [20])
    return school


def requested(
    school: School, instance: dg.DagsterInstance, published: dict[str, list[str]], failed: set[str]
) -> list[tuple[str | None, dict[str, str]]]:
    """Job and range of what is requested after a run in which steps published partitions and then failed."""
    run = dg.DagsterRun(INGEST_JOB)
    instance.add_run(run)
    for step, keys in published.items():
        for key in keys:
            data = StepMaterializationData(dg.AssetMaterialization(step, partition=key))
            record(instance, run, dg.DagsterEventType.ASSET_MATERIALIZATION, step, data)
    for step in failed:
        record(instance, run, dg.DagsterEventType.STEP_FAILURE, step, StepFailureData(None, None))  # type: ignore[no-untyped-call]
    event = dg.DagsterEvent(dg.DagsterEventType.RUN_FAILURE.value, INGEST_JOB)
    context = dg.build_run_status_sensor_context("unchecked", event, instance, run).for_run_failure()
    requests: list[dg.RunRequest] = list(school.definitions().resolve_sensor_def("unchecked")(context))  # type: ignore[arg-type]
    return [(request.job_name, dict(request.tags)) for request in requests]


def record(instance: dg.DagsterInstance, run: dg.DagsterRun, kind: dg.DagsterEventType, step: str, data: Any) -> None:
    """Records an event of a step."""
    event = dg.DagsterEvent(kind.value, run.job_name, step_key=step, event_specific_data=data)
    instance.report_dagster_event(event, run.run_id)


def test_neighbours_are_checked_in_one_run(models: School, instance: dg.DagsterInstance) -> None:
    published = {"raw_observations": ["c", "a", "b"]}
    assert requested(models, instance, published, {"raw_observations"}) == [(CHECK_OBSERVATIONS_JOB, range_tags("a", "c"))]


def test_what_was_not_published_is_not_checked(models: School, instance: dg.DagsterInstance) -> None:
    published = {"raw_observations": ["a", "c"]}
    assert requested(models, instance, published, {"raw_observations"}) == [
        (CHECK_OBSERVATIONS_JOB, range_tags("a", "a")),
        (CHECK_OBSERVATIONS_JOB, range_tags("c", "c")),
    ]
    assert requested(models, instance, {}, {"raw_observations"}) == []


def test_cells_are_checked_by_model_both_subsets_together(models: School, instance: dg.DagsterInstance) -> None:
    published = {"sequenced_train": ["a|5", "a|50", "b|5"], "sequenced_validation": ["a|5", "a|10", "b|5"]}
    assert requested(models, instance, published, set(published)) == [
        (CHECK_SEQUENCES_JOB, range_tags("a|5", "a|10")),
        (CHECK_SEQUENCES_JOB, range_tags("a|50", "a|50")),
        (CHECK_SEQUENCES_JOB, range_tags("b|5", "b|5")),
    ]


def test_a_step_that_succeeded_has_had_its_checks(models: School, instance: dg.DagsterInstance) -> None:
    published = {"sequenced_train": ["a|5"], "sequenced_validation": ["b|5"]}
    assert requested(models, instance, published, {"sequenced_train"}) == [(CHECK_SEQUENCES_JOB, range_tags("a|5", "a|5"))]
    assert requested(models, instance, {"raw_observations": ["a"]}, {"check_raw_observations"}) == []


@pytest.mark.parametrize("job", [CHECK_OBSERVATIONS_JOB, CHECK_SEQUENCES_JOB])
def test_the_jobs_have_checks_alone(models: School, job: str) -> None:
    layer = models.definitions().resolve_job_def(job).asset_layer
    assert not layer.executable_asset_keys
    assert layer.asset_graph.asset_check_keys


@pytest.mark.parametrize("name", ["local", "staging", "prod"])
def test_it_is_on_in_prod_and_off_elsewhere(models: School, name: EnvironmentName) -> None:
    sensor = models.definitions(environment=name).resolve_sensor_def("unchecked")
    assert sensor.default_status.name == ("RUNNING" if name == "prod" else "STOPPED")
