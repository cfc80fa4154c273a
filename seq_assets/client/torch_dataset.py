"""Batches as torch's DataLoader takes them. Loading this module loads torch, so that it is done where it is used.

Belongs here: what is torch's own. Not here: what workers and ranks get (`loaders`).
"""

from typing import TYPE_CHECKING

import torch
from torch.utils.data import IterableDataset

from seq_assets.client.batches import BatchSettings, StoredRows
from seq_assets.client.loaders import SharedBatches

if TYPE_CHECKING:
    from seq_assets.client.batches import Arrays

    Tensors = dict[str, torch.Tensor]


class TorchDataset(SharedBatches["Tensors"], IterableDataset):  # type: ignore[misc]
    """Batches of tensors: give it to `DataLoader(…, batch_size=None)`, with workers or without."""

    def __init__(self, stored: StoredRows, settings: BatchSettings) -> None:
        """Nothing is read yet."""
        # Workers that live on share this memory, and so hear of another epoch.
        epoch = torch.full((1,), settings.epoch, dtype=torch.int64).share_memory_()
        super().__init__(stored, settings, tensors_of, epoch)


def tensors_of(arrays: "Arrays") -> "Tensors":
    """The numeric arrays as tensors that share their memory."""
    return {name: torch.from_numpy(array) for name, array in arrays.items() if array.dtype.kind in "biuf"}


def rank_and_world_size() -> tuple[int, int]:
    """Those of the process group; 0 of 1 where there is none."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
