"""CSV, TSV and the like."""

import json
from collections.abc import Generator, Iterable
from contextlib import closing
from typing import Final

import pyarrow as pa

from seq_assets.errors import SourceError
from seq_assets.models.spec import SourceOptions
from seq_assets.warehouse.sources.lines import DelimitedFile
from seq_assets.warehouse.sources.location import SourceFile
from seq_assets.warehouse.sources.records import (
    SourceFindings,
    WantedColumn,
    malformed_records,
    present_columns,
    records_batch,
    records_schema,
)

_USUAL_DELIMITERS: Final = ("::", ";", "\t", "|", ",")


def read_csv(
    files: Iterable[tuple[int, SourceFile]], columns: tuple[WantedColumn, ...], options: SourceOptions, findings: SourceFindings
) -> Generator[pa.RecordBatch]:
    """The records of CSV files, columns found by name (or by number without a header).

    Raises:
        SourceError: A column is missing or stands twice, or a file cannot be read.
    """
    schema = records_schema(columns)
    for index, file in files:
        delimiter = options.delimiter or ("\t" if file.extension == ".tsv" else ",")
        with closing(DelimitedFile(file, delimiter, options)) as delimited:
            findings.add_columns(index, delimited.names)
            _refuse_another_delimiter(file, columns, delimited.names, delimiter)
            present = present_columns(file, columns, delimited.names)
            for records in delimited.records([column.source for column in present]):
                if records.malformed:
                    yield malformed_records(schema, index, records.malformed)
                arrays = zip(present, records.columns.columns, strict=False)
                yield records_batch(schema, index, records.numbers, {column.name: array for column, array in arrays})
            findings.add_records_over_lines(index, file, delimited.over_lines)


def _refuse_another_delimiter(file: SourceFile, columns: tuple[WantedColumn, ...], found: list[str], delimiter: str) -> None:
    """Refuses a header of one column that is several, between which another delimiter stands."""
    if len(found) > 1 or found[0] in (column.source for column in columns):
        return
    other = next((usual for usual in _USUAL_DELIMITERS if usual in found[0]), None)
    if other is not None:
        raise SourceError(
            f"The header of the source file {file.location} is one column, {found[0]!r}, with the delimiter {delimiter!r}; "
            f"set source.options.delimiter: {json.dumps(other)}."
        )
