"""The checks that a failed run leaves out, requested for just what it published."""

from typing import Any

import dagster as dg
import pytest
from dagster._core.events import StepMaterializationData
from dagster._core.execution.plan.objects import StepFailureData

from seq_assets.assets.automation import INGEST_JOB
from seq_assets.assets.automation.unchecked import CHECK_OBSERVATIONS_JOB, CHECK_SEQUENCES_JOB
from seq_assets.assets.checks import RAW_CHECKS
from seq_assets.models.spec import EnvironmentName
from seq_assets_tests.assets.building import Runner, School, check_keys, range_tags
from seq_assets_tests.assets.hosting import hosted


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
    return [
        (request.job_name, {name: value for name, value in request.tags.items() if name.startswith("dagster/")})
        for request in requests
    ]


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


def test_cells_side_by_side_are_checked_in_one_run_both_subsets_together(models: School, instance: dg.DagsterInstance) -> None:
    published = {"sequenced_train": ["a|5", "a|50", "b|5"], "sequenced_validation": ["a|5", "b|5", "b|50"]}
    assert requested(models, instance, published, set(published)) == [
        (CHECK_SEQUENCES_JOB, range_tags("a|5", "a|5")),
        (CHECK_SEQUENCES_JOB, range_tags("a|50", "b|5")),
        (CHECK_SEQUENCES_JOB, range_tags("b|50", "b|50")),
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


class TestWhereTheSensorIsOff:
    """The log of the failed run says what is unchecked and how it is checked, and that does it."""

    @pytest.fixture
    def models(self, school: School) -> School:
        """`a` and `c` are good, the source of `b` breaks its contract."""
        school.add_source("wrong.csv", wrong_answers=3)
        school.add_model("a")
        school.add_model("b", source={"location": "wrong.csv"})
        school.add_model("c", [])
        return school

    @pytest.mark.slow
    def test_the_log_names_what_was_published_and_where_its_checks_are_run(
        self, models: School, instance: dg.DagsterInstance
    ) -> None:
        run = Runner(models.definitions(), instance).job(INGEST_JOB, "a", "c")
        assert [message for message in run.messages if "checks" in message] == [
            "raw_observations: a, c were published, and their checks skipped, as in every run that fails. The sensor unchecked "
            "runs them if it is on; otherwise choose Execute all on the tab Checks of raw_observations."
        ]

    @pytest.mark.slow
    def test_cells_are_named_by_the_asset_whose_step_failed(self, models: School, instance: dg.DagsterInstance) -> None:
        runner = Runner(models.definitions(), instance)
        runner.ingest("a")
        run = runner.sequence("a|5", "b|5")
        assert [message.split(" were")[0] for message in run.messages if "their checks skipped" in message] == [
            "sequenced_train: a|10, a|5",
            "sequenced_validation: a|10, a|5",
        ]

    def test_nothing_is_said_where_nothing_was_published(self, models: School, instance: dg.DagsterInstance) -> None:
        run = Runner(models.definitions(), instance).job(INGEST_JOB, "b")
        assert not run.success
        assert not [message for message in run.messages if "checks" in message]

    @pytest.mark.slow
    def test_executing_all_checks_of_the_asset_gives_everything_that_is_published_its_results(self, models: School) -> None:
        with hosted(models) as location:
            assert not location.succeeded(location.run(INGEST_JOB, range_tags("a", "c")))
            for statuses in location.assets_shown()["raw_observations"].checks.values():
                assert "succeededPartitions" not in statuses
            assert location.succeeded(location.run("__ASSET_JOB", {}, check_keys("raw_observations", RAW_CHECKS)))
            for statuses in location.assets_shown()["raw_observations"].checks.values():
                assert statuses["succeededPartitions"] == {"a", "c"}
