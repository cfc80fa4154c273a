"""Executing a sequence plan: raw observations to finished files of sequences, range by range, side by side.

A range becomes one file, which follows from the raw observations alone, so that the files are the same however many are made at
a time. Not here: how a history is cut (`sequencing.kernel`), or whether the files are right (`audit_sequences`).
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain

import pyarrow as pa

from seq_assets.sequencing.accounting import SequenceAccounting
from seq_assets.sequencing.kernel import Kernel
from seq_assets.sequencing.plans import SequencePlan
from seq_assets.warehouse.interface import Progress
from seq_assets.warehouse.local.ranges import ROWS_PER_RANGE, HistoryRows, RowRange
from seq_assets.warehouse.side_by_side import side_by_side
from seq_assets.warehouse.storage.parquet_files import row_groups, write_row_groups
from seq_assets.warehouse.storage.storage import Storage


@dataclass(frozen=True)
class SequenceWriter:
    """What is the same for all ranges of a plan.

    Attributes:
        plan: What to make.
        vocabulary: Rows of the vocabulary table; needed where a feature of the plan is encoded.
        storage: Where the files are.
        workers: How many ranges are worked on at a time.
        rows_per_range: A range has at least so many rows, where there are.
    """

    plan: SequencePlan
    vocabulary: pa.Table | None
    storage: Storage
    workers: int
    rows_per_range: int = ROWS_PER_RANGE

    def write(self, raw: Sequence[str], folder: str, progress: Progress) -> tuple[list[str], SequenceAccounting]:
        """Writes finished files into a folder.

        Args:
            raw: The files of raw observations of the plan's subset.
            folder: Where to.
            progress: Is told the sequences written, of each range when those before it are done, too.

        Returns:
            The files in the order of their rows, and where every observation went. A range without a sequence has no file,
            unless none has one: then there is one file without rows.
        """
        rows = HistoryRows(self.storage, raw, self.plan.entity[0])
        kernel = Kernel(self.plan, self.vocabulary)
        ranges = rows.ranges(self.rows_per_range)
        names = [f"{folder}/{name}.parquet" for name in _names(self.plan.subset, len(ranges))]

        def write(named: tuple[str, RowRange]) -> SequenceAccounting:
            file, range_ = named
            return self._write_range(kernel.another(), rows, range_, file)

        files, parts = [], []
        # Closed, so that nothing is written any more by the time the folder is removed.
        with closing(side_by_side(write, list(zip(names, ranges, strict=True)), self.workers)) as written:
            for file, part in zip(names, written, strict=True):
                parts.append(part)
                if part.sequences:
                    files.append(file)
                    progress(f"sequence {self.plan.dataset.table}", sum(done.sequences for done in parts))
        if not files:
            files = [f"{folder}/{self.plan.subset}.parquet"]
            write_row_groups(self.storage, files[0], self.plan.schema.stored(), iter(()), _tell_nobody)
        return files, SequenceAccounting.total(parts)

    def _write_range(self, kernel: Kernel, rows: HistoryRows, range_: RowRange, file: str) -> SequenceAccounting:
        """Writes the file of a range, if it has a sequence."""
        schema = self.plan.schema.stored()
        batches = kernel.batches(rows.read(range_.start, range_.end, kernel.input_columns))
        groups = row_groups(batches, schema, self.plan.sequence_length)
        first = next(groups, None)
        if first is not None:
            write_row_groups(self.storage, file, schema, chain([first], groups), _tell_nobody)
        return kernel.accounting


def _names(subset: str, ranges: int) -> list[str]:
    """Of the files: the subset's, and of several also their numbers, in whose order they sort."""
    return [subset] if ranges == 1 else [f"{subset}-{number:05}" for number in range(ranges)]


def _tell_nobody(rows: int) -> None:
    """What a range has written is told when it is done."""
