"""Work is done at the same time, its results and errors come in the order of the items."""

import threading

import pytest

from seq_assets.warehouse.cancellation import CanceledError, cancelable, raise_if_canceled
from seq_assets.warehouse.side_by_side import available_cores, side_by_side

LONG = 60.0
"""Seconds that nothing takes."""


def test_items_are_worked_on_at_the_same_time_and_results_come_in_their_order() -> None:
    later_is_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert later_is_done.wait(LONG)
        else:
            later_is_done.set()
        return item * 10

    assert list(side_by_side(work, range(5), 2)) == [0, 10, 20, 30, 40]


@pytest.mark.parametrize(("items", "workers"), [(3, 1), (1, 8), (0, 8)])
def test_where_there_is_nothing_to_do_at_the_same_time_no_thread_is_made(items: int, workers: int) -> None:
    threads = list(side_by_side(lambda _: threading.get_ident(), range(items), workers))
    assert threads == [threading.get_ident()] * items


def test_an_error_is_raised_in_its_place_and_no_thread_is_left() -> None:
    before = threading.active_count()

    def work(item: int) -> int:
        if item == 1:
            raise OSError("the disk is full")
        return item

    results = side_by_side(work, range(100), 3)
    assert next(results) == 0
    with pytest.raises(OSError, match="the disk is full"):
        next(results)
    assert threading.active_count() == before


def test_who_stops_early_leaves_no_thread() -> None:
    before = threading.active_count()
    results = side_by_side(str, range(100), 3)
    assert next(results) == "0"
    results.close()
    assert threading.active_count() == before


def test_work_that_is_canceled_ends() -> None:
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        cancel()
        raise_if_canceled()

    with cancelable() as cancel, pytest.raises(CanceledError):
        list(side_by_side(work, range(1000), 2))
    assert len(begun) < 1000


def test_there_is_a_core() -> None:
    assert available_cores() >= 1
