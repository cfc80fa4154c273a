"""How many runs use the warehouse at a time, on an instance as it is shipped."""

from collections.abc import Iterator

import dagster as dg
import pytest

from seq_assets.assets.automation import INGEST_JOB, SEQUENCE_JOB
from seq_assets.io_managers.plan_io_manager import WAREHOUSE_POOL
from seq_assets_tests.assets.building import School, range_tags
from seq_assets_tests.assets.hosting import NOT_AT_ALL, Hosted, hosted


@pytest.fixture
def location(school: School) -> Iterator[Hosted]:
    """A hosted code location whose runs stay as they are launched."""
    school.add_model("dkt")
    school.add_model("irt", [])
    with hosted(school, launcher=NOT_AT_ALL) as location:
        yield location


@pytest.mark.slow
def test_while_a_run_uses_the_warehouse_the_others_wait(location: Hosted) -> None:
    runs = [location.launch(INGEST_JOB, range_tags("dkt", "dkt"))]
    # A daemon learns of a pool with the first run that it launches.
    location.launch_what_may()
    runs += [
        location.launch(SEQUENCE_JOB, range_tags("dkt|5", "dkt|10")),
        location.launch(INGEST_JOB, range_tags("irt", "irt")),
    ]
    for first in range(len(runs)):
        location.launch_what_may()
        assert [location.status(run) for run in runs[first:]] == ["STARTING", *["QUEUED"] * (len(runs) - first - 1)]
        record = location.instance.get_run_by_id(runs[first])
        assert record is not None
        location.instance.report_run_canceled(record)


def test_all_that_works_in_the_warehouse_is_in_its_pool(school: School) -> None:
    school.add_model("dkt")
    definitions = school.definitions()
    works = {node for job in (INGEST_JOB, SEQUENCE_JOB) for node in definitions.resolve_job_def(job).all_node_defs}
    pools = {node.name: node.pool for node in works if isinstance(node, dg.OpDefinition)}
    assert pools.keys() == {
        "raw_observations",
        "check_raw_observations",
        *(f"{step}sequenced_{subset}" for step in ("", "check_") for subset in ("train", "validation")),
    }
    assert set(pools.values()) == {WAREHOUSE_POOL}
