"""Batches for a DataLoader: workers and ranks share the rows, each row once, and an epoch goes on where it stopped.

Torch stands for itself in `test_torch`; here, what tells a process which worker it is is given.
"""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq_assets.client.batches import BatchSettings, StoredRows, stream_batches
from seq_assets.client.datasets import SequenceDataset
from seq_assets.client.loaders import SharedBatches
from seq_assets.client.workers import Worker, current_worker
from seq_assets.errors import InputError
from seq_assets_tests.client.files import Arrays, dataset, in_groups
from seq_assets_tests.reference import examples

PLAIN = BatchSettings(
    batch_size=4,
    shuffle=True,
    seed=0,
    epoch=0,
    rank=0,
    world_size=1,
    drop_last=False,
    even_batches=False,
    buffer=1 << 20,
)
ALONE = Worker()


def pupils_of(batch: Arrays) -> list[int]:
    found: list[int] = batch["pupil"].tolist()
    return found


def shared(stored: StoredRows, worker: Worker = ALONE, **changes: Any) -> SharedBatches[list[int]]:
    """The batches of one worker, as lists of pupils."""
    batch_settings = BatchSettings(**{**vars(PLAIN), **changes})
    return SharedBatches(stored, batch_settings, pupils_of, [batch_settings.epoch], lambda: worker)


def workers_of(count: int) -> list[Worker]:
    return [Worker(number, count) for number in range(count)]


@pytest.fixture
def stored(tmp_path: Path) -> StoredRows:
    """100 pupils in 10 row groups."""
    return dataset(tmp_path, [in_groups(100, 10)])._stored


# Shares


@settings(max_examples=examples(30))
@given(
    sizes=st.lists(st.integers(0, 9), max_size=8),
    batch_size=st.integers(1, 9),
    world_size=st.integers(1, 3),
    workers=st.integers(1, 5),
    shuffle=st.booleans(),
)
def test_workers_and_ranks_share_the_batches_each_once(
    sizes: list[int], batch_size: int, world_size: int, workers: int, shuffle: bool
) -> None:
    counter = iter(range(1_000))
    groups = [[next(counter) for _ in range(size)] for size in sizes]
    with TemporaryDirectory() as folder:
        stored = dataset(Path(folder), [groups])._stored
        changes: dict[str, Any] = {"batch_size": batch_size, "world_size": world_size, "shuffle": shuffle, "even_batches": True}
        alone = [list(shared(stored, rank=rank, **changes)) for rank in range(world_size)]
        parts = [
            [list(shared(stored, worker, rank=rank, **changes)) for worker in workers_of(workers)] for rank in range(world_size)
        ]
    for rank in range(world_size):
        assert [batch for part in parts[rank] for batch in part] == alone[rank], "the batches of one process, in stretches"
        assert max(map(len, parts[rank])) - min(map(len, parts[rank])) <= 1
    assert {pupil for batches in alone for batch in batches for pupil in batch} == set(range(sum(sizes)))


def test_the_length_is_that_of_all_workers_together(stored: StoredRows) -> None:
    assert [len(shared(stored, worker)) for worker in workers_of(3)] == [25, 25, 25]


def test_a_worker_reads_its_own_stretch_only(stored: StoredRows) -> None:
    warehouse: Any = stored.warehouse
    part = shared(stored, Worker(1, 5), shuffle=False, buffer=1)
    before = len(warehouse.opened)
    assert list(part) == [list(range(start, start + 4)) for start in range(20, 40, 4)]
    assert len(warehouse.opened) - before == 1 + 2, "the footer, and two row groups of ten"


def test_batches_that_no_one_shares_out_are_refused_in_a_worker(stored: StoredRows) -> None:
    with pytest.raises(InputError, match=r"called in worker 1 of 2 of a DataLoader, each .* allowed: to_torch_dataset\(\)"):
        stream_batches(stored, PLAIN, lambda: Worker(1, 2))
    assert len(stream_batches(stored, PLAIN, lambda: Worker(0, 1))) == 25


def test_the_worker_is_the_one_that_torch_names_where_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.data", None)
    assert current_worker() == Worker(0, 1)
    named: list[Any] = [None, SimpleNamespace(id=2, num_workers=3)]
    monkeypatch.setitem(sys.modules, "torch.utils.data", SimpleNamespace(get_worker_info=lambda: named[0]))
    assert current_worker() == Worker(0, 1)
    named.pop(0)
    assert current_worker() == Worker(2, 3)


# Epochs


def test_each_epoch_has_its_order_and_an_epoch_its_own(stored: StoredRows) -> None:
    batches = shared(stored)
    first, again = list(batches), list(batches)
    batches.set_epoch(1)
    second = list(batches)
    batches.set_epoch(0)
    assert first == again == list(batches)
    assert first != second == list(shared(stored, epoch=1))
    with pytest.raises(InputError, match="epoch: found -1"):
        batches.set_epoch(-1)


# Going on where it stopped


@settings(max_examples=examples(30))
@given(workers=st.integers(1, 3), data=st.data())
def test_each_worker_goes_on_where_it_stopped(workers: int, data: st.DataObject) -> None:
    worker = data.draw(st.sampled_from(workers_of(workers)))
    with TemporaryDirectory() as folder:
        stored = dataset(Path(folder), [in_groups(50, 10)])._stored
        stopped, resumed = shared(stored, worker), shared(stored, worker)
        stopped.set_epoch(2)
        whole = list(stopped)
        iterator: Iterator[list[int]] = iter(stopped)
        taken = data.draw(st.integers(0, len(whole)))
        before = list(islice(iterator, taken))
        state = stopped.state_dict()
        resumed.load_state_dict(state)
        assert resumed.state_dict() == state
        going_on = iter(resumed)
        assert resumed.state_dict() == state, "also once the iteration has begun, before its first batch"
        assert before + list(going_on) == whole
        assert list(resumed) == whole, "the next iteration is over all batches again"
        resumed.load_state_dict(state)
        resumed.set_epoch(3)
        assert list(resumed) == list(shared(stored, worker, epoch=3)), "another epoch begins at its beginning"


def test_an_iteration_that_was_given_up_begins_anew(stored: StoredRows) -> None:
    batches = shared(stored)
    first = next(iter(batches))
    assert batches.state_dict()["batches"] == 1
    assert next(iter(batches)) == first
    batches.set_epoch(1)
    assert (batches.state_dict()["epoch"], batches.state_dict()["batches"]) == (1, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"workers": 3}, "state: found workers 3 in place of 2"),
        ({"version": 8}, "state: found version 8 in place of 7"),
        ({"batches": 14}, "batches: found 14; allowed: integers from 0 to 12"),
        ({"epoch": -1}, "epoch: found -1; allowed: integers from 0"),
    ],
)
def test_a_state_of_others_is_refused(stored: StoredRows, change: dict[str, Any], message: str) -> None:
    batches = shared(stored, Worker(0, 2))
    with pytest.raises(InputError, match=message):
        batches.load_state_dict({**batches.state_dict(), **change})
    with pytest.raises(InputError, match="state: found the keys none"):
        batches.load_state_dict({})


# Extras that are not there


@pytest.mark.parametrize(
    ("method", "package", "extra"),
    [
        ("to_torch_dataset", "torch", "torch"),
        ("to_huggingface", "datasets", "huggingface"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    tmp_path: Path, method: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    ds: SequenceDataset = dataset(tmp_path, [[[0]]])
    arguments = (4,) if method == "to_torch_dataset" else ()
    with pytest.raises(InputError, match=rf"{method}\(\) needs the package {package}; install seq-assets\[{extra}\]"):
        getattr(ds, method)(*arguments)


def test_a_rank_without_a_world_size_is_refused(tmp_path: Path) -> None:
    ds = dataset(tmp_path, [[[0]]])
    with pytest.raises(InputError, match="rank: found 1 with world_size None; allowed: both, or none of them"):
        ds.to_torch_dataset(4, rank=1)
