"""Pictures: what they are made of, that they stay small, and that what is marked can be seen. Not what they look like."""

import base64
import io
import re
from collections.abc import Iterable
from typing import Final

import numpy as np
import pytest
from PIL import Image

from seq_assets.io_managers.plots import history_lengths_plot, pad_ratio_plot
from seq_assets.sequencing.accounting import SequenceAccounting
from seq_assets.sequencing.advice import Advice, Histories

SIZE: Final = (540, 234)
MOST_CHARACTERS: Final = 10_000
MANY: Final = 1_000_000
HISTORIES: Final = {
    "one history": Histories.of([(5, 1)]),
    "histories of one item only": Histories.of([(1, 9)]),
    "a million different lengths": Histories(np.arange(1, MANY + 1), np.arange(MANY, 0, -1)),
}


def picture(markdown: str, title: str) -> Image.Image:
    """The picture inside Markdown that shows nothing else."""
    found = re.fullmatch(rf"!\[{title}\]\(data:image/png;base64,([A-Za-z0-9+/=]+)\)", markdown)
    assert found, markdown[:100]
    opened = Image.open(io.BytesIO(base64.b64decode(found[1], validate=True)))
    assert opened.format == "PNG"
    return opened.convert("RGB")


def red_columns(shown: Image.Image) -> set[int]:
    """The columns of a picture with pixels of the red that marks."""
    red, green, blue = np.moveaxis(np.asarray(shown, np.int32), -1, 0)
    return set(np.flatnonzero(((red > green + 80) & (red > blue + 80)).any(axis=0)).tolist())


def advice(ratios: Iterable[tuple[int, float]]) -> list[Advice]:
    """What lengths give, of which only the pad ratio counts."""
    return [
        Advice(length, SequenceAccounting(sequences=1, positions=1_000, padding=round(1_000 * ratio)), 0, 0)
        for length, ratio in ratios
    ]


RATIOS: Final = {
    "nothing but padding": [(length, 1.0) for length in (5_000, 10_000)],
    "many lengths": [(length, 1 - 1 / length) for length in range(1, 10_001, 10)],
}


@pytest.mark.parametrize("histories", HISTORIES.values(), ids=HISTORIES)
def test_history_lengths_are_a_small_picture(histories: Histories) -> None:
    markdown = history_lengths_plot(histories, [1, 50, 100])
    assert picture(markdown, "history lengths").size == SIZE
    assert len(markdown) < MOST_CHARACTERS


@pytest.mark.parametrize("ratios", RATIOS.values(), ids=RATIOS)
def test_pad_ratios_are_a_small_picture(ratios: list[tuple[int, float]]) -> None:
    markdown = pad_ratio_plot(advice(ratios), [ratios[0][0]], 0.5)
    assert picture(markdown, "pad ratios").size == SIZE
    assert len(markdown) < MOST_CHARACTERS


def test_sequence_lengths_are_marked_in_their_order_and_none_need_be() -> None:
    histories = Histories.of([(items, 1_000 - items) for items in range(1, 1_000)])
    none, short, both = (
        red_columns(picture(history_lengths_plot(histories, lengths), "history lengths")) for lengths in ([], [3], [3, 300])
    )
    assert none == set()
    assert short
    assert short < both
    assert max(short) < min(both - short)


def test_declared_lengths_are_marked_on_the_curve_and_others_have_no_place_there() -> None:
    shown = advice([(1, 0.0), (3, 0.1), (10, 0.3), (30, 0.5), (100, 0.7)])
    one, two, more = (pad_ratio_plot(shown, lengths, 0.9) for lengths in ([3], [3, 30], [3, 7, 30]))
    assert one != two
    assert two == more


def test_the_ratio_that_warns_is_a_line_at_its_height() -> None:
    shown = advice([(1, 0.0), (100, 0.0)])
    low, high = (np.asarray(picture(pad_ratio_plot(shown, [1], warn), "pad ratios").convert("L")) for warn in (0.25, 0.75))
    different = np.flatnonzero((low != high).sum(axis=1) > SIZE[0] // 4)
    assert SIZE[1] / 10 < different[0] < SIZE[1] / 2 < different[-1] < 0.9 * SIZE[1]
