"""What is requested at a time of day, evaluated without a daemon."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import dagster as dg
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from seq_assets.assets.automation import GC_JOB, INGEST_JOB
from seq_assets.assets.checks import RAW_CHECKS
from seq_assets.io_managers.metadata import RAW_KEY
from seq_assets.models.spec import EnvironmentName
from seq_assets.warehouse.interface import Garbage, Removed
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets.warehouse.retention import OLDER_THAN, Retention
from seq_assets_tests.assets.building import NO_TELEMETRY, Runner, School, plain, range_tags

NIGHT = datetime(2026, 3, 29, 3, tzinfo=UTC)


def requests(school: School, at: datetime = NIGHT) -> list[dg.RunRequest]:
    """What the schedule requests at a time."""
    definitions = school.definitions()
    context = dg.build_schedule_context(scheduled_execution_time=at, repository_def=definitions.get_repository_def())
    return list(definitions.resolve_schedule_def("daily").evaluate_tick(context).run_requests or [])


def test_every_readable_model_with_a_source_here_is_ingested_in_as_few_runs_as_possible(school: School) -> None:
    for name in ("a", "b", "d", "f"):
        school.add_model(name)
    school.add_file("c")
    school.add_model("e", source={"location": {"prod": "s3://bucket/answers/"}})
    ranges = [range_tags("a", "b"), range_tags("d", "d"), range_tags("f", "f")]
    requested = requests(school)
    assert len(requested) == len(ranges)
    assert all(request.tags.items() >= tags.items() for request, tags in zip(requested, ranges, strict=True))


def test_a_night_is_requested_once_and_the_next_one_anew(school: School) -> None:
    school.add_model("a")
    [first], [again], [next_night] = requests(school), requests(school), requests(school, NIGHT.replace(day=30))
    assert first.run_key == again.run_key != next_night.run_key


def test_without_readable_models_nothing_is_requested(school: School) -> None:
    school.add_file("broken")
    assert requests(school) == []


def test_it_is_at_three_in_the_morning_utc(school: School) -> None:
    school.add_model("a")
    schedule = school.definitions().resolve_schedule_def("daily")
    assert (schedule.job_name, schedule.cron_schedule, schedule.execution_timezone) == (INGEST_JOB, "0 3 * * *", "UTC")


@pytest.mark.parametrize("name", ["local", "staging", "prod"])
def test_it_is_on_in_prod_and_off_elsewhere(school: School, name: EnvironmentName) -> None:
    school.add_model("a")
    schedule = school.definitions(environment=name).resolve_schedule_def("daily")
    assert schedule.default_status.name == ("RUNNING" if name == "prod" else "STOPPED")


def test_gc_is_once_a_week_on_in_prod_and_off_elsewhere(school: School) -> None:
    school.add_model("a")
    for name, status in (("local", "STOPPED"), ("staging", "STOPPED"), ("prod", "RUNNING")):
        schedule = school.definitions(environment=cast(EnvironmentName, name)).resolve_schedule_def("gc")
        assert (schedule.job_name, schedule.cron_schedule, schedule.execution_timezone) == (GC_JOB, "0 5 * * 0", "UTC")
        assert schedule.default_status.name == status


def test_gc_removes_by_what_model_files_say_and_tells_it(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    school.add_source()
    school.add_model("a", [], keep=1)
    school.add_model("b", [])
    asked: list[Retention] = []

    def collected(_: Any, retention: Retention) -> Garbage:
        asked.append(retention)
        return Garbage(removed=(Removed("pages", "a_raw_observations", 2, 30),), spared=("The tables of b were left alone.",))

    monkeypatch.setattr(LocalWarehouse, "collect_garbage", collected)
    with dg.DagsterInstance.ephemeral(settings=NO_TELEMETRY) as instance:
        done = school.definitions().resolve_job_def(GC_JOB).execute_in_process(instance=instance)
        told = [entry.user_message for entry in instance.all_logs(done.run_id)]
    assert done.success
    assert [(dict(one.keep), one.keep_of_others, one.older_than) for one in asked] == [({"a": 1}, None, OLDER_THAN)]
    assert {"a_raw_observations: 2 pages were removed, 30 bytes.", "The tables of b were left alone."} <= set(told)
    [output] = done.get_step_success_events()
    assert output.step_key == "collect_garbage"


@pytest.mark.slow
def test_a_night_that_finds_nothing_new_changes_nothing_that_people_see(school: School) -> None:
    school.add_source()
    school.add_model("dkt", [5])
    school.add_model("irt", [])
    with dg.DagsterInstance.ephemeral(settings=NO_TELEMETRY) as instance:
        runner = Runner(school.definitions(), instance)
        before, after = (night(school, runner, day) for day in (29, 30))
    for model, (metadata, data_version) in after.shown.items():
        assert metadata.pop("unchanged") is True
        assert metadata.keys() >= {"flow", "column_metrics", "history_lengths"}
        assert (metadata, data_version) == before.shown[model]
    assert after.checks == before.checks
    assert {name for name, _ in after.checks} == set(RAW_CHECKS)


@dataclass(frozen=True)
class Night:
    """What is shown after a night.

    Attributes:
        shown: Of each model's newest materialization of raw observations, the metadata and the data version.
        checks: What each check says of each model.
    """

    shown: dict[str, tuple[dict[str, Any], str]]
    checks: dict[tuple[str, str], tuple[bool, str | None, dict[str, Any]]]


def night(school: School, runner: Runner, day: int) -> Night:
    """Runs what the schedule requests in a night."""
    [request] = requests(school, NIGHT.replace(day=day))
    first, last = (request.tags[end] for end in range_tags("", ""))
    run = runner.job(INGEST_JOB, first, last)
    assert run.success
    shown = {}
    for model in ("dkt", "irt"):
        newest = dg.AssetRecordsFilter(RAW_KEY, asset_partitions=[model])
        [record] = runner.instance.fetch_materializations(newest, limit=1).records
        materialization = record.asset_materialization
        assert materialization is not None
        assert materialization.tags is not None
        shown[model] = plain(materialization.metadata), materialization.tags[DATA_VERSION_TAG]
    said = run.checks("raw_observations")
    return Night(shown, {which: (each.passed, each.description, plain(each.metadata)) for which, each in said.items()})
