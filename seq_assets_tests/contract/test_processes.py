"""Handles in other processes: however those were started, and whichever warehouse the rows are in."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from seq_assets.client.datasets import SequenceDataset, dataset_of
from seq_assets_tests.warehouse.building import Workspace

Seen = tuple[list[list[int]], list[int], list[list[int]], list[int]]

_received: list[SequenceDataset] = []


def seen(ds: SequenceDataset) -> Seen:
    """What a process sees of a handle: all rows, one row, batches, and the versions that its warehouse looks up."""
    versions = [version.id for version in ds._warehouse.versions(ds._version.dataset)]
    batches = [batch["item_sequence"] for batch in ds.batches(2, shuffle=True)]
    rows: list[list[int]] = ds.to_numpy()["item_sequence"].tolist()
    return rows, ds[-1]["item_sequence"].tolist(), np.concatenate(batches).tolist(), versions


def receive(ds: SequenceDataset) -> None:
    """What a new process begins with: forked, it has the handle as it is, with all that is open in it; else, pickled."""
    _received[:] = [ds]


def seen_there() -> Seen:
    return seen(_received[0])


@pytest.mark.slow
def test_a_handle_is_used_in_any_other_process(workspace: Workspace) -> None:
    workspace.write("source.csv", "pupil,time,item\n" + "".join(f"{time % 5},{time},{time}\n" for time in range(40)))
    spec = workspace.sequence_model()
    workspace.ingest(spec)
    ds = dataset_of(workspace.warehouse, workspace.sequence(spec).version)
    assert isinstance(ds, SequenceDataset)
    here = seen(ds)
    assert len(here[0]) == len(ds) == 10
    for method in ("fork", "forkserver", "spawn"):
        context = multiprocessing.get_context(method)
        with ProcessPoolExecutor(1, context, initializer=receive, initargs=(ds,)) as executor:
            there = executor.submit(seen_there)
            assert seen(ds) == here, "while another process reads, too"
            assert there.result() == here, method
        assert seen(ds) == here, f"after a process of {method} has ended"
