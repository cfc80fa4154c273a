"""Reading a source, whatever its format: the choice of reader."""

from collections.abc import Iterator

import pyarrow as pa

from seq_assets.errors import SeqAssetsError
from seq_assets.models.spec import SourceOptions
from seq_assets.warehouse.cancellation import raise_if_canceled
from seq_assets.warehouse.interface import Progress
from seq_assets.warehouse.sources.csv_format import read_csv
from seq_assets.warehouse.sources.json_format import read_json
from seq_assets.warehouse.sources.location import SourceFiles
from seq_assets.warehouse.sources.records import FoundColumns, WantedColumn, records_schema
from seq_assets.warehouse.sources.three_line_format import read_three_line


def read_records(
    source: SourceFiles, columns: tuple[WantedColumn, ...], options: SourceOptions, found: FoundColumns
) -> Iterator[pa.RecordBatch]:
    """All records of a text source, file after file, in batches of `records_schema`; notes the columns that the files have.

    Raises:
        SourceError: A file cannot be read as its format says; the message names the file and the remedy.
    """
    reader = {"csv": read_csv, "json": read_json, "dkt": read_three_line}[source.format]
    schema = records_schema(columns)
    for index, file in enumerate(source.files):
        for batch in reader(file, index, columns, options, found):
            yield batch if batch.schema == schema else batch.cast(schema)


class CountedRecords:
    """All records of a text source: they are counted as they pass, and the error that ends them is kept.

    Attributes:
        rows: The records so far.
        error: What ended them; None as long as nothing did. Whoever takes the batches may make something else of it.
    """

    def __init__(
        self,
        source: SourceFiles,
        columns: tuple[WantedColumn, ...],
        options: SourceOptions,
        found: FoundColumns,
        progress: Progress,
    ) -> None:
        """Nothing is read yet; the arguments are those of `read_records`, and who is told the rows."""
        self._batches = read_records(source, columns, options, found)
        self._progress = progress
        self.rows = 0
        self.error: SeqAssetsError | None = None

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
