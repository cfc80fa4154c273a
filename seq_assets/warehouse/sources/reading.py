"""Reading a source, whatever its format: the choice of reader."""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Final

import numpy as np
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
    FileFindings,
    SourceFindings,
    columns_of_files,
    columns_of_paths,
    cut_values,
    present_columns,
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
    files: Sequence[int] | None = None,
    rows_at_once: int = 1 << 15,
) -> Generator[pa.RecordBatch]:
    """The records of a text source, file after file, in batches of `records_schema`; notes what it finds in the files.

    Args:
        source: The files.
        columns: What is read of them.
        options: How they are written.
        findings: Notes the columns that the files have, and how many records span lines.
        files: The indexes of those that are read; by default, of all. What is known of the others is noted already.
        rows_at_once: Small batches are joined to about so many rows, or to a bound of bytes; with 1, no file is opened before
            it is needed.

    Raises:
        SourceError: A file cannot be read as its format says, or no object of JSON has a key of a column, but one that differs
            in upper and lower case; the message names the file and the remedy.
    """
    reader = {"csv": read_csv, "json": read_json, "dkt": read_three_line}[source.format]
    paths = {
        column.name: pa.array([column.part.of(file.name) for file in source.files], pa.string())
        for column in columns_of_paths(columns)
    }
    schema = records_schema(columns)
    # Closed, so that no file stays open where somebody takes no more.
    chosen = range(len(source.files)) if files is None else files
    numbered = ((index, source.files[index]) for index in chosen)
    with closing(reader(numbered, columns_of_files(columns), options, findings)) as batches:
        # Before small batches are joined, which would hold what is cut.
        short = (cut_values(batch, options.max_value_bytes) for batch in batches)
        for batch in _joined(short, rows_at_once):
            found = dict(zip(batch.schema.names, batch.columns, strict=True))
            found |= {name: values.take(batch.column(FILE)) for name, values in paths.items()}
            yield pa.RecordBatch.from_pydict(found, schema=schema)
    if source.format == "json":
        # Keys may differ from object to object, so that a column is missing only where none of all has it.
        findings.refuse_another_case(f"In the files up to {source.files[-1].location}, objects have", columns)


def note_again(
    source: SourceFiles, index: int, found: FileFindings, columns: tuple[Column, ...], findings: SourceFindings
) -> None:
    """Notes what is known of a file that is not read again, and says of it what reading it says."""
    file = source.files[index]
    findings.add_columns(index, found.columns)
    findings.add_records_over_lines(index, file, found.records_over_lines)
    if source.format == "csv":
        present_columns(file, columns_of_files(columns), list(found.columns))


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
    """Records of a text source: they are counted as they pass, and the error that ends them is kept.

    Attributes:
        rows: The records so far.
        of_files: Those of each file, by its index.
        error: What ended them; None as long as nothing did. Whoever takes the batches may make something else of it.
    """

    def __init__(
        self,
        source: SourceFiles,
        columns: tuple[Column, ...],
        options: SourceOptions,
        findings: SourceFindings,
        progress: Progress,
        files: Sequence[int] | None = None,
        rows: int = 0,
    ) -> None:
        """Nothing is read yet.

        The arguments are those of `read_records`, who is told the rows, and how many there were before these.
        """
        self._batches = read_records(source, columns, options, findings, files)
        self._progress = progress
        self.rows = rows
        self.of_files: Counter[int] = Counter()
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
                of_files = np.bincount(np.asarray(batch.column(FILE)))
                self.of_files.update({int(index): int(of_files[index]) for index in np.flatnonzero(of_files)})
                self._progress("read", self.rows)
                yield batch
        except SeqAssetsError as error:
            self.error = error
            raise
