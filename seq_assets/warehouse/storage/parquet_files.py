"""Finished Parquet files: batches in, whole files out, and batches of them again."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from itertools import chain, islice
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seq_assets.warehouse.interface import Progress, Version
from seq_assets.warehouse.storage.prefetching import prefetched
from seq_assets.warehouse.storage.storage import Storage

ROW_GROUP_CELLS: Final = 1_000_000
"""Values per column in one row group: what a streaming reader holds in memory at once."""
ROW_GROUP_BYTES: Final = 1 << 27
"""The same where values are long."""
_SAMPLED_VALUES: Final = 1 << 16
_MOST_DISTINCT: Final = 0.25
"""The share of values that may differ where a dictionary pays."""


def write_parquet(
    storage: Storage,
    file: str,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    progress: Progress,
    stage: str,
    cells_per_row: int = 1,
) -> int:
    """Writes batches to one new file, which is there to stay when this returns.

    Args:
        storage: Where it is written.
        file: Its location.
        schema: The stored schema.
        batches: The rows; made in another thread while those before them are written, a row group at a time.
        progress: Is told the rows written.
        stage: The stage's name for it.
        cells_per_row: The values that one row has in its widest column; bounds the rows of a row group.

    Returns:
        The number of rows.
    """
    # Closed, so that no thread still makes rows, of a connection that may be closed next, where writing fails.
    with closing(prefetched(row_groups(batches, schema, cells_per_row))) as groups:
        return write_row_groups(storage, file, schema, groups, lambda rows: progress(stage, rows))


def write_row_groups(
    storage: Storage, file: str, schema: pa.Schema, groups: Iterator[pa.Table], written: Callable[[int], None]
) -> int:
    """Writes one new file, a table a row group; which columns have dictionaries, the first one decides.

    Args:
        storage: Where it is written.
        file: Its location.
        schema: The stored schema.
        groups: The rows.
        written: Is told the rows written so far.

    Returns:
        The number of rows.
    """
    rows = 0
    first = list(islice(groups, 1))
    dictionary = [name for group in first for name in _dictionary_columns(group)]
    with (
        storage.open_output(file) as sink,
        pq.ParquetWriter(sink, schema, compression="zstd", compression_level=1, use_dictionary=dictionary) as writer,
    ):
        for group in chain(first, groups):
            writer.write_table(group, row_group_size=group.num_rows)
            rows += group.num_rows
            written(rows)
    return rows


def _dictionary_columns(rows: pa.Table) -> Iterator[str]:
    """The columns whose values repeat; of others, a dictionary would be made, and given up once it is too large."""
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        is_list = pa.types.is_fixed_size_list(column.type)
        values = (pc.list_flatten(column) if is_list else column).slice(0, _SAMPLED_VALUES)
        if pc.count_distinct(values).as_py() <= _MOST_DISTINCT * len(values):
            yield f"{name}.list.element" if is_list else name


def row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema, cells_per_row: int = 1) -> Iterator[pa.Table]:
    """The batches joined into tables of about `ROW_GROUP_CELLS` values in the widest column, or of fewer that are large."""
    size = max(ROW_GROUP_CELLS // cells_per_row, 1)
    pending: list[pa.RecordBatch] = []
    rows = size_in_bytes = 0
    for batch in batches:
        pending.append(batch)
        rows += batch.num_rows
        size_in_bytes += batch.nbytes
        if rows >= size or size_in_bytes >= ROW_GROUP_BYTES:
            yield pa.Table.from_batches(pending, schema)
            pending, rows, size_in_bytes = [], 0, 0
    if rows:
        yield pa.Table.from_batches(pending, schema)


def read_batches(
    storage: Storage,
    files: Iterable[str],
    columns: list[str],
    rows: int,
    *,
    encoded: Collection[str] = (),
    use_threads: bool = True,
) -> Iterator[pa.RecordBatch]:
    """The named columns of Parquet files, in batches of at most `rows` rows.

    Args:
        storage: Where the files are.
        files: The files.
        columns: The columns to read.
        rows: The most rows of a batch.
        encoded: The columns of repeated texts that come as dictionaries, of which no text is made for each row.
        use_threads: Whether columns are decoded side by side.
    """
    for file in files:
        with (
            storage.open_input(file) as opened,
            pq.ParquetFile(opened, read_dictionary=list(encoded), pre_buffer=False) as parquet_file,
        ):
            yield from parquet_file.iter_batches(batch_size=rows, columns=columns, use_threads=use_threads)


def read_schema(storage: Storage, file: str) -> pa.Schema:
    """The columns of a Parquet file."""
    with storage.open_input(file) as opened:
        return pq.read_schema(opened)


def order_keys(version: Version) -> list[str]:
    """The columns that the rows of a table are ordered by."""
    kind = version.dataset.kind
    if kind == "raw_observations":
        return ["subset", version.metadata["model"]["entity"], "_position"]
    if kind == "rejected_observations":
        return ["file", "row"]
    return [version.schema.names[0], "sequence_index"]


def in_row_order(table: pa.Table, version: Version) -> pa.Table:
    """The rows of a version that is not ordered, in the order of its table; of one record, rejected columns in any order."""
    keys = order_keys(version)
    return table.take(pc.sort_indices(table.select(keys), [(key, "ascending") for key in keys]))
