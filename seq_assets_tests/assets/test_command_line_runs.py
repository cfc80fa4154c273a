"""Runs of the command line in the UI: they belong to the code location, and are executed again from there."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from seq_assets.assets.automation import INGEST_JOB, SEQUENCE_JOB
from seq_assets.environments import CODE_LOCATION
from seq_assets.materialize import materialize_models
from seq_assets.warehouse.cancellation import CanceledError, cancelable
from seq_assets_tests.assets.building import School
from seq_assets_tests.assets.hosting import Hosted, hosted

RUNS_OF_JOB: Final = """
query($selector: PipelineSelector!) { job: pipelineOrError(params: $selector) {
  ... on Pipeline { runs(limit: 10) { runId status repositoryOrigin { repositoryName repositoryLocationName } } } } }"""
TIMELINE: Final = """
query($filter: RunsFilter!) { runs: runsOrError(filter: $filter) { ... on Runs { results { runId } } } }"""
CHECKS: Final = """
query($key: AssetKeyInput!) { node: assetNodeOrError(assetKey: $key) { ... on AssetNode { assetChecksOrError {
  ... on AssetChecks { checks { name executionForLatestMaterialization { status } } } } } } }"""
REEXECUTE: Final = """
mutation($parameters: ReexecutionParams!) { started: launchRunReexecution(reexecutionParams: $parameters) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""


@pytest.fixture
def school(tmp_path: Any) -> School:
    """The model `dkt` (lengths 5 and 10)."""
    school = School(tmp_path)
    school.add_source()
    school.add_model("dkt")
    return school


@pytest.fixture
def location(school: School) -> Iterator[Hosted]:
    with hosted(school) as location:
        yield location


def materialize(school: School) -> tuple[str, ...]:
    """What the command line does for the model `dkt`; what failed."""
    [outcome] = materialize_models(school.environment, school.environment.registry(), ["dkt"], [], force=False)
    return outcome.failures


def runs_of(location: Hosted, job: str) -> list[dict[str, Any]]:
    """What the job's page lists, newest first."""
    selector = {"repositoryName": "__repository__", "repositoryLocationName": CODE_LOCATION, "pipelineName": job}
    runs: list[dict[str, Any]] = location.query(RUNS_OF_JOB, selector=selector)["job"]["runs"]
    return runs


def executed_again(location: Hosted, run: str, strategy: str) -> bool:
    """Whether a run succeeds that a button of another run's page launches."""
    started = location.query(REEXECUTE, parameters={"parentRunId": run, "strategy": strategy})["started"]
    assert started["__typename"] == "LaunchRunSuccess", started
    location.launch_what_may()
    return location.succeeded(started["run"]["runId"])


@pytest.mark.slow
def test_they_are_found_on_the_pages_of_their_jobs_and_in_the_timeline(location: Hosted, school: School) -> None:
    assert materialize(school) == ()
    listed = [run for job in (INGEST_JOB, SEQUENCE_JOB) for run in runs_of(location, job)]
    assert [run["status"] for run in listed] == ["SUCCESS", "SUCCESS"]
    origin = {"repositoryName": "__repository__", "repositoryLocationName": CODE_LOCATION}
    assert [run["repositoryOrigin"] for run in listed] == [origin, origin]
    tag = {"key": ".dagster/repository", "value": f"__repository__@{CODE_LOCATION}"}
    timeline = location.query(TIMELINE, filter={"tags": [tag]})["runs"]["results"]
    assert {run["runId"] for run in timeline} == {run["runId"] for run in listed}


@pytest.mark.slow
def test_all_of_one_is_executed_again(location: Hosted, school: School) -> None:
    materialize(school)
    for job in (INGEST_JOB, SEQUENCE_JOB):
        [run] = runs_of(location, job)
        assert executed_again(location, run["runId"], "ALL_STEPS")


@pytest.mark.slow
def test_a_failed_one_is_executed_again_from_its_failure(location: Hosted, school: School) -> None:
    school.add_source(wrong_answers=3)
    assert len(materialize(school)) == 1
    [run] = runs_of(location, INGEST_JOB)
    assert run["status"] == "FAILURE"
    school.add_source()
    assert executed_again(location, run["runId"], "FROM_FAILURE")


@pytest.mark.slow
def test_one_that_was_told_to_stop_is_canceled_and_its_checks_are_not_in_progress(
    location: Hosted, school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    materialize(school)
    school.add_model("dkt", sequence_lengths=[5, 10], min_length=2)
    with cancelable() as cancel, monkeypatch.context() as patched:
        patched.setattr("seq_assets.warehouse.local.warehouse.raw_findings", lambda *_: cancel())
        with pytest.raises(CanceledError):
            materialize_models(school.environment, school.environment.registry(), ["dkt"], [], force=True)
    run, _ = runs_of(location, INGEST_JOB)
    assert run["status"] == "CANCELED"
    checks = location.query(CHECKS, key={"path": ["raw_observations"]})["node"]["assetChecksOrError"]["checks"]
    assert "IN_PROGRESS" not in {check["executionForLatestMaterialization"]["status"] for check in checks}
    assert executed_again(location, run["runId"], "ALL_STEPS")


@pytest.mark.parametrize("job", [INGEST_JOB, SEQUENCE_JOB])
def test_a_job_without_a_partition_is_refused_with_what_to_choose(location: Hosted, job: str) -> None:
    run = location.run(job, {})
    assert location.status(run) == "FAILURE"
    said = [entry.user_message for entry in location.instance.all_logs(run) if entry.dagster_event is None]
    [sentence] = [text for text in said if "has no partition" in text]
    assert f"The run of {job} has no partition" in sentence
    assert "choose some in the dialog of Materialize all, or set the tag dagster/partition to one" in sentence
