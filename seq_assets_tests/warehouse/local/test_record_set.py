"""The set counts what Python's set counts, whatever comes how often."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from seq_assets.warehouse.local.record_set import RecordSet

RECORDS = st.lists(st.tuples(st.sampled_from(["a.csv", "b/a.csv", "é"]), st.integers(-2, 40)), max_size=30)


@given(st.lists(RECORDS, max_size=4), st.integers(1, 40))
def test_each_record_counts_once_and_only_with_a_number_that_it_may_have(
    batches: list[list[tuple[str, int]]], largest: int
) -> None:
    found = RecordSet(largest)
    for batch in batches:
        found.add(pa.array([file for file, _ in batch], pa.string()), pa.array([number for _, number in batch], pa.int64()))
    assert len(found) == len({record for batch in batches for record in batch if 1 <= record[1] <= largest})


def test_a_million_records_take_their_bits() -> None:
    found = RecordSet(10**6)
    found.add(pa.array(["a.csv"] * 10**6), pa.array(range(1, 10**6 + 1)))
    assert len(found) == 10**6
    assert sum(bits.nbytes for bits in found._bits.values()) <= 10**6 / 8 + 1
