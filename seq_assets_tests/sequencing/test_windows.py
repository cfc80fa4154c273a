"""The window kinds, on single histories and against the reference."""

import numpy as np
import pytest

from seq_assets.models.spec import WindowSpec
from seq_assets.sequencing.windows import Chunk, First, Last, Prefix, Sliding, Window, window_of
from seq_assets_tests import reference
from seq_assets_tests.reference import Definition

LENGTHS = range(1, 7)
KINDS: list[Window] = [Chunk(), First(), Last(), Prefix(), *(Sliding(stride) for stride in LENGTHS)]
KINDS_AND_LENGTHS = [
    (window, length)
    for window in KINDS
    for length in LENGTHS
    if not isinstance(window, Sliding) or window.stride <= length  # a longer stride is refused
]


def cut(window: Window, items: int, sequence_length: int) -> list[tuple[int, int]]:
    """Start and size of every window of a history that has ended."""
    count = int(window.count(np.array([items]), sequence_length)[0])
    return bounds(window, count, items, sequence_length)


def bounds(window: Window, count: int, items: int, sequence_length: int) -> list[tuple[int, int]]:
    start, size = window.bounds(np.arange(count), np.full(count, items), sequence_length)
    return list(zip(start.tolist(), size.tolist(), strict=True))


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (Chunk(), [(0, 3), (3, 3), (6, 1)]),
        (Sliding(1), [(0, 3), (1, 3), (2, 3), (3, 3), (4, 3)]),
        (Sliding(2), [(0, 3), (2, 3), (4, 3)]),
        (Sliding(3), [(0, 3), (3, 3), (6, 1)]),
        (First(), [(0, 3)]),
        (Last(), [(4, 3)]),
        (Prefix(), [(0, 2), (0, 3), (1, 3), (2, 3), (3, 3), (4, 3)]),
    ],
)
def test_seven_items_at_length_three(window: Window, expected: list[tuple[int, int]]) -> None:
    assert cut(window, 7, 3) == expected


@pytest.mark.parametrize("window", [Chunk(), Sliding(2), First(), Last()])
def test_a_history_shorter_than_the_length_has_one_short_window(window: Window) -> None:
    assert cut(window, 2, 3) == [(0, 2)]


def test_a_single_item_has_no_prefix_to_predict_it_from() -> None:
    assert cut(Prefix(), 1, 3) == []


def test_sliding_stops_at_the_window_that_reaches_the_end() -> None:
    assert cut(Sliding(1), 3, 3) == [(0, 3)]
    assert cut(Sliding(2), 6, 3) == [(0, 3), (2, 3), (4, 2)]


@pytest.mark.parametrize("window", KINDS, ids=str)
def test_no_items_have_no_window(window: Window) -> None:
    assert cut(window, 0, 6) == []


@pytest.mark.parametrize(("window", "sequence_length"), KINDS_AND_LENGTHS, ids=str)
def test_every_short_history_is_cut_as_the_reference_says(window: Window, sequence_length: int) -> None:
    stride = window.stride if isinstance(window, Sliding) and not isinstance(window, Chunk) else None
    definition = Definition("e", (), sequence_length, type(window).__name__.lower(), stride)  # type: ignore[arg-type]
    for items in range(25):
        expected = [(held[0], len(held)) for held in reference.windows(items, definition)]
        assert cut(window, items, sequence_length) == expected


@pytest.mark.parametrize("window", KINDS, ids=str)
def test_a_window_that_is_ready_is_not_changed_by_what_follows(window: Window) -> None:
    for items in range(25):
        ready = int(window.ready(np.array([items]), 6)[0])
        for more in range(20):
            assert cut(window, items + more, 6)[:ready] == bounds(window, ready, items, 6)


@pytest.mark.parametrize("window", KINDS, ids=str)
def test_what_is_kept_for_later_windows_is_enough_and_at_most_one_length(window: Window) -> None:
    for items in range(1, 25):
        ready = int(window.ready(np.array([items]), 6)[0])
        needed = window.needed_from(ready, items, 6)
        assert items - 6 <= needed <= items
        for more in range(20):
            assert all(start >= needed for start, _ in cut(window, items + more, 6)[ready:])


@pytest.mark.parametrize("window", KINDS, ids=str)
def test_only_sliding_and_prefix_windows_overlap(window: Window) -> None:
    assert window.overlaps is (type(window) in (Sliding, Prefix))


@pytest.mark.parametrize(
    ("spec", "window"),
    [
        (WindowSpec(), Chunk()),
        (WindowSpec(mode="sliding", stride=2), Sliding(2)),
        (WindowSpec(mode="first"), First()),
        (WindowSpec(mode="last"), Last()),
        (WindowSpec(mode="prefix"), Prefix()),
    ],
)
def test_a_model_file_asks_for_a_window_kind_by_its_mode(spec: WindowSpec, window: Window) -> None:
    assert window_of(spec) == window
