"""Partition keys and the tags that they lead to."""

from hypothesis import given
from hypothesis import strategies as st

from seq_assets.io_managers.partition_keys import cell_key, partition_tags, split_cell_key


@given(st.from_regex(r"[a-z][a-z0-9_]{0,62}", fullmatch=True), st.integers(1, 10_000))
def test_a_cells_key_splits_into_what_it_was_made_of(model: str, length: int) -> None:
    key = cell_key(model, length)
    assert key == f"{model}|{length}"
    assert split_cell_key(key) == (model, length)
    assert partition_tags([key]) == {"model": model, "sequence_length": str(length)}


def test_a_models_key_is_its_name_and_has_no_length() -> None:
    assert partition_tags(["dkt"]) == {"model": "dkt"}


def test_of_several_partitions_each_value_is_named_once_in_their_order() -> None:
    assert partition_tags(["sakt|50", "sakt|100", "dkt|50"]) == {"model": "sakt, dkt", "sequence_length": "50, 100"}


def test_of_many_partitions_the_first_are_named_and_the_others_counted() -> None:
    assert partition_tags([f"m{number}" for number in range(7)]) == {"model": "m0, m1, m2, m3, m4, and 2 more"}


def test_of_no_partition_there_is_nothing_to_say() -> None:
    assert partition_tags([]) == {}
