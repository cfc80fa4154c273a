"""Cancellation: who is told to stop, when, and by what error."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from seq_assets.warehouse.cancellation import (
    CanceledError,
    Work,
    cancelable,
    doing,
    pause,
    raise_if_canceled,
    tidying,
    uninterrupted,
)
from seq_assets.warehouse.engine import Engine, connect_in_memory
from seq_assets.warehouse.storage.prefetching import prefetched
from seq_assets.warehouse.storage.storage import LocalStorage

LONG = 100.0
"""Seconds that no test waits for."""
ENDLESS = "SELECT count(*) FROM range(1000000000) AS a, range(1000000000) AS b WHERE a.range + b.range < 0"


class InterruptionError(BaseException):
    """As an orchestrator's own."""


def test_nothing_is_raised_before_and_after() -> None:
    raise_if_canceled()
    with cancelable() as cancel:
        raise_if_canceled()
        cancel()
        with pytest.raises(CanceledError):
            raise_if_canceled()
    raise_if_canceled()


def test_who_cancels_learns_what_is_being_done_and_that_ends_by_its_own_error() -> None:
    work = Work("Stopped in the middle.", interruption=InterruptionError)
    with cancelable() as cancel:
        with doing(work):
            assert cancel() is work
            with pytest.raises(InterruptionError):
                raise_if_canceled()
        with pytest.raises(CanceledError):
            raise_if_canceled()


def test_a_pause_ends_where_another_thread_cancels() -> None:
    with cancelable() as cancel:
        threading.Timer(0.01, cancel).start()
        before = time.monotonic()
        with pytest.raises(CanceledError):
            pause(LONG)
        assert time.monotonic() - before < LONG


def test_who_tidies_is_not_interrupted() -> None:
    with cancelable() as cancel:
        cancel()
        with tidying():
            raise_if_canceled()
            pause(0)
        with pytest.raises(CanceledError):
            pause(LONG)


def test_who_cancels_waits_for_what_is_not_interrupted_and_learns_that_it_is_done() -> None:
    order: list[str] = []

    def ask() -> None:
        order.append(cancel().once_stopped)

    with cancelable() as cancel, doing(Work("before")):
        with uninterrupted(Work("within"), afterwards=Work("after")):
            asking = threading.Thread(target=ask)
            asking.start()
            asking.join(0.2)
            raise_if_canceled()
            order.append("done")
        asking.join(LONG)
        with pytest.raises(CanceledError):
            raise_if_canceled()
    assert order == ["done", "after"]


def test_who_cancels_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seq_assets.warehouse.cancellation.SECONDS_UNINTERRUPTED", 0.01)
    work = Work("within")
    with cancelable() as cancel, uninterrupted(work, afterwards=Work("after")):
        assert cancel() is work


def test_what_is_not_interrupted_does_not_begin_once_work_is_canceled() -> None:
    with cancelable() as cancel:
        cancel()
        with pytest.raises(CanceledError), uninterrupted(Work("within"), afterwards=Work("after")):
            pytest.fail("it began")


@pytest.mark.parametrize("use", [Engine.execute, Engine.rows, lambda engine, query: list(engine.stream(query))])
def test_a_running_query_is_interrupted_in_whichever_thread_it_is(use: Callable[[Engine, str], object], tmp_path: Path) -> None:
    with cancelable() as cancel, Engine.open(connect_in_memory, tmp_path, "500MiB", LocalStorage(tmp_path)) as engine:
        threading.Timer(0.1, cancel).start()
        with pytest.raises(CanceledError):
            use(engine, ENDLESS)


def test_no_query_begins_once_work_is_canceled(tmp_path: Path) -> None:
    with cancelable() as cancel, Engine.open(connect_in_memory, tmp_path, "500MiB", LocalStorage(tmp_path)) as engine:
        cancel()
        with pytest.raises(CanceledError):
            engine.execute("CREATE TABLE there AS SELECT 1")
        with tidying():
            assert engine.rows("SELECT count(*) FROM duckdb_tables()") == [(0,)]


def test_a_stream_ends_at_its_next_item() -> None:
    with cancelable() as cancel:
        items = prefetched(range(1000))
        assert next(items) == 0
        cancel()
        with pytest.raises(CanceledError):
            list(items)
