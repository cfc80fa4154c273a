"""Executing an ingest plan: source files to finished files of raw and rejected observations, sorted once."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seq_assets.errors import SourceError
from seq_assets.models import SUBSETS, ColumnType, ModelSpec, Subset
from seq_assets.models.spec import EntityHashSplit, LocationSplit
from seq_assets.sequencing.accounting import IngestAccounting
from seq_assets.sequencing.plans import IngestPlan
from seq_assets.sequencing.schemas import REJECTED_SCHEMA, stored_type
from seq_assets.warehouse.engine import BATCH_ROWS, Engine, quoted, text_literal
from seq_assets.warehouse.interface import Progress
from seq_assets.warehouse.local.casts import is_readable
from seq_assets.warehouse.local.ingest_sql import (
    CONTRACT,
    MEASURES,
    accepted_query,
    entities_query,
    order_sql,
    register_lookups,
    stage_query,
)
from seq_assets.warehouse.local.text_cache import KeptTexts, TextCache
from seq_assets.warehouse.local.unique_values import unique_counts
from seq_assets.warehouse.rules.contract_sql import REASONS
from seq_assets.warehouse.rules.metrics import ColumnMetrics, count_questions
from seq_assets.warehouse.rules.number_formats import number_format
from seq_assets.warehouse.rules.questions import only_rows
from seq_assets.warehouse.sources.location import SourceFiles, find_files
from seq_assets.warehouse.sources.parquet_format import ParquetFiles, ParquetPart
from seq_assets.warehouse.sources.reading import CountedRecords, note_again
from seq_assets.warehouse.sources.records import SourceFindings, records_schema, wanted_columns
from seq_assets.warehouse.storage.parquet_files import write_parquet
from seq_assets.warehouse.storage.storage import Storage

logger = logging.getLogger(__name__)

STAGE: Final = "stage.records"
SMALL_SOURCE: Final = 1 << 28
"""Bytes of files whose records fit into memory, in most cases."""
ENTITIES: Final = "entities"
BATCH_BYTES: Final = 1 << 26
_LIMIT_OF_LONG_ROWS: Final = "2200MiB"
_LONG_ROW: Final = 1 << 10
"""Bytes of a row whose like, a batch full, are more than a batch should have."""
ACCEPTED: Final = "accepted"


@dataclass(frozen=True)
class IngestResult:
    """Finished files that are not yet published.

    Attributes:
        raw: The file of accepted observations of each subset.
        rejected: The file of rejected observations.
        rejected_rows: Its rows: one per rejected record and failed column.
        accounting: Where every record went.
        metrics: Of each column, over accepted rows.
        label_counts: Of each encoded feature, how often accepted train observations have each value: `value`, `count`.
        source: What a version remembers of its source: `ignored_columns`, `records_over_lines`.
    """

    raw: Mapping[Subset, str]
    rejected: str
    rejected_rows: int
    accounting: IngestAccounting
    metrics: Mapping[str, Mapping[str, Any]]
    label_counts: Mapping[str, pa.Table]
    source: Mapping[str, Any]


@dataclass(frozen=True)
class StagedRecords:
    """What the stage was filled with.

    Attributes:
        read: The records, as their readers counted them.
        of_files: Those of text files that were read, by the file's index.
    """

    read: int
    of_files: Mapping[int, int] = field(default_factory=dict)


@contextmanager
def memory_explained(spec: ModelSpec) -> Iterator[None]:
    """What DuckDB says of its memory becomes an error of the source, whose long values are what takes it.

    Raises:
        SourceError: The memory is not enough.
    """
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as error:
        reason = str(error).splitlines()[0].removeprefix("Out of Memory Error: ")
        raise SourceError(
            f"The records of {spec.name} take more memory than there is for them ({reason}); allowed: values of which some "
            f"thousands fit. Lower source.options.max_value_bytes, now {spec.source.options.max_value_bytes}, so that longer "
            "ones are rejected, or leave columns of long texts out of the model file."
        ) from error


def ingest(
    plan: IngestPlan,
    source: SourceFiles,
    storage: Storage,
    raw_folder: str,
    rejected_folder: str,
    scratch: Path,
    cache: TextCache,
    engine: Engine,
    progress: Progress,
) -> IngestResult:
    """Reads the source once, sorts each subset once, and writes finished files into the two folders.

    Text files that have not changed are taken from the cache; those that were read are kept there.

    Raises:
        SourceError: The source cannot be read, or has no rows.
    """
    spec = plan.spec
    if isinstance(spec.split, LocationSplit):
        source.by_subset()  # refuses files of neither subset, before all are read
    place, options = stage_place(source, scratch)
    engine.execute(f"ATTACH {place} AS stage {options}")
    register_lookups(engine, spec)
    findings = SourceFindings()
    texts = cache.open(spec, source, text_query(spec, source))
    staged = _stage(spec, source, texts, engine, progress, findings)
    if staged.read == 0:
        raise source.without_rows()
    judge_stage(spec, source, engine)
    schema = plan.schema.stored()
    names = pa.array(file.name for file in source.files)
    raw: dict[Subset, str] = {}
    rows = _rows_at_once(engine, spec)
    for subset in SUBSETS:
        raw[subset] = f"{raw_folder}/{subset}.parquet"
        stream = _finished(engine.stream(_sorted_query(spec, subset), rows), spec.entity, subset, names, schema)
        write_parquet(storage, raw[subset], schema, stream, progress, f"sort and write {subset}")
    rejected = f"{rejected_folder}/rejected.parquet"
    rejected_rows = write_parquet(
        storage, rejected, REJECTED_SCHEMA.stored(), _rejected(engine, rows), progress, "write rejected observations"
    )
    # Metrics do not ask for the subset, which may cost a join.
    accepted = f"(SELECT * FROM {STAGE} WHERE _rejections IS NULL)"
    counted = only_rows(engine, count_questions(MEASURES, spec, accepted, _unique_counts(engine, spec, accepted)))
    metrics = ColumnMetrics(MEASURES, spec, accepted, counted)
    result = IngestResult(
        raw=raw,
        rejected=rejected,
        rejected_rows=rejected_rows,
        accounting=stage_accounting(engine, staged.read),
        metrics=metrics.of(engine.answers(metrics.questions())),
        label_counts=label_counts(engine, spec, f"(SELECT * FROM {ACCEPTED} WHERE subset = 'train')"),
        source=findings.metadata(wanted_columns(spec)),
    )
    # Last, so that where the disk is full it is this that is missing.
    found = partial(find_files, plan.location, plan.folder, spec.source.format)
    texts.keep(engine, STAGE, staged.of_files, findings, found, scratch, rows)
    texts.tidy()
    return result


def stage_place(source: SourceFiles, scratch: Path) -> tuple[str, str]:
    """Where the stage is, and its options: in memory, which spills into the scratch folder, or compressed in a file there.

    Compressing takes longer than making the stage, but less than spilling what is not compressed.
    """
    if sum(file.size for file in source.files) <= SMALL_SOURCE:
        return "':memory:'", ""
    # Nothing of it is to be recovered, and DuckDB would cut the path of its log at a question mark.
    return text_literal(str(scratch / "stage.duckdb")), "(RECOVERY_MODE NO_WAL_WRITES)"


def _stage(
    spec: ModelSpec, source: SourceFiles, texts: KeptTexts, engine: Engine, progress: Progress, findings: SourceFindings
) -> StagedRecords:
    """Fills the stage table and notes the files' columns."""
    if source.format == "parquet":
        # Left before anything else happens, however reading ends: no thread of DuckDB's may still ask for a batch.
        with closing(ParquetFiles(source, engine)) as files:
            queries = [f"({part_query(spec, part)})" for part in files.parts(spec, findings)]
            with files.explained():
                engine.execute(f"CREATE TABLE {STAGE} AS {' UNION ALL '.join(queries)}")
            progress("read", files.rows)
            return StagedRecords(files.rows)
    kept = _stage_kept(spec, source, texts, engine, findings)
    if kept:
        progress("read", kept)
    unread = [index for index in range(len(source.files)) if index not in texts.files]
    statement = f"INSERT INTO {STAGE}" if texts.files else f"CREATE TABLE {STAGE} AS"
    columns = wanted_columns(spec)
    with closing(CountedRecords(source, columns, spec.source.options, findings, progress, unread, kept)) as counted:
        engine.register("records", pa.RecordBatchReader.from_batches(records_schema(columns), counted))
        try:
            engine.execute(f"{statement} {text_query(spec, source)}")
        except Exception as error:
            # DuckDB wraps what the reader raised into an error of its own.
            raise counted.error or error from None
        finally:
            engine.unregister("records")
        return StagedRecords(counted.rows, counted.of_files)


def _stage_kept(spec: ModelSpec, source: SourceFiles, texts: KeptTexts, engine: Engine, findings: SourceFindings) -> int:
    """Makes the stage table of what is kept, if anything is; returns the number of records, as their readers counted them."""
    import duckdb

    if not texts.files:
        return 0
    try:
        engine.execute(f"CREATE TABLE {STAGE} AS {texts.query(engine)}")
    except duckdb.Error as error:
        engine.execute(f"DROP TABLE IF EXISTS {STAGE}")
        texts.let_go(error)
    for index, file in texts.files.items():
        note_again(source, index, file.findings, wanted_columns(spec), findings)
    return sum(file.records for file in texts.files.values())


def part_query(spec: ModelSpec, part: ParquetPart) -> str:
    """The query that makes stage rows out of a part of a source of Parquet files."""
    unfit = {name for name, column in spec.columns.items() if not is_readable(part.types[name], column)}
    details = {name: written for name, written in part.written.items() if name in unfit}
    return stage_query(spec, part.records, part.types, part.texts, details)


def text_query(spec: ModelSpec, source: SourceFiles) -> str:
    """The query that makes stage rows out of the table `records` of a source of text files."""
    numbers = number_format(spec.source.options, source.format)
    return stage_query(spec, "records", dict.fromkeys(spec.columns, "VARCHAR"), numbers=numbers)


def judge_stage(spec: ModelSpec, source: SourceFiles, engine: Engine) -> None:
    """Makes, of the stage table, the view of accepted records with their subset, and the names of the files."""
    engine.execute(f"CREATE TEMP TABLE files AS {_names(source)}")
    if isinstance(spec.split, EntityHashSplit):
        # Each entity is hashed once, not each of its records.
        engine.execute(f"CREATE TEMP TABLE {ENTITIES} AS {entities_query(spec, STAGE)}")
    validation_files = source.by_subset()[1] if isinstance(spec.split, LocationSplit) else []
    engine.execute(f"CREATE TEMP VIEW {ACCEPTED} AS {accepted_query(spec, STAGE, ENTITIES, validation_files)}")


def _names(source: SourceFiles) -> str:
    names = ", ".join(text_literal(file.name) for file in source.files)
    return f"SELECT unnest([{names}]) AS name, unnest(range({len(source.files)})) AS file"


def _sorted_query(spec: ModelSpec, subset: Subset) -> str:
    columns = ", ".join(quoted(name) for name in spec.columns)
    return f"""
        SELECT {columns}, _file, _row FROM {ACCEPTED}
        WHERE subset = '{subset}' ORDER BY {order_sql(spec)}"""


REJECTED_QUERY: Final = f"""
    SELECT name AS file, _row AS "row", failed."column" AS "column", failed.value AS "value", failed.detail AS detail,
        failed.reason AS reason
    FROM (
        SELECT _file, _row, unnest(_rejections) AS failed, generate_subscripts(_rejections, 1) AS number
        FROM {STAGE} WHERE _rejections IS NOT NULL
    ) JOIN files ON file = _file
    ORDER BY _file, _row, number"""


def _rejected(engine: Engine, rows: int) -> Iterator[pa.RecordBatch]:
    schema = REJECTED_SCHEMA.stored()
    return (batch.cast(schema) for batch in engine.stream(REJECTED_QUERY, rows))


def _rows_at_once(engine: Engine, spec: ModelSpec) -> int:
    """The rows of a batch of the stage's, so that it is not large where values are: any of them may stand together."""
    shown = "coalesce(list_sum(list_transform(_rejections, lambda failed: strlen(coalesce(failed.value, '')))), 0)"
    texts = [
        f"coalesce(strlen({quoted(name)}), 0)" for name, column in spec.columns.items() if column.type is ColumnType.STRING
    ]
    size = " + ".join([*texts, f"CASE WHEN _rejections IS NULL THEN 0 ELSE {shown} END"])
    found = engine.row(f"""
        SELECT coalesce(max(size), 0) AS longest, coalesce(sum(size) FILTER (size > {_LONG_ROW}), 0) AS together
        FROM (SELECT {size} AS size FROM {STAGE})""")
    if found["together"] <= BATCH_BYTES:
        return BATCH_ROWS
    # DuckDB handles 2,048 rows at once, per thread, and what it makes of long texts on the way exceeds its limit by more.
    engine.execute(f"SET memory_limit = '{_LIMIT_OF_LONG_ROWS}'")
    engine.execute("SET threads = 1")
    longest: int = found["longest"]
    return max(1, BATCH_BYTES // longest)


def _unique_counts(engine: Engine, spec: ModelSpec, accepted: str) -> dict[str, int]:
    """How many different values columns have; entities that were hashed one by one are counted already."""
    known = {}
    if isinstance(spec.split, EntityHashSplit):
        known[spec.entity] = engine.row(f"SELECT count(*) AS entities FROM {ENTITIES}")["entities"]
    return unique_counts(engine, spec, accepted, known)


def _finished(
    batches: Iterable[pa.RecordBatch], entity: str, subset: Subset, names: pa.Array, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Rows that are clustered by entity, with their subset, each item's position in its history and the names of the files."""
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
        columns = [*contract, pa.repeat(subset, batch.num_rows), names.take(file), row, pa.array(positions)]
        yield pa.RecordBatch.from_arrays(columns, names=schema.names).cast(schema)


def label_counts(engine: Engine, spec: ModelSpec, train: str) -> dict[str, pa.Table]:
    """Of each encoded feature, how often accepted train observations have each value: `value`, `count`.

    Args:
        engine: Where the rows are.
        spec: The model.
        train: A table expression with the contract's columns.
    """
    found = {}
    for feature in spec.encoded:
        schema = pa.schema([("value", stored_type(spec.columns[feature].type)), ("count", pa.int64())])
        batches = engine.stream(CONTRACT.label_counts_query(spec, feature, train))
        found[feature] = pa.Table.from_batches((batch.cast(schema) for batch in batches), schema)
    return found


def stage_accounting(engine: Engine, read: int) -> IngestAccounting:
    """Where every record of the stage went, after `judge_stage`; `read` is what the reader counted."""
    counts = engine.row(f"""
        SELECT count(*) FILTER (_rejections IS NULL) AS accepted, count(*) FILTER (_rejections IS NOT NULL) AS rejected
        FROM {STAGE}""")
    counts |= engine.row(f"""
        SELECT count(*) FILTER (subset = 'train') AS train, count(*) FILTER (subset = 'validation') AS validation
        FROM {ACCEPTED}""")
    reasons = dict(engine.rows(f"SELECT _rejections[1].reason, count(*) FROM {STAGE} WHERE _rejections IS NOT NULL GROUP BY 1"))
    return IngestAccounting(
        read=read, rejected_by_reason={reason: reasons[reason] for reason in REASONS if reason in reasons}, **counts
    )
