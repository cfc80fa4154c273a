"""A look at the first records of a source of files: the readers and the contract of an ingest, in memory.

In every environment files pass through the same readers on this machine, so DuckDB judges the sample for all warehouses.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import pyarrow as pa

from seq_assets.models import ModelSpec
from seq_assets.models.spec import LocationSplit
from seq_assets.sequencing.accounting import IngestAccounting
from seq_assets.warehouse.engine import Connect, Engine
from seq_assets.warehouse.interface import SourceSample
from seq_assets.warehouse.local.ingest import (
    REJECTED_QUERY,
    STAGE,
    judge_stage,
    memory_explained,
    part_query,
    stage_accounting,
    text_query,
)
from seq_assets.warehouse.local.ingest_sql import CONTRACT, lookups, register_lookups
from seq_assets.warehouse.rules.audit_raw import RawAudit
from seq_assets.warehouse.rules.rejections import too_many_rejected
from seq_assets.warehouse.sources.location import SourceFiles
from seq_assets.warehouse.sources.parquet_format import ParquetFiles
from seq_assets.warehouse.sources.reading import read_records
from seq_assets.warehouse.sources.records import FILE, MALFORMED, ROW, SourceFindings, records_schema, wanted_columns

_MEMORY_LIMIT: Final = "512MiB"
_MOST_BYTES: Final = 1 << 26
"""Of the records that are judged, where values are long."""
_MOST_PARQUET_FILES: Final = 10
"""Each file's footer has to be read before the first record."""
_MOST_MALFORMED: Final = 100
"""Of what was asked for, as many times over: malformed records come before the others of their block."""


def sample_files(spec: ModelSpec, source: SourceFiles, connect: Connect, most_records: int) -> SourceSample:
    """What the columns and the first records of files say.

    Args:
        spec: The model.
        source: The files.
        connect: Opens DuckDB.
        most_records: As many are judged.

    Raises:
        SourceError: A file cannot be read, or lacks a column, or there is no record.
    """
    if isinstance(spec.split, LocationSplit):
        source.by_subset()  # refuses files of neither subset
    with memory_explained(spec), connect({"memory_limit": _MEMORY_LIMIT}) as connection:
        engine, findings = Engine(connection), SourceFindings()
        engine.execute("ATTACH ':memory:' AS stage")
        register_lookups(engine, spec)
        # The first records are those of the files, not those that a thread finds first.
        engine.execute("SET preserve_insertion_order = true")
        stage_first_records(f"CREATE TABLE {STAGE} AS", spec, source, engine, findings, most_records)
        read = engine.row(f"SELECT count(*) AS records FROM {STAGE}")["records"]
        if read == 0:
            raise source.without_rows()
        judge_stage(spec, source, engine)
        engine.execute(f"CREATE TEMP TABLE rejected AS {REJECTED_QUERY}")
        return _judged(spec, source, engine, findings, stage_accounting(engine, read))


def _judged(
    spec: ModelSpec, source: SourceFiles, engine: Engine, findings: SourceFindings, accounting: IngestAccounting
) -> SourceSample:
    audit = RawAudit(engine, CONTRACT, spec, STAGE, "rejected", accounting, source_has_positions=True, lookups=lookups(spec))
    first = audit.first_rejected()
    is_too_much = accounting.rejected_ratio > spec.checks.rejected_ratio.max
    columns, files = wanted_columns(spec), len(source.files)
    return SourceSample(
        described=f"{files:,} file{'s' if files > 1 else ''} ({source.format})",
        ignored=tuple(findings.ignored(columns)),
        absent=tuple(findings.absent(columns)),
        accounting=accounting,
        rejected=tuple(map(str, first)),
        problem=(
            too_many_rejected(spec, accounting, audit.failed_columns(), first, audit.unreadable_values())
            if is_too_much
            else None
        ),
    )


def stage_first_records(
    statement: str, spec: ModelSpec, source: SourceFiles, engine: Engine, findings: SourceFindings, most_records: int
) -> None:
    """Puts the stage's rows of the first records of files where a statement has them; notes the columns that the files have.

    Args:
        statement: `CREATE TABLE … AS` or `INSERT INTO …`.
        spec: The model.
        source: The files.
        engine: Keeps the order of rows.
        findings: Notes the columns.
        most_records: As many are read.

    Raises:
        SourceError: A file cannot be read, or lacks a column.
    """
    if source.format == "parquet":
        files = ParquetFiles(replace(source, files=source.files[:_MOST_PARQUET_FILES]), engine)
        queries = [f"({part_query(spec, part)})" for part in files.parts(spec, findings)]
        with files.explained():
            engine.execute(f"{statement} SELECT * FROM ({' UNION ALL '.join(queries)}) LIMIT {most_records}")
        return
    columns = wanted_columns(spec)
    batches = read_records(source, columns, spec.source.options, findings, rows_at_once=1)
    records = pa.Table.from_batches(_enough(batches, most_records), records_schema(columns))
    engine.register("records", records.sort_by([(FILE, "ascending"), (ROW, "ascending")]).slice(0, most_records))
    engine.execute(f"{statement} {text_query(spec, source)}")


def _enough(batches: Iterable[pa.RecordBatch], most_records: int) -> Iterable[pa.RecordBatch]:
    """The first batches, until the records that are asked for are among theirs."""
    rows = size = 0
    for batch in batches:
        yield batch
        rows += batch.num_rows
        size += batch.nbytes
        if size >= _MOST_BYTES:
            return
        is_whole = batch.column(MALFORMED).null_count > 0
        if rows >= most_records * (1 if is_whole else _MOST_MALFORMED):
            return
