"""Items come in their order, made ahead in another thread, and so do errors."""

import threading
from collections.abc import Iterator

import pytest

from seq_assets.warehouse.storage.prefetching import prefetched


def test_items_are_made_in_order_one_ahead_and_but_for_the_first_by_another_thread() -> None:
    made: list[int] = []
    threads: list[int] = []

    def items() -> Iterator[int]:
        for number in range(5):
            made.append(number)
            threads.append(threading.get_ident())
            yield number

    found = []
    for item in prefetched(items()):
        found.append(item)
        assert len(made) <= len(found) + 1
    assert found == list(range(5))
    assert threads[0] == threading.get_ident()
    assert threading.get_ident() not in threads[1:]


def test_an_error_is_raised_in_its_place() -> None:
    def items() -> Iterator[str]:
        yield "first"
        raise OSError("the disk is full")

    stream = prefetched(items())
    assert next(stream) == "first"
    with pytest.raises(OSError, match="the disk is full"):
        next(stream)


def test_who_stops_early_leaves_no_thread() -> None:
    before = threading.active_count()
    stream = prefetched(iter(range(1000)))
    assert next(stream) == 0
    stream.close()
    assert threading.active_count() == before
