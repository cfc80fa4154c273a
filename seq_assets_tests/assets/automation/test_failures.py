"""What is posted of a failed run, and what never is: the address."""

import logging
import traceback
from collections.abc import Iterator

import dagster as dg
import pytest

from seq_assets.assets.automation import INGEST_JOB, failures
from seq_assets.models.spec import EnvironmentName
from seq_assets_tests.assets.automation.webhooks import SECRET, Webhook, listening
from seq_assets_tests.assets.building import Run, Runner, School

NOWHERE = f"http://127.0.0.1:9/services/{SECRET}"


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    """A webhook that is tried again without a pause."""
    monkeypatch.setattr(failures, "SECONDS_BETWEEN_ATTEMPTS", 0)
    with listening() as webhook:
        yield webhook


@pytest.fixture
def failed(school: School, instance: dg.DagsterInstance) -> Run:
    """A failed run of the broken model `broken`, beside which there is a good one."""
    school.add_model("good")
    school.add_file("broken")
    run = Runner(school.definitions(), instance).job(INGEST_JOB, "broken", "broken")
    assert not run.success
    return run


def post(school: School, instance: dg.DagsterInstance, run: Run, webhook: str, dagster_url: str | None = None) -> None:
    """Evaluates the sensor on a failed run, as the daemon does."""
    definitions = school.definitions(failure_webhook=webhook, dagster_url=dagster_url)
    [event] = [event for event in run.events if event.event_type == dg.DagsterEventType.RUN_FAILURE]
    recorded = instance.get_run_by_id(run.run_id)
    assert recorded is not None
    context = dg.build_run_status_sensor_context("failures", event, instance, recorded).for_run_failure()
    definitions.resolve_sensor_def("failures")(context)


def test_the_text_says_what_failed_where_and_why(
    school: School, instance: dg.DagsterInstance, failed: Run, webhook: Webhook
) -> None:
    post(school, instance, failed, webhook.address, "https://dagster.example/")
    [(content_type, body)] = webhook.posted
    assert content_type == "application/json"
    assert body.keys() == {"text"}
    lines = body["text"].splitlines()
    assert lines[0] == "broken: ingest failed in the environment local."
    assert lines[1].startswith("raw_observations: broken: ")
    assert "did you mean 'source'?" in body["text"]
    assert lines[-1] == f"https://dagster.example/runs/{failed.run_id}"


def test_without_a_base_address_there_is_no_link(
    school: School, instance: dg.DagsterInstance, failed: Run, webhook: Webhook
) -> None:
    post(school, instance, failed, webhook.address)
    assert failed.run_id not in webhook.texts[0]


def test_a_long_message_is_shortened(
    school: School, instance: dg.DagsterInstance, failed: Run, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "_MOST_TEXT", 30)
    post(school, instance, failed, webhook.address)
    assert len(webhook.texts[0].splitlines()[1]) == len("raw_observations: ") + 31
    assert webhook.texts[0].endswith("…")


def test_a_run_that_failed_outside_of_its_steps_says_why(
    school: School, instance: dg.DagsterInstance, failed: Run, webhook: Webhook
) -> None:
    event = dg.DagsterEvent(dg.DagsterEventType.RUN_FAILURE.value, INGEST_JOB, message="The machine is gone.")
    crashed = dg.DagsterRun(INGEST_JOB, tags={"dagster/partition": "good"})
    instance.add_run(crashed)
    context = dg.build_run_status_sensor_context("failures", event, instance, crashed).for_run_failure()
    school.definitions(failure_webhook=webhook.address).resolve_sensor_def("failures")(context)
    assert webhook.texts == ["good: ingest failed in the environment local.\nThe machine is gone."]


def test_an_answer_that_is_none_is_asked_for_again(
    school: School, instance: dg.DagsterInstance, failed: Run, webhook: Webhook
) -> None:
    webhook.answers += [500, 429]
    post(school, instance, failed, webhook.address)
    assert len(webhook.posted) == 3


@pytest.mark.parametrize(
    ("answers", "address", "said"),
    [
        ([404, 404, 404], None, "the webhook answered 404"),
        ([], NOWHERE, "could not be reached (URLError)"),
        ([], f"http://[{SECRET}", "could not be reached (ValueError)"),
        ([], f"http://127.0.0.1:{SECRET}/", "could not be reached (InvalidURL)"),
    ],
)
def test_what_could_not_be_posted_fails_the_tick_without_the_address(
    school: School,
    instance: dg.DagsterInstance,
    failed: Run,
    webhook: Webhook,
    answers: list[int],
    address: str | None,
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    webhook.answers += answers
    with caplog.at_level(logging.DEBUG), pytest.raises(dg.Failure) as error:
        post(school, instance, failed, address or webhook.address)
    assert said in str(error.value.description)
    assert SECRET not in "".join(traceback.format_exception(error.value, chain=True))
    assert SECRET not in caplog.text


def test_the_address_is_in_no_text_of_the_graph(school: School) -> None:
    school.add_model("good")
    definitions = school.definitions(failure_webhook=NOWHERE)
    [sensor] = [sensor for sensor in definitions.sensors or () if sensor.name == "failures"]
    assert SECRET not in repr(sensor) + str(sensor.description) + repr(definitions)


def test_without_an_address_nothing_is_registered(school: School) -> None:
    school.add_model("good")
    assert "failures" not in {sensor.name for sensor in school.definitions().sensors or ()}


@pytest.mark.parametrize("name", ["local", "staging", "prod"])
def test_it_is_on_in_prod_and_off_elsewhere(school: School, name: EnvironmentName) -> None:
    school.add_model("good")
    sensor = school.definitions(environment=name, failure_webhook=NOWHERE).resolve_sensor_def("failures")
    assert sensor.default_status.name == ("RUNNING" if name == "prod" else "STOPPED")
