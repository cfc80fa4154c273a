"""Reading a source, whatever its format: the choice of reader."""

from collections.abc import Iterator

import pyarrow as pa

from seq_assets.models.spec import SourceOptions
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
