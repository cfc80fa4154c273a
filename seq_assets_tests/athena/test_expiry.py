"""What ends in mid-run, at any call: credentials, and the engine. The last version stands, and a sentence says why."""

import random
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from seq_assets.errors import RetryableError
from seq_assets_tests.athena.breaking import ACCESS_KEY, Place, Trials, place_of
from seq_assets_tests.tally import tally

if TYPE_CHECKING:
    from seq_assets_tests.athena.stack import Stack

pytestmark = pytest.mark.athena

_EXPIRED = re.compile(r"credentials( for Athena)? have expired.*renew them", re.DOTALL)


def expire_after_each(trials: Trials, choices: list[int]) -> None:
    """Has the credentials expire after so many calls of a building, which must say so."""
    place = trials.place
    for spared in choices:

        def expire(spared: int = spared) -> None:
            place.client.faults.expire(ACCESS_KEY, spared=spared)

        told = trials.attempt(f"expired after {spared} calls", expire, place.build)
        assert told is None or _EXPIRED.search(str(told)), told


def test_credentials_that_expire_in_mid_run_are_named(athena_stack: "Stack", tmp_path: Path) -> None:
    with place_of(athena_stack, "staging", tmp_path) as place:
        trials = Trials(place)
        expire_after_each(trials, [0, 3, 9, 17, 31, 60])
    assert len(trials.told) > 3
    assert set(trials.figures().values()) == {0}


@pytest.mark.faults
@pytest.mark.parametrize(("environment", "calls", "times"), [("prod", 300, 60), ("staging", 120, 60)])
def test_credentials_that_expire_at_any_call_are_named(
    athena_stack: "Stack",
    tmp_path: Path,
    environment: str,
    calls: int,
    times: int,
    record_property: Callable[[str, Any], None],
) -> None:
    choice = random.Random(0)
    with place_of(athena_stack, environment, tmp_path) as place:
        trials = Trials(place)
        expire_after_each(trials, [choice.randrange(calls) for _ in range(times)])
        record_property(*tally(f"credentials expired at any call ({environment})", trials.tried, trials.figures()))
    assert set(trials.figures().values()) == {0}


@pytest.mark.faults
def test_an_engine_that_is_restarted_in_mid_query_is_tried_again_or_told(
    athena_stack: "Stack", tmp_path: Path, record_property: Callable[[str, Any], None]
) -> None:
    choice, engine = random.Random(0), athena_stack.trino
    assert engine is not None
    with place_of(athena_stack, "prod", tmp_path) as place:
        trials, seconds = Trials(place), _timed(place)
        for _ in range(5):
            moment = choice.uniform(0, seconds)
            restarting = threading.Timer(moment, engine.restart)
            told = trials.attempt(f"engine restarted after {moment:.1f} s", restarting.start, place.build)
            assert told is None or isinstance(told, RetryableError), told
            restarting.join()
        place.build()
        trials.look("the next run")
        record_property(*tally("Trino killed and started again (prod)", trials.tried, trials.figures()))
    assert set(trials.figures().values()) == {0}


def _timed(place: Place) -> float:
    begun = time.monotonic()
    place.build()
    return time.monotonic() - begun
