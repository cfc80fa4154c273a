"""Reading a source, whatever its format: the choice of reader."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import Final

import pyarrow as pa

from seq_assets.errors import SeqAssetsError
from seq_assets.models.spec import SourceOptions
from seq_assets.warehouse.cancellation import raise_if_canceled
from seq_assets.warehouse.interface import Progress
from seq_assets.warehouse.sources.csv_format import read_csv
from seq_assets.warehouse.sources.json_format import read_json
from seq_assets.warehouse.sources.location import SourceFiles
from seq_assets.warehouse.sources.records import (
    FILE,
    Column,
    SourceFindings,
    columns_of_files,
    columns_of_paths,
    cut_values,
    records_schema,
)
from seq_assets.warehouse.sources.three_line_format import read_three_line

_BYTES_AT_ONCE: Final = 1 << 25
"""Of batches that are joined."""


def read_records(
    source: SourceFiles,
    columns: tuple[Column, ...],
    options: SourceOptions,
    findings: SourceFindings,
    rows_at_once: int = 1 << 15,
) -> Generator[pa.RecordBatch]:
    """All records of a text source, file after file, in batches of `records_schema`; notes what it finds in the files.

    Args:
        source: The files.
        columns: What is read of them.
        options: How they are written.
        findings: Notes the columns that the files have, and how many records span lines.
        rows_at_once: Small batches are joined to about so many rows, or to a bound of bytes; with 1, no file is opened before
            it is needed.

    Raises:
        SourceError: A file cannot be read as its format says; the message names the file and the remedy.
    """
    reader = {"csv": read_csv, "json": read_json, "dkt": read_three_line}[source.format]
    paths = {
        column.name: pa.array([column.part.of(file.name) for file in source.files], pa.string())
        for column in columns_of_paths(columns)
    }
    schema = records_schema(columns)
    # Closed, so that no file stays open where somebody takes no more.
    with closing(reader(enumerate(source.files), columns_of_files(columns), options, findings)) as batches:
        # Before small batches are joined, which would hold what is cut.
        short = (cut_values(batch, options.max_value_bytes) for batch in batches)
        for batch in _joined(short, rows_at_once):
            found = dict(zip(batch.schema.names, batch.columns, strict=True))
            found |= {name: values.take(batch.column(FILE)) for name, values in paths.items()}
            yield pa.RecordBatch.from_pydict(found, schema=schema)


def _joined(batches: Iterable[pa.RecordBatch], rows_at_once: int) -> Iterator[pa.RecordBatch]:
    """The same records in fewer batches, where they are small: those of a small file, of one pupil."""
    small: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        small.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= rows_at_once or size >= _BYTES_AT_ONCE:
            yield pa.concat_batches(small) if len(small) > 1 else batch
            small, rows, size = [], 0, 0
    if rows:
        yield pa.concat_batches(small)


class CountedRecords:
    """All records of a text source: they are counted as they pass, and the error that ends them is kept.

    Attributes:
        rows: The records so far.
        error: What ended them; None as long as nothing did. Whoever takes the batches may make something else of it.
    """

    def __init__(
        self,
        source: SourceFiles,
        columns: tuple[Column, ...],
        options: SourceOptions,
        findings: SourceFindings,
        progress: Progress,
    ) -> None:
        """Nothing is read yet; the arguments are those of `read_records`, and who is told the rows."""
        self._batches = read_records(source, columns, options, findings)
        self._progress = progress
        self.rows = 0
        self.error: SeqAssetsError | None = None

    def close(self) -> None:
        """Leaves the files, wherever reading stopped."""
        self._batches.close()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Batches of `records_schema`."""
        try:
            for batch in self._batches:
                raise_if_canceled()
                self.rows += batch.num_rows
                self._progress("read", self.rows)
                yield batch
        except SeqAssetsError as error:
            self.error = error
            raise
