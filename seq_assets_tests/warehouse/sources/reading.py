"""Reading a source's records in tests, without a warehouse."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from seq_assets.models import ColumnType
from seq_assets.models.spec import SourceOptions
from seq_assets.warehouse.sources.location import find_files
from seq_assets.warehouse.sources.reading import read_records
from seq_assets.warehouse.sources.records import SourceFindings, WantedColumn, records_schema

Record = dict[str, Any]


def wanted(*names: str, nullable: bool = True, type_: ColumnType = ColumnType.STRING) -> tuple[WantedColumn, ...]:
    """Columns that are named alike in the contract and in the source."""
    return tuple(WantedColumn(name, name, type_, nullable) for name in names)


def read(
    folder: Path,
    columns: tuple[WantedColumn, ...],
    location: str = ".",
    source_format: str = "auto",
    findings: SourceFindings | None = None,
    **options: Any,
) -> list[Record]:
    """All records of a source by file and number, without the fields that say nothing: no file 0, no null markers."""
    source = find_files(location, str(folder), source_format)
    batches = read_records(source, columns, SourceOptions(**options), findings or SourceFindings())
    rows = pa.Table.from_batches(batches, records_schema(columns)).to_pylist()
    rows.sort(key=lambda row: (row["_file"], row["_row"]))
    return [{name: value for name, value in row.items() if not _says_nothing(name, value)} for row in rows]


def _says_nothing(name: str, value: Any) -> bool:
    return (name == "_file" and value == 0) or (name in ("_malformed", "_detail", "_unreadable", "_too_long") and value is None)


def values(records: list[Record], name: str) -> list[Any]:
    """One column of the records that are not malformed."""
    return [record[name] for record in records if "_malformed" not in record]


def malformed(records: list[Record]) -> dict[int, str]:
    """The malformed records by number."""
    return {record["_row"]: record["_malformed"] for record in records if "_malformed" in record}


def details(records: list[Record]) -> dict[int, str]:
    """What is wrong with the malformed records, by number."""
    return {record["_row"]: record["_detail"] for record in records if "_malformed" in record}
