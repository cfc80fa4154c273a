"""Stages of a stream that work at the same time, each in a thread of its own.

Belongs here: how items are handed from thread to thread. Not here: what makes them. It pays where stages spend their time
outside Python, as Arrow's readers and writers do.
"""

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from seq_assets.warehouse.cancellation import raise_if_canceled

Item = TypeVar("Item")

_END: Final = object()


def prefetched(items: Iterable[Item]) -> Generator[Item]:
    """The items, each made in another thread while the one before it is used.

    The first one is made by the caller, which a signal can interrupt: it may wait for a whole sort. What making them raises is
    raised here, in its place.
    """
    iterator: Iterator[object] = iter(items)
    item = next(iterator, _END)
    with ThreadPoolExecutor(1, "prefetched") as executor:
        while item is not _END:
            raise_if_canceled()
            following = executor.submit(next, iterator, _END)
            yield item  # type: ignore[misc]  # the end apart, they are items
            item = following.result()
