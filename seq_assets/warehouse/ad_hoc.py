"""One data set in, finished sequences out: the whole way of a plan, in a warehouse that is there for this alone.

Belongs here: the order of things. Not here: which warehouse that is (`environments`), or how files get to their place
(`storage.delivery`).
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pyarrow.parquet as pq

from seq_assets.errors import SettingsError
from seq_assets.models import ModelSpec, Subset
from seq_assets.sequencing.accounting import IngestAccounting, SequenceAccounting
from seq_assets.sequencing.plans import Dataset, IngestPlan, SequencePlan
from seq_assets.warehouse.cancellation import Work, doing, uninterrupted
from seq_assets.warehouse.interface import Progress, Version, Warehouse
from seq_assets.warehouse.sources.location import would_read
from seq_assets.warehouse.storage.delivery import Delivery, open_delivery

OpenWarehouse: TypeAlias = Callable[[Path], AbstractContextManager[Warehouse]]
"""Opens a warehouse that keeps what it needs on this machine in a folder, and whose tables are gone afterwards."""
_VOCABULARY = "vocabulary"


@dataclass(frozen=True)
class EmptyResult:
    """A subset without a sequence.

    Attributes:
        plan: What made it.
        accounting: Where the subset's observations went.
        longest: The items of its longest history.
    """

    plan: SequencePlan
    accounting: SequenceAccounting
    longest: int


@dataclass(frozen=True)
class Written:
    """What was made of a data set.

    Attributes:
        places: Where the results are: the subsets, then the vocabulary.
        ingest: Where the records of the data set went.
        empty: The subsets without a sequence.
    """

    places: Sequence[str]
    ingest: IngestAccounting
    empty: Sequence[EmptyResult]


@dataclass(frozen=True)
class AdHocSequences:
    """What is wanted of one data set.

    Attributes:
        spec: The model whose contract, features and split apply.
        location: The data set: a path, folder or glob, the same on S3, or a table that the warehouse can read.
        folder: Where a relative location starts.
        sequence_length: Positions of each sequence.
        subsets: Which ones.
        output: A path or an address on S3; below it, each result has a folder.
    """

    spec: ModelSpec
    location: str
    folder: Path
    sequence_length: int
    subsets: Sequence[Subset]
    output: str

    @property
    def folders(self) -> list[str]:
        """The names of the results' folders."""
        return [*(self._folder_of(subset) for subset in self.subsets), *([_VOCABULARY] if self.spec.encoded else [])]

    def write(self, open_warehouse: OpenWarehouse, progress: Progress) -> Written:
        """Ingests, sequences and audits the data set, and only then replaces what stands at the output, all of it.

        Args:
            open_warehouse: Opens the warehouse that does it.
            progress: Is told about long work.

        Raises:
            SettingsError: The output cannot be written, is read as part of the data set, or holds files of others.
            SourceError: The data set cannot be read.
            AuditError: A blocking condition does not hold.
            ConflictError: Another run has replaced the same output at the same time.
            RetryableError: Something is out of reach, or too busy.
        """
        self._refuse_to_read_the_output()
        with doing(self._unfinished), open_delivery(self.output, self.folders) as delivery:
            with open_warehouse(delivery.scratch) as warehouse:
                ingest, empty = self._prepare(warehouse, delivery, progress)
            with uninterrupted(self._being_replaced, afterwards=self._finished):
                return Written(delivery.commit(), ingest, empty)

    def _prepare(
        self, warehouse: Warehouse, delivery: Delivery, progress: Progress
    ) -> tuple[IngestAccounting, list[EmptyResult]]:
        source = self.spec.source.model_copy(update={"location": self.location, "format": "auto"})
        plan = IngestPlan(self.spec.model_copy(update={"source": source}), self.location, str(self.folder))
        raw = warehouse.execute(plan, progress=progress).version
        empty = []
        for subset in self.subsets:
            sequences = SequencePlan.of(self.spec, subset, self.sequence_length, raw.id)
            version = warehouse.execute(sequences, progress=progress).version
            delivery.prepare(self._folder_of(subset), _files(version, delivery.scratch))
            if not version.rows:
                accounting = SequenceAccounting(**version.metadata["accounting"])
                empty.append(EmptyResult(sequences, accounting, warehouse.histories(raw, subset).longest))
        if self.spec.encoded:
            vocabulary = warehouse.find(Dataset.vocabulary(self.spec.name), raw.metadata["vocabulary_version"])
            delivery.prepare(_VOCABULARY, _files(vocabulary, delivery.scratch))
        return IngestAccounting(**raw.metadata["accounting"]), empty

    def _folder_of(self, subset: Subset) -> str:
        return f"{subset}_sequenced_{self.sequence_length}"

    def _refuse_to_read_the_output(self) -> None:
        for folder in self.folders:
            place = f"{self.output.rstrip('/')}/{folder}"
            if would_read(self.location, self.folder, place):
                raise SettingsError(
                    f"{place!r} will be written, and is read as part of {self.location!r}; choose an output that is not below "
                    "the data set, nor the data set itself."
                )

    @property
    def _unfinished(self) -> Work:
        return Work(
            f"Stopped while {self.location} was sequenced: what stood in {self.output} is whole. Run the same command again."
        )

    @property
    def _being_replaced(self) -> Work:
        return Work(
            f"Stopped while {self.output} was replaced, which did not end: it may hold new files beside old ones. Run the same "
            "command again."
        )

    @property
    def _finished(self) -> Work:
        return Work(f"Stopped when {self.location} was sequenced already: what is new is in {self.output}, whole.")


def _files(version: Version, scratch: Path) -> Sequence[str]:
    """The files of a version; of one without rows at least one, because readers of Parquet refuse a folder without files."""
    if version.files:
        return version.files
    empty = scratch / f"{version.id}.parquet"
    pq.write_table(version.schema.stored().empty_table(), empty)
    return [str(empty)]
