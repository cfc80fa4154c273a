"""Handles of small files that tests write themselves, without a warehouse.

Belongs here: files of row groups of pupils, and what stands for a warehouse that opens them. Not here: what a test expects.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from seq_assets.client.datasets import SequenceDataset
from seq_assets.models import ColumnType
from seq_assets.sequencing.plans import Dataset
from seq_assets.sequencing.schemas import TableColumn, TableSchema, sequence_schema
from seq_assets.warehouse.interface import Version

LENGTH = 3
SCHEMA = sequence_schema(("pupil", ColumnType.INT64), [("item", ColumnType.INT32), ("note", ColumnType.STRING)], LENGTH, False)
ROW_BYTES = 8 + 4 + 8 + 4 + LENGTH * (4 + 72 + 1)
"""What the documents say that a row takes: text counts a reference and 64 bytes."""

Arrays = dict[str, np.ndarray[Any, Any]]


class Files:
    """Stands for a warehouse: opens local files, and remembers them."""

    def __init__(self) -> None:
        """None is open yet."""
        self.opened: list[Any] = []

    def open_input(self, file: str) -> Any:
        self.opened.append(pa.OSFile(file))
        return self.opened[-1]

    def reading(self, _: object, file: str) -> AbstractContextManager[None]:
        """No file of these is ever lost."""
        return nullcontext()

    def register(self, connection: object) -> Callable[[], None]:
        """Nothing to do: DuckDB reads local files."""
        return lambda: None


def rows_of(pupils: Sequence[int], masks: Mapping[str, Sequence[int]]) -> pa.Table:
    """A sequence for each pupil, whose values all tell the pupil; the masks are the same for all."""
    lists = {
        "item_sequence": [[pupil, pupil, -1] for pupil in pupils],
        "note_sequence": [[str(pupil), "ü", ""] for pupil in pupils],
        "is_pad_sequence": [[0, 0, 1]] * len(pupils),
        **{name: [list(mask)] * len(pupils) for name, mask in masks.items()},
    }
    counters = {"sequence_index": [0] * len(pupils), "sequence_start": [0] * len(pupils), "sequence_size": [2] * len(pupils)}
    return pa.table({"pupil": list(pupils), **counters, **lists}, schema_with(masks).stored())


def schema_with(masks: Iterable[str]) -> TableSchema:
    """The schema of the files, with masks beside that of padding."""
    return TableSchema((*SCHEMA.columns, *(TableColumn(name, ColumnType.INT8, LENGTH) for name in masks)))


def dataset(
    folder: Path,
    files: Sequence[Sequence[Sequence[int]]],
    *,
    ordered: bool = True,
    version: int = 7,
    masks: Mapping[str, Sequence[int]] = MappingProxyType({}),
) -> SequenceDataset:
    """A handle of files of row groups of pupils."""
    paths, schema = [], schema_with(masks)
    for number, groups in enumerate(files):
        paths.append(str(folder / f"{number}.parquet"))
        with pq.ParquetWriter(paths[-1], schema.stored()) as writer:
            for group in groups:
                writer.write_table(rows_of(group, masks), row_group_size=max(len(group), 1))
    return handle(paths, sum(len(group) for groups in files for group in groups), ordered, version, schema)


def handle(
    paths: Sequence[str], rows: int, ordered: bool = True, version: int = 7, schema: TableSchema = SCHEMA, length: int = LENGTH
) -> SequenceDataset:
    """A handle of finished files."""
    table = Dataset.sequenced("plain", "train", length)
    published = Version(table, version, datetime.now(UTC), rows, schema, tuple(paths), {"ordered": ordered})
    warehouse: Any = Files()
    return SequenceDataset("plain", "train", version, {}, tuple(paths), rows, published, warehouse, length)


def in_groups(rows: int, size: int) -> list[list[int]]:
    """Pupils 0, 1, 2, … in row groups of one size."""
    return [list(range(start, min(start + size, rows))) for start in range(0, rows, size)]
