"""One epoch of a training loop, by one way of getting its batches: `python -m benchmarks.loading WAY`.

Belongs here: the loops that are compared, each as its package's documents write it. Not here: how they are measured.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from benchmarks.task import MODEL, SEQUENCE_LENGTH

BATCH_SIZE: Final = 256
EPOCHS: Final = 3
_SHUFFLED_ROWS: Final = 10_000
"""The buffer of Hugging Face's streaming."""

Epoch = Callable[[int], Iterable[Any]]


def tensor_dataset(ds: Any) -> Epoch:
    """All rows in memory; torch's own loop, row by row."""
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(*ds.to_torch().values()), batch_size=BATCH_SIZE, shuffle=True)
    return lambda _: loader


def tensor_dataset_by_batch(ds: Any) -> Epoch:
    """All rows in memory; the rows of a batch are taken with one index."""
    from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

    rows = TensorDataset(*ds.to_torch().values())
    sampler = BatchSampler(RandomSampler(rows), BATCH_SIZE, drop_last=False)
    loader = DataLoader(rows, sampler=sampler, batch_size=None)
    return lambda _: loader


def batches(ds: Any) -> Epoch:
    """Streamed, as arrays."""
    return lambda epoch: ds.batches(BATCH_SIZE, shuffle=True, epoch=epoch)


def torch_dataset(ds: Any, workers: int = 0) -> Epoch:
    """Streamed, as tensors, by a DataLoader."""
    from torch.utils.data import DataLoader

    dataset = ds.to_torch_dataset(BATCH_SIZE, shuffle=True)
    loader: Iterable[Any] = DataLoader(dataset, batch_size=None, num_workers=workers, persistent_workers=workers > 0)

    def epoch_of(epoch: int) -> Iterable[Any]:
        dataset.set_epoch(epoch)
        return loader

    return epoch_of


def torch_dataset_two_workers(ds: Any) -> Epoch:
    """The same with two workers, which live on."""
    return torch_dataset(ds, 2)


def hugging_face_streaming(ds: Any) -> Epoch:
    """The same files, streamed and shuffled by Hugging Face's datasets, as tensors."""
    from datasets import load_dataset
    from torch.utils.data import DataLoader

    streamed = load_dataset("parquet", data_files=list(ds._files), split="train", streaming=True)
    rows = streamed.shuffle(seed=0, buffer_size=_SHUFFLED_ROWS).with_format("torch")
    loader: Iterable[Any] = DataLoader(rows, batch_size=BATCH_SIZE)

    def epoch_of(epoch: int) -> Iterable[Any]:
        rows.set_epoch(epoch)
        return loader

    return epoch_of


def hugging_face_batches(ds: Any) -> Epoch:
    """The same files, streamed in their order in whole batches, as arrays."""
    from datasets import load_dataset

    streamed = load_dataset("parquet", data_files=list(ds._files), split="train", streaming=True).with_format("numpy")
    return lambda _: streamed.iter(batch_size=BATCH_SIZE)


WAYS: Final[Mapping[str, Callable[[Any], Epoch]]] = {
    way.__name__: way
    for way in (
        tensor_dataset,
        tensor_dataset_by_batch,
        batches,
        torch_dataset,
        torch_dataset_two_workers,
        hugging_face_streaming,
        hugging_face_batches,
    )
}


def main() -> None:
    """Prints what the epochs took, as JSON."""
    import seq_assets

    ds = seq_assets.load(MODEL, sequence_length=SEQUENCE_LENGTH, subset="train")
    started = time.perf_counter()
    epoch_of = WAYS[sys.argv[1]](ds)
    next(iter(epoch_of(0)))
    report: dict[str, Any] = {
        "first_batch_seconds": time.perf_counter() - started,
        "seconds": [],
        "cpu_seconds": [],
        "bytes": [],
    }
    for epoch in range(EPOCHS):
        started, cpu_started, rows = time.perf_counter(), time.process_time(), 0
        for batch in epoch_of(epoch):
            column = batch["correct_sequence"] if isinstance(batch, Mapping) else batch[0]
            rows += len(column)
            column.sum()
        assert rows == len(ds), f"{rows} rows came of {len(ds)}"
        report["seconds"].append(time.perf_counter() - started)
        report["cpu_seconds"].append(time.process_time() - cpu_started)
        report["bytes"].append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    print(json.dumps(report | {"rows": len(ds)}))


if __name__ == "__main__":
    main()
