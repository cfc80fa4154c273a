"""The same batches, epoch after epoch, shared out to the workers of a DataLoader.

Belongs here: which worker gets which batches, and where an epoch goes on. Not here: which rows are a batch (`batches`), torch
itself (`torch_dataset`): this module is tested without it.
"""

from collections.abc import Callable, Iterator, Mapping, MutableSequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from seq_assets.client.batches import Batches, BatchSettings, StoredRows, require_same
from seq_assets.client.workers import Worker, current_worker

if TYPE_CHECKING:
    from seq_assets.client.batches import Arrays

Batch = TypeVar("Batch")


class SharedBatches(Generic[Batch]):
    """Iterates over the batches of one rank; each worker of a DataLoader gets a stretch of them, each batch once.

    What torchdata's StatefulDataLoader wants of a data set is here: `state_dict` says which batches of the epoch were given,
    and after `load_state_dict` the next iteration goes on behind them.
    """

    def __init__(
        self,
        stored: StoredRows,
        settings: BatchSettings,
        convert: "Callable[[Arrays], Batch]",
        epoch: MutableSequence[int],
        worker: Callable[[], Worker] = current_worker,
    ) -> None:
        """Nothing is read yet.

        Args:
            stored: The rows.
            settings: Which of them come when.
            convert: What is made of a batch.
            epoch: Holds the epoch as its one element; workers that live on have to see what is put there.
            worker: Says which worker this process is.
        """
        self._stored = stored
        self._settings = settings
        self._convert = convert
        self._epoch = epoch
        self._worker = worker
        self._at = settings.epoch, 0
        self._resumes = False

    def __len__(self) -> int:
        """The batches of this rank in an epoch, of all workers together."""
        return len(Batches(self._stored, self._settings))

    def set_epoch(self, epoch: int) -> None:
        """Has the next iteration be over another epoch, whose order is another one where rows are shuffled.

        Raises:
            InputError: It is no integer from 0.
        """
        self._epoch[0] = replace(self._settings, epoch=epoch).epoch

    def __iter__(self) -> Iterator[Batch]:
        """The batches of this worker: all of the epoch, or, once after `load_state_dict`, those that are left."""
        epoch, taken = self._place() if self._resumes else (int(self._epoch[0]), 0)
        self._resumes = False
        self._at = epoch, taken
        batches = self._batches(epoch)
        batches.skip(taken)
        return self._converted(batches)

    def _converted(self, batches: Batches) -> Iterator[Batch]:
        epoch, taken = self._at
        for batch in batches:
            taken += 1
            self._at = epoch, taken
            yield self._convert(batch)

    def state_dict(self) -> dict[str, Any]:
        """Which batches of the epoch this process has given."""
        epoch, taken = self._place()
        return {**self._identity(epoch), "batches": taken}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Has the next iteration go on where `state_dict` was taken, in the same epoch.

        Raises:
            InputError: It is of other rows, or of other settings, or of another worker.
        """
        epoch = state.get("epoch", 0)
        require_same(state, self._identity(epoch))
        self._batches(epoch).skip(state["batches"])
        self._epoch[0] = epoch
        self._at = epoch, state["batches"]
        self._resumes = True

    def _place(self) -> tuple[int, int]:
        """The epoch, and the batches of it that were given."""
        epoch = int(self._epoch[0])
        return self._at if self._at[0] == epoch else (epoch, 0)

    def _batches(self, epoch: int) -> Batches:
        return Batches(self._stored, replace(self._settings, epoch=epoch), self._worker())

    def _identity(self, epoch: int) -> dict[str, Any]:
        worker = self._worker()
        identity = replace(self._settings, epoch=epoch).identity(self._stored)
        return {**identity, "worker": worker.number, "workers": worker.workers}
