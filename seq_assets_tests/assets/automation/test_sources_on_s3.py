"""The sensor `source_files` on prefixes of S3: what is requested, what a tick asks, and stores that do not answer.

Not here: what an address means, and what is said of each refusal (`seq_assets_tests.athena.test_s3_sources`).
"""

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from seq_assets.assets.automation import sensors
from seq_assets.warehouse.storage import object_store
from seq_assets_tests.assets.automation.test_sensors import Kept, ranges, tick
from seq_assets_tests.assets.building import School, range_tags
from seq_assets_tests.athena.object_storage import ObjectStorage, object_storage, s3_endpoint

pytestmark = pytest.mark.athena
__all__ = ["object_storage", "s3_endpoint"]

SENSOR = "source_files"


@pytest.fixture
def models(school: School, object_storage: ObjectStorage) -> School:
    """Models `a` and `b` on a prefix each, and `c` on a local file."""
    for name in ("a", "b"):
        object_storage.put(f"{name}/monday.csv")
        school.add_model(name, source={"location": f"{object_storage.address}/{name}/"})
    school.add_model("c")
    return school


@pytest.fixture
def seen(models: School) -> str | None:
    """The cursor after everything was seen."""
    return tick(models, SENSOR, None).cursor


@pytest.fixture
def silence() -> Iterator[str]:
    """The address of a store that takes every request and answers none."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_at_first_all_prefixes_are_requested_in_one_run_and_then_no_more(models: School) -> None:
    first = tick(models, SENSOR, None)
    assert ranges(first) == [range_tags("a", "c")]
    again = tick(models, SENSOR, first.cursor)
    assert (ranges(again), again.cursor) == ([], first.cursor)
    assert again.skip_message == "Nothing has changed in the sources of 3 models."


def test_many_new_objects_are_one_run_of_their_model(models: School, seen: str | None, object_storage: ObjectStorage) -> None:
    for number in range(40):
        object_storage.put(f"b/{number}.csv")
    changed = tick(models, SENSOR, seen)
    assert ranges(changed) == [range_tags("b", "b")]
    assert ranges(tick(models, SENSOR, changed.cursor)) == []
    object_storage.put("b/tuesday.csv")
    assert ranges(tick(models, SENSOR, changed.cursor)) == [range_tags("b", "b")]


def test_an_object_that_holds_something_else_is_a_run_and_one_that_was_written_again_is_none(
    models: School, seen: str | None, object_storage: ObjectStorage
) -> None:
    object_storage.put("a/monday.csv")
    assert ranges(tick(models, SENSOR, seen)) == []
    object_storage.put("a/monday.csv", b"y")
    assert ranges(tick(models, SENSOR, seen)) == [range_tags("a", "a")]


def test_a_tick_lists_and_reads_nothing(models: School, seen: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def note(model: Any, **_: Any) -> None:
        asked.append(model.name)

    def read(*_: Any) -> None:
        raise AssertionError("an object is opened")

    client = object_store.s3_client()
    client.meta.events.register("before-call.s3", note)
    monkeypatch.setattr(object_store, "s3_filesystem", read)
    try:
        tick(models, SENSOR, seen)
    finally:
        client.meta.events.unregister("before-call.s3", note)
    assert asked == ["ListObjectsV2"] * 2


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("s3://no-such-bucket/b/", "the bucket does not exist there; mend its name, or AWS_ENDPOINT_URL (NoSuchBucket"),
        ("{bucket}/nothing/", "No source file at"),
    ],
)
def test_a_prefix_that_cannot_be_listed_is_named_once_and_stops_no_other_model(
    models: School, seen: str | None, object_storage: ObjectStorage, location: str, said: str
) -> None:
    models.add_model("b", source={"location": location.format(bucket=object_storage.address)})
    object_storage.put("a/tuesday.csv")
    models.add_source("answers.csv", wrong_answers=1)
    log = Kept()
    first = tick(models, SENSOR, seen, log=log)
    second = tick(models, SENSOR, first.cursor, log=log)
    assert ranges(first) == [range_tags("a", "a"), range_tags("c", "c")]
    assert ranges(second) == []
    assert str(second.skip_message).count("b is left out") == str(second.skip_message).count(said) == 1
    assert len([message for message in log.messages if said in message]) == 1


def test_a_store_that_refuses_the_credentials_stops_no_model_that_is_elsewhere(
    models: School, seen: str | None, object_storage: ObjectStorage
) -> None:
    models.add_source("answers.csv", wrong_answers=1)
    with object_storage.refusing():
        refused = tick(models, SENSOR, seen)
        again = tick(models, SENSOR, refused.cursor)
    assert ranges(refused) == [range_tags("c", "c")]
    assert str(again.skip_message).count("the credentials are refused; set AWS_PROFILE") == 2
    assert ranges(tick(models, SENSOR, again.cursor)) == [], "what was seen before is seen again"


def test_a_store_that_is_out_of_reach_takes_no_longer_for_many_models_and_stops_none_that_is_elsewhere(
    models: School, seen: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        models.add_model(f"b{number}", source={"location": f"s3://some-bucket/b{number}/"})
    models.add_source("answers.csv", wrong_answers=1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    began = time.monotonic()
    first = tick(models, SENSOR, seen)
    assert time.monotonic() - began < sensors.SECONDS_TO_LOOK + 5
    assert ranges(first) == [range_tags("c", "c")]
    message = str(tick(models, SENSOR, first.cursor).skip_message)
    assert "b is left out" in message
    assert message.count("is left out") == 32


def test_a_store_that_does_not_answer_is_given_up_in_time_and_looked_at_again(
    models: School, seen: str | None, object_storage: ObjectStorage, silence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "SECONDS_TO_LOOK", 4)
    models.add_source("answers.csv", wrong_answers=1)
    with monkeypatch.context() as silent:
        silent.setenv("AWS_ENDPOINT_URL", silence)
        began = time.monotonic()
        first = tick(models, SENSOR, seen)
        second = tick(models, SENSOR, first.cursor)
        assert time.monotonic() - began < 30
    assert ranges(first) == [range_tags("c", "c")]
    said = f"b is left out: its source {object_storage.address}/b/ has not been listed within 4 seconds"
    assert said in str(second.skip_message)
    assert ranges(tick(models, SENSOR, second.cursor)) == [], "what was seen before is seen again"
