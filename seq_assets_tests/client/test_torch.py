"""Handles in torch's own DataLoader, in torchdata's, which resumes, and in Hugging Face's datasets.

Belongs here: what only the real packages can tell. Not here: who gets which batches (`test_loaders`).
"""

import pickle
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest

import seq_assets
from seq_assets.client.datasets import SequenceDataset
from seq_assets.errors import InputError

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("bundled_home")]

BATCH = 64
STARTS = ["fork", "forkserver", "spawn"]


@pytest.fixture
def ds(bundled_home: object) -> SequenceDataset:
    """1,080 sequences."""
    return seq_assets.load("dkt", sequence_length=50)


def loader(dataset: Any, workers: int = 0, **options: Any) -> Any:
    from torch.utils.data import DataLoader

    return DataLoader(dataset, batch_size=None, num_workers=workers, **options)


def rows_of(batches: Iterable[Any]) -> list[list[tuple[int, int]]]:
    """What tells the rows of each batch."""
    return [list(zip(batch["pupilid"].tolist(), batch["sequence_index"].tolist(), strict=True)) for batch in batches]


def joined(batches: list[list[tuple[int, int]]]) -> list[tuple[int, int]]:
    return [row for batch in batches for row in batch]


def whole(ds: SequenceDataset) -> list[tuple[int, int]]:
    return joined(rows_of([ds.to_numpy()]))


def test_without_workers_a_data_loader_gives_the_batches_as_tensors_that_share_their_memory(ds: SequenceDataset) -> None:
    import torch

    from seq_assets.client.torch_dataset import tensors_of

    dataset = ds.to_torch_dataset(BATCH, shuffle=True, seed=1)
    found = list(loader(dataset))
    assert len(loader(dataset)) == len(found) == 17
    for batch, arrays in zip(found, ds.batches(BATCH, shuffle=True, seed=1), strict=True):
        assert set(batch) == set(arrays)
        for name, array in arrays.items():
            assert isinstance(batch[name], torch.Tensor)
            np.testing.assert_array_equal(batch[name].numpy(), array)
        assert all(tensor.data_ptr() == arrays[name].ctypes.data for name, tensor in tensors_of(arrays).items())


@pytest.mark.parametrize("start", STARTS)
def test_workers_share_the_rows_each_once(ds: SequenceDataset, start: str) -> None:
    dataset = ds.to_torch_dataset(BATCH, shuffle=True)
    found = rows_of(loader(dataset, 2, multiprocessing_context=start))
    alone = rows_of(loader(dataset))
    assert sorted(found) == sorted(alone)
    assert sorted(joined(found)) == sorted(whole(ds))


def test_workers_that_live_on_hear_of_another_epoch(ds: SequenceDataset) -> None:
    dataset = ds.to_torch_dataset(BATCH, shuffle=True)
    batches = loader(dataset, 2, persistent_workers=True)
    epochs = []
    for epoch in (0, 1, 0):
        dataset.set_epoch(epoch)
        epochs.append(rows_of(batches))
    assert epochs[0] == epochs[2] != epochs[1]
    assert sorted(joined(epochs[1])) == sorted(whole(ds))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("taken", [0, 1, 7, 17])
def test_torchdata_resumes_at_the_batch_where_it_stopped(ds: SequenceDataset, workers: int, taken: int) -> None:
    from torchdata.stateful_dataloader import StatefulDataLoader

    def stateful() -> Any:
        dataset = ds.to_torch_dataset(BATCH, shuffle=True, seed=2)
        dataset.set_epoch(3)
        return StatefulDataLoader(dataset, batch_size=None, num_workers=workers)

    expected = rows_of(stateful())
    stopped = stateful()
    iterator = iter(stopped)
    before = rows_of(next(iterator) for _ in range(taken))
    state = pickle.loads(pickle.dumps(stopped.state_dict()))
    resumed = stateful()
    resumed.load_state_dict(state)
    assert before + rows_of(resumed) == expected
    assert rows_of(resumed) == expected, "the next iteration is over all again"


def test_a_plain_data_set_around_batches_does_not_double_rows(ds: SequenceDataset) -> None:
    from torch.utils.data import IterableDataset

    class Plain(IterableDataset):  # type: ignore[misc]
        def __iter__(self) -> Iterator[Any]:
            return ds.batches(BATCH)

    assert sorted(joined(rows_of(loader(Plain())))) == sorted(whole(ds))
    with pytest.raises(InputError, match="to_torch_dataset"):
        list(loader(Plain(), 2))


def test_a_handle_is_a_data_set_of_rows(ds: SequenceDataset) -> None:
    from torch.utils.data import DataLoader, Subset

    found = list(DataLoader(Subset(ds, range(0, 40)), batch_size=8, num_workers=2))
    assert joined(rows_of(found)) == whole(ds)[:40]


def test_the_rank_is_that_of_the_process_group(ds: SequenceDataset) -> None:
    import torch
    from torch.testing._internal.distributed.fake_pg import FakeStore

    torch.distributed.init_process_group("fake", store=FakeStore(), rank=1, world_size=2)
    try:
        found = rows_of(ds.to_torch_dataset(BATCH))
        given = rows_of(ds.to_torch_dataset(BATCH, rank=0, world_size=2))
    finally:
        torch.distributed.destroy_process_group()
    assert found == rows_of(ds.batches(BATCH, rank=1, world_size=2))
    assert joined(given) + joined(found) == whole(ds)


def test_texts_and_times_are_left_out() -> None:
    observations = seq_assets.load_observations("irt", subset="train")
    assert list(next(iter(observations.to_torch_dataset(BATCH)))) == ["pupilid", "exerciseid", "correct", "_position"]


def test_a_hugging_face_data_set_is_over_the_same_memory(ds: SequenceDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    table = ds.to_arrow()
    monkeypatch.setattr(SequenceDataset, "to_arrow", lambda _: table)
    found = ds.to_huggingface()
    assert len(found) == len(ds)
    assert found.column_names == list(ds.columns)
    feature = found.features["correct_sequence"]
    assert (feature.length, feature.feature.dtype) == (50, "int8")

    def addresses(column: Any) -> list[int]:
        return [buffer.address for chunk in column.chunks for buffer in chunk.buffers() if buffer is not None]

    for name in table.column_names:
        assert set(addresses(table.column(name))) <= set(addresses(found.data.column(name))), name
    np.testing.assert_array_equal(found.with_format("numpy")["correct_sequence"][:], ds.to_numpy()["correct_sequence"])
    counted = found.map(lambda row: {"right": sum(row["correct_sequence"])})
    assert counted["right"][:5] == ds.to_numpy()["correct_sequence"].sum(axis=1)[:5].tolist()
    assert ds.to_huggingface()._fingerprint == found._fingerprint
    assert seq_assets.load("dkt", sequence_length=100).to_huggingface()._fingerprint != found._fingerprint


def test_all_rows_as_tensors(ds: SequenceDataset) -> None:
    tensors = ds.to_torch()
    for name, array in ds.to_numpy().items():
        np.testing.assert_array_equal(tensors[name].numpy(), array)
