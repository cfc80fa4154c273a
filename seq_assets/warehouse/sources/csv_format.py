"""CSV, TSV and the like."""

from collections.abc import Iterator

import pyarrow as pa

from seq_assets.models.spec import SourceOptions
from seq_assets.warehouse.sources.lines import DelimitedFile
from seq_assets.warehouse.sources.location import SourceFile
from seq_assets.warehouse.sources.records import (
    DETAIL,
    MALFORMED,
    UNREADABLE,
    FoundColumns,
    WantedColumn,
    malformed_records,
    present_columns,
    records_schema,
)


def read_csv(
    file: SourceFile, index: int, columns: tuple[WantedColumn, ...], options: SourceOptions, found: FoundColumns
) -> Iterator[pa.RecordBatch]:
    """The records of one CSV file, columns found by name (or by number without a header).

    Raises:
        SourceError: A column is missing or stands twice, or the file cannot be read.
    """
    delimiter = options.delimiter or ("\t" if file.extension == ".tsv" else ",")
    delimited = DelimitedFile(file, options.encoding, delimiter, header=options.header, null_values=options.null_values)
    found.add(delimited.names)
    present = present_columns(file, columns, delimited.names)
    schema = records_schema(columns)
    for numbers, batch, malformed in delimited.batches([column.source for column in present]):
        if malformed:
            yield malformed_records(schema, index, malformed)
        rows = batch.num_rows
        arrays = [
            pa.repeat(pa.scalar(index, pa.int32()), rows),
            numbers,
            *(pa.nulls(rows, pa.string()) for _ in (MALFORMED, DETAIL, UNREADABLE)),
        ]
        arrays += [batch.column(column.source) if column in present else pa.nulls(rows, pa.string()) for column in columns]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
