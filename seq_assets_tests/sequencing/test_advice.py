"""Advice is what the kernel would count, from the lengths of histories alone."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq_assets.sequencing.advice import Histories, advise, advised_lengths, longest_within
from seq_assets_tests import reference
from seq_assets_tests.reference import Definition, Feature, examples
from seq_assets_tests.sequencing.cases import WindowName, definitions, plan_of


def histories(sizes: list[int]) -> Histories:
    return Histories.of(Counter(sizes).items())


def rows(sizes: list[int]) -> list[dict[str, int]]:
    return [{"entity": entity, "number": number} for entity, size in enumerate(sizes) for number in range(size)]


def definition(sequence_length: int, window: WindowName = "chunk", stride: int | None = None) -> Definition:
    return Definition("entity", (Feature("number", "int64", -1),), sequence_length, window, stride)


@settings(max_examples=examples(200), deadline=None)
@given(sizes=st.lists(st.integers(1, 30), max_size=12), asked=definitions())
def test_any_advice_is_what_the_reference_counts(sizes: list[int], asked: Definition) -> None:
    advice = advise(plan_of(asked), histories(sizes))
    assert vars(advice.accounting) == reference.accounting(rows(sizes), asked)
    made = reference.sequences(rows(sizes), asked)
    assert advice.mostly_padding == sum(2 * row["sequence_size"] <= asked.sequence_length for row in made)


@given(sizes=st.lists(st.integers(1, 9), max_size=9), part=st.integers(1, 12))
def test_histories_are_counted_from_positions_however_they_are_cut(sizes: list[int], part: int) -> None:
    positions = np.array([row["number"] for row in rows(sizes)], np.int64)
    parts = [positions[start : start + part] for start in range(0, len(positions), part)]
    found, expected = Histories.of_positions(iter(parts)), histories(sizes)
    assert (found.items.tolist(), found.entities.tolist()) == (expected.items.tolist(), expected.entities.tolist())


def test_shares_of_nothing_are_zero() -> None:
    advice = advise(plan_of(definition(5)), histories([]))
    assert (advice.accounting.pad_ratio, advice.mostly_padding_ratio, advice.bytes) == (0.0, 0.0, 0)


def test_bytes_are_those_of_the_matrices() -> None:
    features = (Feature("number", "int64", -1), Feature("flag", "bool", False), Feature("text", "string", ""))
    wide = replace(definition(10, "sliding", 5), features=features)
    # 8 + 1 + 4 bytes of items and two masks, at each position of one sequence.
    assert advise(plan_of(wide), histories([10])).bytes == 10 * 15


def test_lengths_worth_comparing_are_the_declared_and_round_ones_up_to_the_longest_history() -> None:
    plan = plan_of(definition(7))
    assert advised_lengths(plan, histories([3, 12]), [7]) == [1, 2, 3, 5, 7, 10, 15]
    sliding = plan_of(definition(7, "sliding", 6))
    assert advised_lengths(sliding, histories([12]), []) == [10, 15]
    assert advised_lengths(plan, histories([]), [7]) == [1, 7]


@pytest.mark.parametrize(("pad_ratio", "length"), [(0.0, 1), (0.05, 2), (0.1, 3), (0.3, 5), (1.0, 10)])
def test_the_longest_length_within_a_bound_is_a_round_one_below_the_plans(pad_ratio: float, length: int) -> None:
    assert longest_within(plan_of(definition(12)), histories([8, 4, 12, 9]), pad_ratio) == length


def test_no_length_is_within_a_bound_where_every_one_pads_more() -> None:
    one_item_each = plan_of(definition(12, "sliding", 6))
    assert longest_within(one_item_each, histories([1, 1]), 0.5) is None
