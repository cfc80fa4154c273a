"""Streaming batches: every row once over all ranks, in an order that repeats, in bounded memory, from the first second on."""

import gc
import json
import math
import pickle
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import seq_assets
from seq_assets.client.batches import RowGroup, StoredRows, permutation
from seq_assets.client.datasets import SequenceDataset
from seq_assets.errors import InputError
from seq_assets.models import ColumnType
from seq_assets.sequencing.schemas import sequence_schema
from seq_assets_tests.client.files import ROW_BYTES, Arrays, dataset, handle, in_groups
from seq_assets_tests.reference import examples

WINDOWS = 3
"""Of so many parts of the buffer, one is shuffled at a time."""


def pupils(batches: Iterator[Arrays]) -> list[int]:
    return [pupil for batch in batches for pupil in batch["pupil"].tolist()]


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> SequenceDataset:
    """1,000 pupils in 2 files of 25 row groups each."""
    groups = in_groups(1_000, 20)
    return dataset(tmp_path_factory.mktemp("thousand"), [groups[:25], groups[25:]])


SMALL_BUFFER = 120 * ROW_BYTES * WINDOWS
"""Of which 6 row groups of `thousand` fit at a time."""


# Which rows


@st.composite
def layouts(draw: st.DrawFn) -> list[list[list[int]]]:
    """Files of row groups of pupils from 0, some without rows."""
    sizes = draw(st.lists(st.lists(st.integers(0, 9), max_size=12), max_size=4))
    counter = iter(range(10_000))
    return [[[next(counter) for _ in range(size)] for size in file] for file in sizes]


@settings(max_examples=examples(30))
@given(
    files=layouts(),
    batch_size=st.integers(1, 9),
    world_size=st.integers(1, 4),
    capacity=st.integers(1, 40),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
)
def test_all_ranks_together_have_every_row_once(
    files: list[list[list[int]]], batch_size: int, world_size: int, capacity: int, shuffle: bool, drop_last: bool
) -> None:
    with TemporaryDirectory() as folder:
        ds = dataset(Path(folder), files)
        buffer = capacity * ROW_BYTES * WINDOWS
        expected = pupils(ds.batches(len(ds) + 1, shuffle=shuffle, buffer=buffer))
        assert sorted(expected) == list(range(len(ds)))
        assert shuffle or expected == sorted(expected)
        arguments: dict[str, Any] = {"shuffle": shuffle, "world_size": world_size, "drop_last": drop_last, "buffer": buffer}
        try:
            ranks = [list(ds.batches(batch_size, rank=rank, **arguments)) for rank in range(world_size)]
        except InputError:
            assert not drop_last
            most = math.ceil(math.ceil(len(ds) / world_size) / batch_size)
            assert len(ds) // world_size < most, "only where a rank has fewer rows than another one has batches"
            return
    sizes = [[len(batch["pupil"]) for batch in batches] for batches in ranks]
    assert len({len(batches) for batches in sizes}) == 1, "or distributed training would wait forever"
    assert all(1 <= size <= batch_size for batches in sizes for size in batches)
    if drop_last:
        assert {size for batches in sizes for size in batches} <= {batch_size}
        assert len(sizes[0]) == len(ds) // world_size // batch_size
        joined = pupils(batch for batches in ranks for batch in batches)
        assert len(set(joined)) == len(joined)
    else:
        assert max(map(sum, sizes)) - min(map(sum, sizes)) <= 1
        assert all(size == batch_size for batches in sizes for size in batches[:-2])
        assert pupils(batch for batches in ranks for batch in batches) == expected, "one order, for all batch and world sizes"
    for batch in (batch for batches in ranks for batch in batches):
        assert batch["item_sequence"].tolist() == [[pupil, pupil, -1] for pupil in batch["pupil"]]
        assert batch["note_sequence"].tolist() == [[str(pupil), "ü", ""] for pupil in batch["pupil"]]


@pytest.mark.usefixtures("bundled_home")
def test_batches_have_the_names_types_and_values_of_the_whole() -> None:
    handles = (seq_assets.load("dkt", sequence_length=50), seq_assets.load_observations("irt", subset="validation"))
    for ds, batch_size in zip(handles, (100, 3_000), strict=True):
        whole = ds.to_numpy()
        batches = list(ds.batches(batch_size))
        assert [len(batch["pupilid"]) for batch in batches[:-1]] == [batch_size] * (len(ds) // batch_size)
        for batch in batches:
            assert {name: array.dtype for name, array in batch.items()} == {name: array.dtype for name, array in whole.items()}
        for name, array in whole.items():
            np.testing.assert_array_equal(np.concatenate([batch[name] for batch in batches]), array)


def test_a_data_set_without_rows_has_no_batches(tmp_path: Path) -> None:
    for ds in (dataset(tmp_path, []), dataset(tmp_path, [[]]), dataset(tmp_path, [[[]]], ordered=False)):
        assert [list(ds.batches(4, shuffle=shuffle, world_size=3)) for shuffle in (False, True)] == [[], []]


def test_each_batch_is_the_callers_own(thousand: SequenceDataset) -> None:
    first, second, *_ = batches = list(thousand.batches(10))
    assert all(array.flags.owndata and array.flags.writeable for batch in batches for array in batch.values())
    first["pupil"][:] = -1
    assert second["pupil"].tolist() == list(range(10, 20))


def test_where_a_rank_would_lack_a_batch_it_gets_one_row_of_the_one_before(tmp_path: Path) -> None:
    ds = dataset(tmp_path, [in_groups(9, 4)])
    sizes = [[len(batch["pupil"]) for batch in ds.batches(4, rank=rank, world_size=2)] for rank in range(2)]
    assert sizes == [[3, 1], [4, 1]]


@settings(max_examples=examples(30))
@given(
    files=layouts(),
    batch_size=st.integers(1, 9),
    world_size=st.integers(1, 9),
    capacity=st.integers(1, 40),
    shuffle=st.booleans(),
    ordered=st.booleans(),
    drop_last=st.booleans(),
)
def test_even_batches_repeat_the_first_rows_until_all_ranks_have_as_many(
    files: list[list[list[int]]],
    batch_size: int,
    world_size: int,
    capacity: int,
    shuffle: bool,
    ordered: bool,
    drop_last: bool,
) -> None:
    with TemporaryDirectory() as folder:
        ds = dataset(Path(folder), files, ordered=ordered)
        arguments: dict[str, Any] = {"shuffle": shuffle, "buffer": capacity * ROW_BYTES * WINDOWS}
        order = pupils(ds.batches(len(ds) + 1, **arguments))
        arguments |= {"world_size": world_size, "even_batches": True, "drop_last": drop_last}
        ranks = [pupils(ds.batches(batch_size, rank=rank, **arguments)) for rank in range(world_size)]
    rows = math.ceil(len(ds) / world_size)
    repeated = [order[place % len(ds)] for place in range(rows * world_size)]
    kept = rows // batch_size * batch_size if drop_last else rows
    assert ranks == [repeated[rank * rows :][:kept] for rank in range(world_size)]


# In which order


def test_the_order_of_a_seed_an_epoch_and_a_version_is_the_same_wherever_the_files_are(tmp_path: Path) -> None:
    groups = [in_groups(100, 10)]
    (tmp_path / "copy").mkdir()
    original, copy = dataset(tmp_path, groups), dataset(tmp_path / "copy", groups)
    order = pupils(original.batches(7, shuffle=True, seed=1, epoch=2))
    assert (
        order
        == pupils(original.batches(7, shuffle=True, seed=1, epoch=2))
        == pupils(copy.batches(9, shuffle=True, seed=1, epoch=2))
    )
    others = [
        original.batches(7, shuffle=True, seed=2, epoch=2),
        original.batches(7, shuffle=True, seed=1, epoch=3),
        original.batches(7, shuffle=True, seed=2, epoch=1),
        dataset(tmp_path, groups, version=8).batches(7, shuffle=True, seed=1, epoch=2),
    ]
    orders = [order, *map(pupils, others)]
    assert len({tuple(other) for other in orders}) == 5


def test_permutations_never_change() -> None:
    """Trained models are repeated by them: they may depend on no version of numpy, and on no machine."""
    assert permutation(10, "plain_sequenced_train_3 7 0 0").tolist() == [3, 6, 5, 1, 4, 8, 7, 2, 9, 0]
    assert permutation(0, "").tolist() == []


def test_shuffling_mixes_neighbours(thousand: SequenceDataset) -> None:
    order = np.array(pupils(thousand.batches(1_000, shuffle=True, buffer=SMALL_BUFFER)))
    assert (np.abs(np.diff(order)) == 1).mean() < 0.03, "neighbours do not stay neighbours"
    places = [np.unique(order[start : start + 50] // 20).size for start in range(0, 1_000, 50)]
    assert min(places) >= 6, "each stretch of rows comes from many places of the table"
    assert abs(np.corrcoef(order, np.arange(1_000))[0, 1]) < 0.3
    everything = np.array(pupils(thousand.batches(1_000, shuffle=True)))
    assert min(np.unique(everything[start : start + 50] // 20).size for start in range(0, 1_000, 50)) > 20


def test_parts_of_many_row_groups_are_mixed_where_none_fits_whole(tmp_path: Path) -> None:
    ds = dataset(tmp_path, [in_groups(1_000, 100)])
    order = np.array(pupils(ds.batches(1_000, shuffle=True, buffer=80 * ROW_BYTES * WINDOWS)))
    assert sorted(order) == list(range(1_000))
    assert np.unique(order[:80] // 100).size == 8


# Versions that Athena wrote


@pytest.mark.parametrize("buffer", [1 << 20, 8 * ROW_BYTES * WINDOWS])
def test_rows_of_files_in_no_order_come_in_the_tables_order(tmp_path: Path, buffer: int) -> None:
    mixed = permutation(100, "any").tolist()
    ds = dataset(tmp_path, [[mixed[:30], mixed[30:50]], [mixed[50:]]], ordered=False)
    assert ds.to_numpy()["pupil"].tolist() == ds.to_arrow()["pupil"].to_pylist() == list(range(100))
    assert ds.to_numpy()["note_sequence"][:, 0].tolist() == [str(pupil) for pupil in range(100)]
    assert pupils(ds.batches(9, buffer=buffer)) == list(range(100))
    assert pupils(ds.batches(9, buffer=buffer, rank=1, world_size=3)) == list(range(33, 66))
    assert sorted(pupils(ds.batches(9, buffer=buffer, shuffle=True))) == list(range(100))


# Going on where it stopped


@settings(max_examples=examples(30))
@given(
    files=layouts(),
    batch_size=st.integers(1, 9),
    capacity=st.integers(1, 40),
    shuffle=st.booleans(),
    ordered=st.booleans(),
    world_size=st.integers(1, 3),
    data=st.data(),
)
def test_after_a_resume_the_same_batches_follow(
    files: list[list[list[int]]],
    batch_size: int,
    capacity: int,
    shuffle: bool,
    ordered: bool,
    world_size: int,
    data: st.DataObject,
) -> None:
    rank = data.draw(st.integers(0, world_size - 1))
    arguments: dict[str, Any] = {"shuffle": shuffle, "seed": 3, "epoch": 1, "rank": rank, "world_size": world_size}
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        here, there = (dataset(Path(folder), files, ordered=ordered) for folder in (first, second))
        arguments |= {"even_batches": True, "buffer": capacity * ROW_BYTES * WINDOWS}
        batches = here.batches(batch_size, **arguments)
        taken = data.draw(st.integers(0, len(batches)))
        before = pupils(islice(batches, taken))
        state = json.loads(json.dumps(batches.state_dict()))
        resumed, left = there.batches(batch_size, **arguments), pickle.loads(pickle.dumps(state))
        resumed.load_state_dict(left)
        assert resumed.state_dict() == state
        after = pupils(resumed)
        assert pupils(batches) == after, "the one that went on"
        assert before + after == pupils(here.batches(batch_size, **arguments))
        assert resumed.state_dict()["batches"] == len(resumed) == len(batches)


def test_a_resume_reads_nothing_of_what_came_before(thousand: SequenceDataset) -> None:
    warehouse: Any = thousand._warehouse
    arguments: dict[str, Any] = {"shuffle": True, "buffer": SMALL_BUFFER}
    batches = thousand.batches(10, **arguments)
    batches.load_state_dict({**thousand.batches(10, **arguments).state_dict(), "batches": 99})
    before = len(warehouse.opened)
    assert len(list(batches)) == 1
    assert len(warehouse.opened) - before <= 8


def test_a_state_is_taken_back_to_as_well(thousand: SequenceDataset) -> None:
    batches = thousand.batches(100)
    state = batches.state_dict()
    first = pupils(islice(batches, 3))
    batches.load_state_dict(state)
    assert pupils(islice(batches, 3)) == first


@pytest.mark.usefixtures("bundled_home")
def test_batches_that_were_pickled_go_on_where_they_were() -> None:
    batches = seq_assets.load("dkt", sequence_length=50).batches(100, shuffle=True)
    next(batches)
    found = pickle.loads(pickle.dumps(batches))
    assert [batch["pupilid"].tolist() for batch in found] == [batch["pupilid"].tolist() for batch in batches]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 8}, "state: found version 8 in place of 7; allowed: the state of the same version and arguments"),
        ({"epoch": 1, "seed": 2}, "state: found seed 2 in place of 0, epoch 1 in place of 0; allowed"),
        ({"rows": 5}, "state: found rows 5 in place of 1000"),
        ({"batches": 101}, "batches: found 101; allowed: integers from 0 to 100"),
        ({"batches": "1"}, "batches: found '1'; allowed: integers from 0"),
        ({"more": 1}, "state: found the keys .*, more; allowed: what state_dict"),
    ],
)
def test_a_state_of_other_batches_is_refused(thousand: SequenceDataset, change: dict[str, Any], message: str) -> None:
    batches = thousand.batches(10)
    with pytest.raises(InputError, match=message):
        batches.load_state_dict({**batches.state_dict(), **change})


def test_the_length_is_the_number_of_batches_of_the_rank(thousand: SequenceDataset) -> None:
    assert [len(thousand.batches(300, rank=rank, world_size=3)) for rank in range(3)] == [2, 2, 2]
    assert len(thousand.batches(300, drop_last=True)) == 3


# How much is read and held


def test_the_first_batch_reads_a_few_row_groups_only(thousand: SequenceDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[RowGroup] = []
    original = StoredRows.read

    def counting(stored: StoredRows, group: RowGroup, *arguments: Any, **options: Any) -> Iterator[pa.RecordBatch]:
        read.append(group)
        return original(stored, group, *arguments, **options)

    monkeypatch.setattr(StoredRows, "read", counting)
    for shuffle in (False, True):
        read.clear()
        batches = thousand.batches(10, shuffle=shuffle, buffer=SMALL_BUFFER)
        assert read == [], "nothing is read before the first batch is asked for"
        next(batches)
        assert len(read) <= 2 * 8, "the rows to take from, and those after them"
        batches.close()


def test_a_rank_reads_its_own_stretch_only(thousand: SequenceDataset) -> None:
    warehouse: Any = thousand._warehouse
    list(thousand.batches(10, shuffle=True, buffer=SMALL_BUFFER))
    before = len(warehouse.opened)
    list(thousand.batches(10, shuffle=True, rank=1, world_size=5, buffer=SMALL_BUFFER))
    assert len(warehouse.opened) - before <= 50 // 5 + 2 * 8


@pytest.mark.slow
@pytest.mark.parametrize("group_rows", [50, 8_000])
@pytest.mark.parametrize("shuffle", [False, True])
def test_memory_is_bounded_by_the_buffer(tmp_path: Path, group_rows: int, shuffle: bool) -> None:
    numbers = np.arange(8_000)
    schema = sequence_schema(("pupil", ColumnType.INT64), [("item", ColumnType.INT64)], 100, False)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(np.repeat(numbers, 100)), 100)
    masks = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(800_000, np.int8)), 100)
    columns = [numbers, numbers.astype(np.int32), numbers, numbers.astype(np.int32), lists, masks]
    table = pa.Table.from_arrays([pa.array(column) for column in columns], schema.names).cast(schema.stored())
    file = str(tmp_path / "large.parquet")
    pq.write_table(table, file, row_group_size=group_rows)
    whole, buffer = table.nbytes, 1 << 20
    del table, lists, masks, columns
    ds = handle([file], 8_000, schema=schema, length=100)
    gc.collect()
    decoded = pa.total_allocated_bytes()
    tracemalloc.start()
    rows = most = 0
    for batch in ds.batches(64, shuffle=shuffle, buffer=buffer):
        rows += len(batch["pupil"])
        most = max(most, pa.total_allocated_bytes() - decoded)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == 8_000
    assert whole > 7 * buffer
    assert held < buffer, "rows as arrays"
    assert most < 3 * buffer, "what is decoded: with pages of 1 MiB, of which each column has one"


def test_files_are_closed_when_nobody_wants_more(thousand: SequenceDataset, tmp_path: Path) -> None:
    large = dataset(tmp_path, [in_groups(300, 100)])
    for ds in (thousand, large):
        warehouse: Any = ds._warehouse
        for shuffle in (False, True):
            batches = ds.batches(10, shuffle=shuffle, buffer=SMALL_BUFFER)
            next(batches)
            del batches
            assert all(file.closed for file in warehouse.opened)
            list(ds.batches(10, shuffle=shuffle, buffer=SMALL_BUFFER))
            assert all(file.closed for file in warehouse.opened)


def test_a_file_that_cannot_be_read_is_an_error_of_the_batch(tmp_path: Path) -> None:
    ds = dataset(tmp_path, [in_groups(100, 10)])
    batches = ds.batches(10, shuffle=True)
    (tmp_path / "0.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"0\.parquet"):
        next(batches)


def test_a_batch_that_could_not_be_read_is_asked_for_again(tmp_path: Path) -> None:
    ds = dataset(tmp_path, [in_groups(100, 10)])
    file, away = tmp_path / "0.parquet", tmp_path / "away.parquet"
    batches = ds.batches(10, buffer=1)
    first = pupils(islice(batches, 1))
    batches.close()
    file.rename(away)
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match=r"0\.parquet"):
            next(batches)
    away.rename(file)
    assert first + pupils(batches) == list(range(100))


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size: found 0; allowed: integers from 1"),
        ({"batch_size": 2.0}, r"batch_size: found 2\.0; allowed: integers from 1"),
        ({"batch_size": True}, "batch_size: found True; allowed: integers from 1"),
        ({"seed": "a"}, "seed: found 'a'; allowed: integers"),
        ({"epoch": -1}, "epoch: found -1; allowed: integers from 0"),
        ({"rank": 2, "world_size": 2}, "rank: found 2; allowed: 0 to world_size - 1, which is 1"),
        ({"rank": -1}, "rank: found -1; allowed: integers from 0"),
        ({"world_size": 0}, "world_size: found 0; allowed: integers from 1"),
        ({"buffer": 0}, "buffer: found 0; allowed: integers from 1"),
        ({"shuffle": 1}, "shuffle: found 1; allowed: True or False"),
        ({"drop_last": None}, "drop_last: found None; allowed: True or False"),
        ({"even_batches": 1}, "even_batches: found 1; allowed: True or False"),
        ({"world_size": 1_001}, "world_size: found 1001 with batch_size 4; 1000 rows .* even_batches=True, .* drop_last=True"),
        ({"batch_size": 1, "world_size": 3}, "world_size: found 3 with batch_size 1; 1000 rows .* a larger batch_size"),
    ],
)
def test_a_wrong_argument_is_told_at_once(thousand: SequenceDataset, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        thousand.batches(**{"batch_size": 4, **arguments})


def test_integers_of_numpy_are_integers(thousand: SequenceDataset) -> None:
    order = pupils(thousand.batches(np.int64(50), shuffle=True, seed=np.int32(3)))  # type: ignore[arg-type]
    assert order == pupils(thousand.batches(50, shuffle=True, seed=3))
