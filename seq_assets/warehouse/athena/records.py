"""A source's records in the one shape that the contract's queries read, whatever they come from.

Files pass through the readers that every warehouse uses, into Parquet on S3: only there do positions, quoting and encodings
exist. A table of the Glue catalog is read by Athena alone.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from seq_assets.models import ModelSpec
from seq_assets.warehouse.athena.casts import Carrier
from seq_assets.warehouse.engine import Engine, quoted
from seq_assets.warehouse.interface import Progress, no_progress
from seq_assets.warehouse.sources.location import SourceFiles
from seq_assets.warehouse.sources.parquet_format import ParquetFiles, ParquetPart
from seq_assets.warehouse.sources.parquet_types import ABSENT, WITHOUT_ZONE
from seq_assets.warehouse.sources.reading import CountedRecords
from seq_assets.warehouse.sources.records import SourceFindings, text_column, wanted_columns
from seq_assets.warehouse.storage.parquet_files import write_parquet
from seq_assets.warehouse.storage.storage import Storage

_INTEGERS: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")


@dataclass(frozen=True)
class Records:
    """Records of one shape, as queries read them.

    Attributes:
        relation: A table or a subquery.
        carriers: By column of the contract: how its values are carried.
        texts: The columns that have a `_text_<column>` beside them.
        written: What columns are in the source, for people; nothing of those that are text.
    """

    relation: str
    carriers: Mapping[str, Carrier]
    texts: Collection[str]
    written: Mapping[str, str]


@dataclass(frozen=True)
class WrittenRecords:
    """Records of one shape, as files.

    Attributes:
        folder: Where the files are.
        carriers: By column of the contract: how its values are carried.
        texts: The columns that have a `_text_<column>` beside them.
        written: What columns are in the source, for people; nothing of those that are text.
    """

    folder: str
    carriers: Mapping[str, Carrier]
    texts: Collection[str]
    written: Mapping[str, str]


def write_records(
    spec: ModelSpec,
    source: SourceFiles,
    storage: Storage,
    folder: str,
    engine: Engine,
    progress: Progress,
    findings: SourceFindings,
) -> tuple[list[WrittenRecords], int]:
    """Reads all files of a source once, and writes their records.

    Args:
        spec: The model.
        source: The files.
        storage: Where the records are written.
        folder: Below which each shape gets its folder; text has one, Parquet as many as its files have differing types.
        engine: Reads Parquet.
        progress: Is told about the records read.
        findings: Notes what the files turn out to have.

    Returns:
        The records, and their number as the reader counted it.

    Raises:
        SeqAssetsError: The source cannot be read.
    """
    if source.format == "parquet":
        with closing(ParquetFiles(source, engine)) as files:
            return list(_from_parquet(spec, source, files, storage, folder, engine, progress, findings)), files.rows
    with closing(CountedRecords(source, wanted_columns(spec), spec.source.options, findings, progress)) as counted:
        _write(source, storage, f"{folder}/text", counted)
    return [WrittenRecords(f"{folder}/text", dict.fromkeys(spec.columns, Carrier.TEXT), (), {})], counted.rows


def _from_parquet(
    spec: ModelSpec,
    source: SourceFiles,
    files: ParquetFiles,
    storage: Storage,
    folder: str,
    engine: Engine,
    progress: Progress,
    findings: SourceFindings,
) -> Iterator[WrittenRecords]:
    for number, part in enumerate(files.parts(spec, findings)):
        carried = {name: _carried(name, part.types[name], column.timezone is not None) for name, column in spec.columns.items()}
        place = f"{folder}/part_{number}"
        with files.explained():
            _write(source, storage, place, _carried_batches(part, carried, engine, progress))
        carriers = {name: carrier for name, (_, carrier, _) in carried.items()}
        texts = [name for name, (_, _, is_shown) in carried.items() if is_shown]
        yield WrittenRecords(place, carriers, texts, part.written)


def _carried_batches(
    part: ParquetPart, carried: Mapping[str, tuple[str, Carrier, bool]], engine: Engine, progress: Progress
) -> Iterator[pa.RecordBatch]:
    columns = ["_file", "_row", "_malformed", "_detail", "_unreadable", "_too_long"]
    for name, (value, _, is_shown) in carried.items():
        columns.append(f"{value} AS {quoted(name)}")
        if name in part.texts:
            columns.append(quoted(text_column(name)))
        elif is_shown:
            columns.append(f"CAST({quoted(name)} AS VARCHAR) AS {quoted(text_column(name))}")
    rows = 0
    for batch in engine.stream(f"SELECT {', '.join(columns)} FROM {part.records}"):
        rows += batch.num_rows
        progress("read", rows)
        yield batch


def _carried(name: str, type_: str, has_timezone: bool) -> tuple[str, Carrier, bool]:
    """Of a column of this DuckDB type: its value as it is carried, how, and whether its text is carried too.

    In a contract's column with a time zone, local times are carried as text, by which they are told from those with a zone.
    """
    value = quoted(name)
    kind = "LIST" if type_.endswith("]") else type_.split("(", maxsplit=1)[0]
    if type_ == ABSENT or kind in ("VARCHAR", "ENUM"):
        return f"CAST({value} AS VARCHAR)", Carrier.TEXT, False
    if has_timezone and kind in WITHOUT_ZONE:
        return f"CAST({value} AS VARCHAR)", Carrier.TIME_TEXT, False
    if kind == "DECIMAL":
        return f"CAST({value} AS VARCHAR)", Carrier.DECIMAL_TEXT, False
    if kind in _INTEGERS:
        return f"CAST({value} AS BIGINT)", Carrier.INTEGER, False
    if kind in ("UBIGINT", "HUGEINT", "UHUGEINT"):
        return f"CAST({value} AS DECIMAL(38, 0))", Carrier.BIG_INTEGER, False
    if kind in ("FLOAT", "DOUBLE", "BOOLEAN"):
        return value, Carrier[kind], kind != "BOOLEAN"
    if kind == "DATE":
        return f"CAST(date_diff('day', DATE '1970-01-01', {value}) AS BIGINT)", Carrier.DAYS, True
    if kind in ("TIMESTAMP_NS", "TIMESTAMPTZ_NS"):
        return f"epoch_ns({value})", Carrier.NANOSECONDS, True
    if kind.startswith("TIMESTAMP"):
        return f"epoch_us({value})", Carrier.MICROSECONDS, True
    return f"CAST({value} AS VARCHAR)", Carrier.OTHER, False


def _write(source: SourceFiles, storage: Storage, folder: str, batches: Iterable[pa.RecordBatch]) -> None:
    """Writes records, each with the name of its file."""
    names = pa.array(file.name for file in source.files)
    stream = iter(batches)
    first = next(stream, None)
    if first is None:
        return

    def named(batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.add_column(1, pa.field("_name", pa.string()), names.take(batch.column("_file")))

    schema = named(first).schema

    def all_named() -> Iterator[pa.RecordBatch]:
        yield named(first)
        for batch in stream:
            yield named(batch)

    write_parquet(storage, f"{folder}/records.parquet", schema, all_named(), no_progress, "write records")
