"""A source appears, and the rest follows by itself: sensors on a real instance, evaluated and carried out by the daemon.

The models by name: `dkt` (length 5), and `sakt`, whose source breaks its contract.
"""

from collections.abc import Iterator

import pytest

from seq_assets.models import SUBSETS
from seq_assets.sequencing.plans import Dataset
from seq_assets_tests.assets.automation.webhooks import Webhook, listening
from seq_assets_tests.assets.building import School
from seq_assets_tests.assets.hosting import Hosted, RunShown, hosted

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> School:
    """The model files and their sources."""
    school = School(tmp_path_factory.mktemp("school"))
    school.add_source()
    school.add_source("wrong.csv", wrong_answers=3)
    school.add_model("dkt", [5])
    school.add_model("sakt", [5], source={"location": "wrong.csv"})
    return school


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    """Where failures are posted."""
    with listening() as webhook:
        yield webhook


@pytest.fixture(scope="module")
def location(school: School, webhook: Webhook) -> Iterator[Hosted]:
    """The hosted code location, its sensors turned on."""
    address = webhook.address
    with hosted(school, SEQ_ASSETS_FAILURE_WEBHOOK=address, SEQ_ASSETS_DAGSTER_URL="https://dagster.example") as location:
        location.turn_on("source_files", "new_observations", "unchecked", "failures")
        yield location


@pytest.fixture(scope="module")
def ticks(location: Hosted) -> list[list[RunShown]]:
    """The runs that each of three ticks of all sensors requests."""
    return [location.tick(minutes) for minutes in (2, 4, 6)]


def test_sources_are_ingested_together_and_what_was_published_of_them_is_sequenced_and_checked(
    ticks: list[list[RunShown]], school: School
) -> None:
    assert [sorted((run.job, run.first, run.last, run.status) for run in runs) for runs in ticks] == [
        [("ingest", "dkt", "sakt", "FAILURE")],
        [("check_observations", "dkt", "dkt", "SUCCESS"), ("sequence", "dkt|5", "dkt|5", "SUCCESS")],
        [],
    ]
    raw = school.warehouse.find(Dataset.raw("dkt"))
    for subset in SUBSETS:
        assert school.warehouse.find(Dataset.sequenced("dkt", subset, 5)).raw_version == raw.id


@pytest.mark.usefixtures("ticks")
def test_the_checks_of_what_was_published_before_the_failure_are_shown(location: Hosted) -> None:
    for statuses in location.assets_shown()["raw_observations"].checks.values():
        assert statuses == {"succeededPartitions": {"dkt"}, "executionFailedPartitions": {"sakt"}}


@pytest.mark.usefixtures("ticks")
def test_the_failure_is_posted_once_with_a_link(webhook: Webhook) -> None:
    [text] = webhook.texts
    first, second, *_, last = text.splitlines()
    assert first == "dkt to sakt: ingest failed in the environment local."
    assert second.startswith("raw_observations: sakt: sakt_raw_observations was not published, because its audit failed")
    assert last.startswith("https://dagster.example/runs/")
