"""Killed at any moment between the first query and the last commit: the last version stands, and the next run succeeds."""

import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from seq_assets.environments import current_environment
from seq_assets_tests.athena.breaking import RAW, TRAIN, Place, Trials, place_of
from seq_assets_tests.athena.killing import killed_after
from seq_assets_tests.tally import tally

if TYPE_CHECKING:
    from seq_assets_tests.athena.stack import Stack

pytestmark = pytest.mark.athena

_HEX = "[0-9a-f]{32}"
_FIRST_RECORDS = 20


def unnamed(place: Place, before: set[str]) -> list[str]:
    """What lies in a place since then and has none of the names by which it is found: of tables and of objects."""
    objects = re.compile(
        rf"{re.escape(place.root)}/(scratch/{_HEX}/|query_results/|leases/|plain_[a-z_]+(_4)?/(data/{_HEX}/|metadata/|pages/))"
    )
    tables = re.compile(rf"scratch_{_HEX}|plain_[a-z_]+(_4)?")
    found = [key for key in place.keys() - before if not objects.match(key)]
    return found + [table for table in place.tables() if not tables.fullmatch(table)]


def kill_and_go_on(place: Place, trials: Trials, times: int, runs_between: int, choice: random.Random) -> int:
    """Kills buildings, and has every so many of them be followed by one that ends; how many were killed before they were done.

    Each has a source of one record more. What a killed one has published is whole, and of its own source or of one before.
    """
    before, killed, seconds = place.keys(), 0, timed(place.build)
    for number in range(1, times + 1):
        place.put_source(_FIRST_RECORDS + number)
        stood, moment = current_environment().warehouse().find(RAW).rows, choice.uniform(0, seconds)

        def kill(moment: float = moment) -> None:
            nonlocal killed
            killed += killed_after(moment, place.settings, place.plan)

        assert trials.attempt(f"killed after {moment:.2f} s", lambda: None, kill) is None
        assert current_environment().warehouse().find(RAW).rows in (stood, _FIRST_RECORDS + number)
        assert unnamed(place, before) == []
        if number % runs_between == 0:
            # A machine that others use too may be slower than it was.
            seconds = timed(place.build)
            trials.look("the next run")
            warehouse = current_environment().warehouse()
            raw = warehouse.find(RAW)
            assert (raw.rows, warehouse.find(TRAIN).metadata["raw_version"]) == (_FIRST_RECORDS + number, raw.id)
    return killed


def timed(work: Callable[[], None]) -> float:
    """How many seconds it takes."""
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def test_a_kill_at_any_moment_tears_nothing_and_the_next_run_succeeds(athena_stack: "Stack", tmp_path: Path) -> None:
    with place_of(athena_stack, "staging", tmp_path) as place:
        trials = Trials(place)
        assert kill_and_go_on(place, trials, 3, 3, random.Random(2)) > 0
    assert set(trials.figures().values()) == {0}


@pytest.mark.faults
@pytest.mark.parametrize("environment", ["prod", "staging"])
def test_a_hundred_kills_tear_and_lose_nothing(
    athena_stack: "Stack", tmp_path: Path, environment: str, record_property: Callable[[str, Any], None]
) -> None:
    with place_of(athena_stack, environment, tmp_path) as place:
        trials = Trials(place)
        killed = kill_and_go_on(place, trials, 100, 5, random.Random(0))
        record_property(*tally(f"kill -9 of an ingest and its sequences ({environment})", trials.tried, trials.figures()))
    assert set(trials.figures().values()) == {0}
    assert killed > 60
