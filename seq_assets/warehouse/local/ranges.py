"""Ranges of rows of raw observations that hold whole histories, so that each can be worked on without the others.

Belongs here: rows by their number over all files, and where they can be cut. Not here: what is done with a range.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seq_assets.warehouse.cancellation import raise_if_canceled
from seq_assets.warehouse.engine import BATCH_ROWS
from seq_assets.warehouse.storage.storage import Storage

ROWS_PER_RANGE: Final = 1_000_000
"""At least: about a second of work, and a file of some megabytes."""
MOST_RANGES: Final = 64
"""Of one subset, however large: each becomes a file, and readers pay for each file."""


@dataclass(frozen=True)
class RowRange:
    """Rows that hold whole histories.

    Attributes:
        start: Number of its first row, from 0 over all files.
        end: Number after its last row.
    """

    start: int
    end: int


@dataclass(frozen=True)
class _RowGroup:
    """One row group of one of the files.

    Attributes:
        file: The file.
        number: Its number there.
        start: Number of its first row.
        end: Number after its last row.
        entities: The least and the greatest of its entities; None where its footer does not say.
    """

    file: str
    number: int
    start: int
    end: int
    entities: tuple[Any, Any] | None


class HistoryRows:
    """The rows of files in which all rows of an entity stand together, numbered over all files."""

    def __init__(self, storage: Storage, files: Sequence[str], entity: str, batch_rows: int = BATCH_ROWS) -> None:
        """Reads the files' footers.

        Args:
            storage: Where the files are.
            files: In the order of their rows.
            entity: The column of the entity.
            batch_rows: Of the batches that are read, at most.
        """
        self._storage = storage
        self._entity = entity
        self._batch_rows = batch_rows
        self._footers = {file: self._footer(file) for file in files}
        self._groups: list[_RowGroup] = []
        for file, footer in self._footers.items():
            place = footer.schema.names.index(entity)
            for number, group in enumerate(map(footer.row_group, range(footer.num_row_groups))):
                start = self.count
                entities = _extremes(group.column(place).statistics)
                self._groups.append(_RowGroup(file, number, start, start + group.num_rows, entities))

    @property
    def count(self) -> int:
        """The number of all rows."""
        return self._groups[-1].end if self._groups else 0

    def read(self, start: int, end: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of the rows from one number to before another, in batches of bounded size; reads little else."""
        wanted = (group for group in self._groups if group.start < end and start < group.end)
        for file, groups in groupby(wanted, attrgetter("file")):
            with (
                self._storage.open_input(file) as opened,
                pq.ParquetFile(opened, metadata=self._footers[file], pre_buffer=False) as parquet_file,
            ):
                for group in groups:
                    yield from self._read_group(parquet_file, group, start, end, columns)

    def ranges(self, rows_per_range: int = ROWS_PER_RANGE) -> list[RowRange]:
        """All rows in ranges of about equally many rows, as far as row groups and histories allow.

        They follow from the files alone, whoever asks on whichever machine.

        Args:
            rows_per_range: Fewer are no range of their own.
        """
        number = min(max(self.count // rows_per_range, 1), MOST_RANGES)
        starts = [group.start for group in self._groups]
        wanted = {_nearest(starts, self.count * part // number) for part in range(1, number)}
        cuts = [0]
        for row in sorted(wanted - {0}):
            if row >= cuts[-1]:  # else it is in the middle of a history that goes beyond it
                cuts.append(self._row_after_history(row))
        return [RowRange(start, end) for start, end in pairwise([*cuts, self.count]) if start < end]

    def first_row_of(self, entity: pa.Scalar) -> int | None:
        """Where the history of an entity begins; None where it has none."""
        value = entity.as_py()
        for group in self._groups:
            if group.entities and not group.entities[0] <= value <= group.entities[1]:
                continue
            row = group.start
            for batch in self.read(group.start, group.end, [self._entity]):
                found = np.flatnonzero(pc.equal(batch.column(0), entity))
                if len(found):
                    return row + int(found[0])
                row += batch.num_rows
        return None

    def _row_after_history(self, row: int) -> int:
        """The first row behind the history of a row."""
        entity: pa.Scalar | None = None
        for batch in self.read(row, self.count, [self._entity]):
            values = batch.column(0)
            entity = values[0] if entity is None else entity
            others = np.flatnonzero(pc.not_equal(values, entity))
            if len(others):
                return row + int(others[0])
            row += len(values)
        return row

    def _read_group(
        self, parquet_file: pq.ParquetFile, group: _RowGroup, start: int, end: int, columns: list[str]
    ) -> Iterator[pa.RecordBatch]:
        """What is wanted of one row group; values behind the end are not even decoded."""
        row, size = group.start, min(end - group.start, self._batch_rows)
        for batch in parquet_file.iter_batches(size, [group.number], columns, use_threads=False):
            raise_if_canceled()
            if start < row + batch.num_rows:
                yield batch.slice(max(start - row, 0), end - max(start, row))
            row += batch.num_rows
            if row >= end:
                return

    def _footer(self, file: str) -> pq.FileMetaData:
        with self._storage.open_input(file) as opened:
            return pq.read_metadata(opened)


def _extremes(statistics: pq.Statistics | None) -> tuple[Any, Any] | None:
    return (statistics.min, statistics.max) if statistics and statistics.has_min_max else None


def _nearest(ascending: Sequence[int], wanted: int) -> int:
    place = bisect_left(ascending, wanted)
    return min(ascending[max(place - 1, 0) : place + 1], key=lambda value: abs(value - wanted))
