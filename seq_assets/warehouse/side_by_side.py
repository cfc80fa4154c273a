"""The same work on many items, several at a time, each in a thread.

Belongs here: how work is shared out and its results are put in order. Not here: what the work is. It pays where that spends its
time outside Python, as Arrow and numpy do on large arrays.
"""

import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from seq_assets.warehouse.cancellation import raise_if_canceled

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Generator[Result]:
    """What the work makes of each item, in the order of the items, whichever is done first.

    What it raises is raised here, in its place; what has not begun by then does not begin, and what has begun is waited for.
    Whoever may stop early closes it, for the same.

    Args:
        work: Is called once for each item, in threads unless there is nothing to do at the same time.
        items: What it is called with.
        workers: How many items are worked on at a time, at most.
    """
    if min(workers, len(items)) <= 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(min(workers, len(items)), "side_by_side") as executor:
        results = [executor.submit(work, item) for item in items]
        try:
            for result in results:
                raise_if_canceled()
                yield result.result()
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
