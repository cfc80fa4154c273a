"""Executing an ingest plan: source files to finished files of raw and rejected observations, sorted once."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seq_assets.errors import SourceError
from seq_assets.models import SUBSETS, ModelSpec, Subset
from seq_assets.models.spec import LocationSplit
from seq_assets.sequencing.accounting import IngestAccounting
from seq_assets.sequencing.plans import IngestPlan
from seq_assets.sequencing.schemas import REJECTED_SCHEMA, stored_type
from seq_assets.warehouse.interface import Progress
from seq_assets.warehouse.local.engine import Engine, parquet, quoted, text_literal
from seq_assets.warehouse.local.files import write_parquet
from seq_assets.warehouse.local.ingest_sql import REASONS, label_counts_query, order_sql, stage_query
from seq_assets.warehouse.local.metrics import column_metrics
from seq_assets.warehouse.sources.location import SourceFile, SourceFiles
from seq_assets.warehouse.sources.reading import read_records
from seq_assets.warehouse.sources.records import FoundColumns, WantedColumn, present_columns, records_schema

logger = logging.getLogger(__name__)

STAGE: Final = "stage.records"
_ABSENT: Final = '"NULL"'
"""DuckDB's type of a column that a file does not have."""
_TAKEN_NAMES: Final = ("file_row_number", "file_index")


@dataclass(frozen=True)
class IngestResult:
    """Finished files that are not yet published.

    Attributes:
        raw: Files of accepted observations: train, then validation.
        rejected: The file of rejected observations.
        rejected_rows: Its rows: one per rejected record and failed column.
        accounting: Where every record went.
        metrics: Of each column, over accepted rows.
        label_counts: Of each encoded feature, how often accepted train observations have each value: `value`, `count`.
        ignored: Columns of the source that the contract does not read.
    """

    raw: tuple[Path, ...]
    rejected: Path
    rejected_rows: int
    accounting: IngestAccounting
    metrics: Mapping[str, Mapping[str, Any]]
    label_counts: Mapping[str, pa.Table]
    ignored: tuple[str, ...]


def ingest(
    plan: IngestPlan,
    source: SourceFiles,
    raw_folder: Path,
    rejected_folder: Path,
    scratch: Path,
    engine: Engine,
    progress: Progress,
) -> IngestResult:
    """Reads the source once, sorts each subset once, and writes finished files into the two folders.

    Raises:
        SourceError: The source cannot be read, or has no rows.
    """
    spec = plan.spec
    # Nothing of the stage is to be recovered, and DuckDB would cut the path of its log at a question mark.
    engine.execute(f"ATTACH {text_literal(str(scratch / 'stage.duckdb'))} AS stage (RECOVERY_MODE NO_WAL_WRITES)")
    found = FoundColumns()
    read = _stage(spec, source, engine, progress, found)
    if read == 0:
        raise SourceError(f"The source {source.location!r} has no rows in {len(source.files)} file(s); put some there.")
    engine.execute(f"CREATE TEMP TABLE files AS {_names(source)}")
    schema = plan.schema.stored()
    names = pa.array(file.name for file in source.files)
    raw = []
    for subset in SUBSETS:
        path = raw_folder / f"{subset}.parquet"
        stream = _finished(engine.stream(_sorted_query(spec, subset)), spec.entity, names, schema)
        write_parquet(path, schema, stream, progress, f"sort and write {subset}")
        raw.append(path)
    rejected = rejected_folder / "rejected.parquet"
    rejected_rows = write_parquet(
        rejected, REJECTED_SCHEMA.stored(), _rejected(engine), progress, "write rejected observations"
    )
    return IngestResult(
        raw=tuple(raw),
        rejected=rejected,
        rejected_rows=rejected_rows,
        accounting=_accounting(engine, read),
        metrics=column_metrics(engine, spec, f"(SELECT * FROM {STAGE} WHERE _rejections IS NULL)"),
        label_counts={name: _label_counts(engine, spec, name) for name in spec.encoded},
        ignored=tuple(found.ignored(_wanted(spec))),
    )


def _stage(spec: ModelSpec, source: SourceFiles, engine: Engine, progress: Progress, found: FoundColumns) -> int:
    """Fills the stage table and notes the files' columns; returns the number of records read, as the reader counted them."""
    import duckdb

    subsets = _files_by_subset(spec, source)
    if source.format == "parquet":
        parts = list(_parquet_parts(spec, source, found))
        queries = [f"({stage_query(spec, records, types, subsets)})" for records, types in parts]
        try:
            engine.execute(f"CREATE TABLE {STAGE} AS {' UNION ALL '.join(queries)}")
        except duckdb.InvalidInputException as error:  # names the file
            raise SourceError(_unreadable_parquet(error)) from error
        read: int = sum(pq.read_metadata(file.path).num_rows for file in source.files)
        progress("read", read)
        return read
    columns = _wanted(spec)
    counted = _Counted(read_records(source, columns, spec.source.options, found), progress)
    engine.register("records", pa.RecordBatchReader.from_batches(records_schema(columns), counted))
    query = stage_query(spec, "records", dict.fromkeys(spec.columns, "VARCHAR"), subsets)
    try:
        engine.execute(f"CREATE TABLE {STAGE} AS {query}")
    except Exception as error:
        # DuckDB wraps what the reader raised into an error of its own.
        raise counted.error or error from None
    return counted.rows


def _unreadable_parquet(error: Exception) -> str:
    reason = str(error).splitlines()[0].removeprefix("Invalid Input Error: ")
    return f"The source cannot be read as Parquet: {reason}; mend or remove that file."


def _wanted(spec: ModelSpec) -> tuple[WantedColumn, ...]:
    return tuple(
        WantedColumn(name, column.from_ or name, column.type, column.nullable) for name, column in spec.columns.items()
    )


class _Counted:
    """Batches that are counted as they pass, and the error that ended them."""

    def __init__(self, batches: Iterator[pa.RecordBatch], progress: Progress) -> None:
        self._batches = batches
        self._progress = progress
        self.rows = 0
        self.error: SourceError | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._batches:
                self.rows += batch.num_rows
                self._progress("read", self.rows)
                yield batch
        except SourceError as error:
            self.error = error
            raise


def _files_by_subset(spec: ModelSpec, source: SourceFiles) -> tuple[list[int], list[int]]:
    """Of a split by location: which files are train, which validation.

    Raises:
        SourceError: A file is below neither `train/` nor `validation/`.
    """
    if not isinstance(spec.split, LocationSplit):
        return [], []
    indexes: dict[str, list[int]] = {subset: [] for subset in SUBSETS}
    for index, file in enumerate(source.files):
        folder = file.name.split("/", maxsplit=1)[0] if "/" in file.name else ""
        if folder not in indexes:
            raise SourceError(
                f"split.strategy location: found {file.name!r} below {source.location!r}; "
                "allowed: files below train/ and validation/ only."
            )
        indexes[folder].append(index)
    return indexes["train"], indexes["validation"]


def _parquet_parts(spec: ModelSpec, source: SourceFiles, found: FoundColumns) -> Iterator[tuple[str, dict[str, str]]]:
    """Per set of files with equal schemas: their records as SQL, and the DuckDB type of each contract column.

    Reading files of different schemas together would cast their columns to a common type, which may lose values.
    """
    import duckdb

    groups: dict[tuple[tuple[str, tuple[str, str]], ...], list[int]] = {}
    with duckdb.connect() as connection:
        for index, file in enumerate(source.files):
            try:
                described = connection.execute(f"DESCRIBE SELECT * FROM {_parquet_files([file.path])}").fetchall()
            except duckdb.Error as error:
                reason = str(error).splitlines()[0]
                raise SourceError(f"The source file {file.path} cannot be read as Parquet: {reason}") from error
            names = pq.read_schema(file.path).names
            found.add(names)
            # By place, because DuckDB renames a column whose name differs from another one's in upper and lower case only.
            by_name = {name: (row[0], row[1]) for name, row in zip(names, described, strict=False)}
            columns = _parquet_columns(spec, file, names, by_name)
            groups.setdefault(tuple(columns.items()), []).append(index)
    for schema, indexes in groups.items():
        columns = dict(schema)
        yield _parquet_records(spec, source, columns, indexes), {name: type_ for name, (_, type_) in columns.items()}


def _parquet_columns(
    spec: ModelSpec, file: SourceFile, names: list[str], described: Mapping[str, tuple[str, str]]
) -> dict[str, tuple[str, str]]:
    """Of each column of the contract: its name and its type in DuckDB."""
    taken = [name for name in names if name.lower() in _TAKEN_NAMES]
    if taken:
        raise SourceError(
            f"The source file {file.path} has a column {taken[0]!r}, which the reader of Parquet adds; rename it."
        )
    present = present_columns(file, _wanted(spec), names)
    return {column.name: described[column.source] if column in present else ("NULL", _ABSENT) for column in _wanted(spec)}


def _parquet_records(spec: ModelSpec, source: SourceFiles, found: Mapping[str, tuple[str, str]], indexes: list[int]) -> str:
    columns = ", ".join(
        f"{'NULL' if type_ == _ABSENT else quoted(name)} AS {quoted(column)}" for column, (name, type_) in found.items()
    )
    files = _parquet_files((source.files[index].path for index in indexes), "file_row_number = true")
    numbers = f"[{', '.join(map(str, indexes))}]"
    return (
        f"(SELECT CAST({numbers}[file_index::BIGINT + 1] AS INTEGER) AS _file, file_row_number + 1 AS _row, "
        f"NULL::VARCHAR AS _malformed, NULL::VARCHAR AS _unreadable, {columns} "
        f"FROM {files})"
    )


def _parquet_files(paths: Iterable[Path], *options: str) -> str:
    """A table function that reads a source's Parquet files; old writers leave it open that their bytes are text."""
    return f"{parquet(paths).removesuffix(')')}, {', '.join(['binary_as_string = true', *options])})"


def _names(source: SourceFiles) -> str:
    names = ", ".join(text_literal(file.name) for file in source.files)
    return f"SELECT unnest([{names}]) AS name, unnest(range({len(source.files)})) AS file"


def _sorted_query(spec: ModelSpec, subset: Subset) -> str:
    columns = ", ".join(quoted(name) for name in spec.columns)
    return f"""
        SELECT {columns}, subset, _file, _row FROM {STAGE}
        WHERE _rejections IS NULL AND subset = '{subset}' ORDER BY {order_sql(spec)}"""


_REJECTED_QUERY: Final = f"""
    SELECT name AS file, _row AS "row", failed."column" AS "column", failed.value AS "value", failed.reason AS reason
    FROM (
        SELECT _file, _row, unnest(_rejections) AS failed, generate_subscripts(_rejections, 1) AS number
        FROM {STAGE} WHERE _rejections IS NOT NULL
    ) JOIN files ON file = _file
    ORDER BY _file, _row, number"""


def _rejected(engine: Engine) -> Iterator[pa.RecordBatch]:
    schema = REJECTED_SCHEMA.stored()
    return (batch.cast(schema) for batch in engine.stream(_REJECTED_QUERY))


def _finished(batches: Iterable[pa.RecordBatch], entity: str, names: pa.Array, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Rows that are clustered by entity, with each item's position in its history and the names of the files."""
    last: pa.Scalar | None = None
    position = 0
    for batch in batches:
        values = batch.column(entity)
        rows = np.arange(batch.num_rows)
        changes = pc.not_equal(values.slice(1), values.slice(0, batch.num_rows - 1)).to_numpy(zero_copy_only=False)
        first = np.maximum.accumulate(np.where(np.concatenate([[False], changes]), rows, 0))
        carried = position if last is not None and values[0] == last else 0
        positions = rows - first + np.where(first == 0, carried, 0)
        last, position = values[-1], int(positions[-1]) + 1
        *contract, file, row = batch.columns
        columns = [*contract, names.take(file), row, pa.array(positions)]
        yield pa.RecordBatch.from_arrays(columns, names=schema.names).cast(schema)


def _label_counts(engine: Engine, spec: ModelSpec, feature: str) -> pa.Table:
    accepted = f"SELECT * FROM {STAGE} WHERE _rejections IS NULL AND subset = 'train'"
    schema = pa.schema([("value", stored_type(spec.columns[feature].type)), ("count", pa.int64())])
    batches = engine.stream(label_counts_query(spec, feature, f"({accepted})"))
    return pa.Table.from_batches((batch.cast(schema) for batch in batches), schema)


def _accounting(engine: Engine, read: int) -> IngestAccounting:
    counts = engine.row(f"""
        SELECT count(*) FILTER (_rejections IS NULL) AS accepted, count(*) FILTER (_rejections IS NOT NULL) AS rejected,
            count(*) FILTER (_rejections IS NULL AND subset = 'train') AS train,
            count(*) FILTER (_rejections IS NULL AND subset = 'validation') AS validation
        FROM {STAGE}""")
    reasons = dict(engine.rows(f"SELECT _rejections[1].reason, count(*) FROM {STAGE} WHERE _rejections IS NOT NULL GROUP BY 1"))
    return IngestAccounting(
        read=read, rejected_by_reason={reason: reasons[reason] for reason in REASONS if reason in reasons}, **counts
    )
