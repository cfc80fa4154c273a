"""Reading a source, whatever its format: the choice of reader."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from seq_assets.models.spec import SourceOptions
from seq_assets.warehouse.sources.csv_format import csv_columns, read_csv
from seq_assets.warehouse.sources.json_format import read_json
from seq_assets.warehouse.sources.location import SourceFiles
from seq_assets.warehouse.sources.records import WantedColumn, records_schema
from seq_assets.warehouse.sources.three_line_format import COLUMNS, read_three_line


def read_records(source: SourceFiles, columns: tuple[WantedColumn, ...], options: SourceOptions) -> Iterator[pa.RecordBatch]:
    """All records of a text source, file after file, in batches of `records_schema`.

    Raises:
        SourceError: A file cannot be read as its format says; the message names the file and the remedy.
    """
    reader = {"csv": read_csv, "json": read_json, "dkt": read_three_line}[source.format]
    schema = records_schema(columns)
    for index, file in enumerate(source.files):
        for batch in reader(file, index, columns, options):
            yield batch if batch.schema == schema else batch.cast(schema)


def ignored_columns(source: SourceFiles, columns: tuple[WantedColumn, ...], options: SourceOptions) -> list[str]:
    """The columns of a source's first file that the contract does not read; of JSON lines, whose keys may differ, none."""
    file = source.files[0]
    if source.format == "parquet":
        found = pq.read_schema(file.path).names
    elif source.format == "csv":
        found = csv_columns(file, options)
    else:
        found = COLUMNS if source.format == "dkt" else []
    wanted = {column.source for column in columns}
    return [name for name in found if name not in wanted]
