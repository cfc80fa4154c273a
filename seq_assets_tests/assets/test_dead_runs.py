"""Processes of Dagster that are killed: their runs end, keep no other run in the queue, and their children end, too."""

from collections.abc import Iterator

import pytest

from seq_assets.assets.automation import INGEST_JOB
from seq_assets.io_managers.plan_io_manager import WAREHOUSE_POOL
from seq_assets.models.spec import EnvironmentName
from seq_assets_tests.assets.building import School, range_tags
from seq_assets_tests.assets.hosting import NOT_AT_ALL, Hosted, hosted
from seq_assets_tests.io_managers.leaving import DEAD, ELSEWHERE, add_run


@pytest.fixture
def location(school: School) -> Iterator[Hosted]:
    """A hosted code location whose runs stay as they are launched."""
    school.add_model("dkt")
    with hosted(school, launcher=NOT_AT_ALL) as location:
        yield location


@pytest.mark.slow
def test_a_queue_that_dead_runs_stall_goes_on_when_the_sensor_has_looked(location: Hosted) -> None:
    dead, elsewhere = [add_run(location.instance, DEAD) for _ in range(2)], add_run(location.instance, ELSEWHERE, "NOT_STARTED")
    pools = location.instance.event_log_storage
    pools.set_concurrency_slots(WAREHOUSE_POOL, 1)
    assert pools.claim_concurrency_slot(WAREHOUSE_POOL, dead[0], "raw_observations").is_claimed
    waiting = location.launch(INGEST_JOB, range_tags("dkt", "dkt"))
    location.launch_what_may()
    assert location.status(waiting) == "QUEUED", "two runs at a time are the limit"
    location.evaluate_sensors(1)
    assert [location.status(run) for run in [*dead, elsewhere]] == ["CANCELED", "CANCELED", "NOT_STARTED"]
    location.launch_what_may()
    assert location.status(waiting) == "STARTING"
    assert pools.claim_concurrency_slot(WAREHOUSE_POOL, waiting, "raw_observations").is_claimed


@pytest.mark.parametrize("name", ["local", "staging", "prod"])
def test_the_sensor_that_looks_is_on_everywhere(school: School, name: EnvironmentName) -> None:
    school.add_model("dkt")
    assert school.definitions(environment=name).resolve_sensor_def("dead_runs").default_status.name == "RUNNING"
