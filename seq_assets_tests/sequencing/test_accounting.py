"""Accounts whose sums do not hold say so."""

from dataclasses import replace
from typing import Any

import pytest

from seq_assets.sequencing.accounting import IngestAccounting, SequenceAccounting

INGEST = IngestAccounting(
    read=10,
    accepted=7,
    rejected=3,
    train=5,
    validation=2,
    rejected_by_reason={"null": 2, "is_in": 1},
)
SEQUENCES = SequenceAccounting(
    observations=9, sequenced=6, dropped_min_length=2, dropped_truncation=1, sequences=2, positions=10, padding=4
)


def test_accounts_that_add_up_have_no_problems() -> None:
    assert INGEST.problems == []
    assert SEQUENCES.problems == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"read": 11}, "read 11 = accepted 7 + rejected 3 does not hold"),
        ({"train": 4}, "accepted 7 = train 4 + validation 2 does not hold"),
        ({"rejected_by_reason": {"null": 2}}, "rejected 3 = the sum of {'null': 2} does not hold"),
    ],
)
def test_an_ingest_that_lost_something_says_which_sum_does_not_hold(change: dict[str, Any], sentence: str) -> None:
    assert replace(INGEST, **change).problems == [sentence]


@pytest.mark.parametrize("term", ["observations", "sequenced", "dropped_min_length", "dropped_truncation"])
def test_sequencing_that_lost_something_says_so_with_all_terms(term: str) -> None:
    lossy = replace(SEQUENCES, **{term: 100})
    (problem,) = lossy.problems
    assert problem == (
        f"observations {lossy.observations} = sequenced {lossy.sequenced} + dropped by min_length "
        f"{lossy.dropped_min_length} + dropped by truncation {lossy.dropped_truncation} does not hold"
    )


def test_ratios_are_of_all_positions_and_of_all_records_read() -> None:
    assert SEQUENCES.pad_ratio == 0.4
    assert INGEST.rejected_ratio == 0.3


def test_ratios_of_nothing_are_zero() -> None:
    assert SequenceAccounting().pad_ratio == 0
    assert IngestAccounting(0, 0, 0, 0, 0).rejected_ratio == 0


def test_parts_of_a_subset_add_up_and_none_are_nothing() -> None:
    parts = [SequenceAccounting(10, 7, 2, 1, 3, 12, 5), SequenceAccounting(4, 4, 0, 0, 1, 4, 0)]
    assert SequenceAccounting.total(parts) == SequenceAccounting(14, 11, 2, 1, 4, 16, 5)
    assert SequenceAccounting.total([]) == SequenceAccounting()
