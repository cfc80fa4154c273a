"""`AthenaWarehouse`: the warehouse interface on Athena, S3 and the Glue catalog.

Plans become SQL. What a query finds is unloaded to a fresh prefix, audited there by further queries, and published by one
Iceberg commit, so a query that fails leaves nothing visible.
"""

import logging
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from seq_assets.errors import SeqAssetsError, SourceError
from seq_assets.models import SUBSETS, ModelSpec, Subset
from seq_assets.models.spec import LocationSplit
from seq_assets.sequencing.accounting import IngestAccounting, SequenceAccounting
from seq_assets.sequencing.advice import Histories, advise
from seq_assets.sequencing.plans import Dataset, IngestPlan, SequencePlan
from seq_assets.sequencing.schemas import REJECTED_SCHEMA, TableSchema, stored_type
from seq_assets.warehouse.athena.audit_raw import raw_checks
from seq_assets.warehouse.athena.audit_sequences import SequenceAudit
from seq_assets.warehouse.athena.casts import Carrier, is_readable
from seq_assets.warehouse.athena.client import AthenaClient, Unload, clear_errors, refuse_if_too_long, totals
from seq_assets.warehouse.athena.external_tables import ExternalTables, columns_of
from seq_assets.warehouse.athena.glue_source import SCHEME as GLUE
from seq_assets.warehouse.athena.glue_source import GlueSource, find_table
from seq_assets.warehouse.athena.ingest_sql import (
    CONTRACT,
    MEASURES,
    accounting_of,
    accounting_question,
    raw_query,
    records_columns,
    rejected_query,
    stage_columns,
    stage_query,
    ties_question,
)
from seq_assets.warehouse.athena.leftovers import CatalogLeftovers
from seq_assets.warehouse.athena.queries import AthenaQueries, answer_table, combined, found_by, judged_groups
from seq_assets.warehouse.athena.records import Records, write_records
from seq_assets.warehouse.athena.sequence_sql import sequence_query
from seq_assets.warehouse.athena.sql import ATHENA_TYPES, hive_type, quoted, table_name
from seq_assets.warehouse.engine import MEMORY_LIMIT
from seq_assets.warehouse.interface import Finding, Progress, SourceSample, Version, no_progress
from seq_assets.warehouse.local.sampling import sample_files
from seq_assets.warehouse.publishing import BuiltObservations, BuiltSequences, PublishingWarehouse, Source
from seq_assets.warehouse.rules.lookups import VALUE, Lookups, looked_up, lookup_table
from seq_assets.warehouse.rules.metrics import ColumnMetrics, count_questions
from seq_assets.warehouse.rules.number_formats import NumberFormat, number_format
from seq_assets.warehouse.rules.questions import Question, Row, questions_of
from seq_assets.warehouse.sources.location import SourceFiles, find_files
from seq_assets.warehouse.sources.records import SourceFindings, wanted_columns
from seq_assets.warehouse.storage.cloud import Cloud, boto3_client, glue_explained
from seq_assets.warehouse.storage.parquet_files import write_parquet
from seq_assets.warehouse.storage.storage import Storage

if TYPE_CHECKING:
    from seq_assets.warehouse.storage.iceberg_tables import Tables
    from seq_assets.warehouse.storage.leftovers import Leftover

logger = logging.getLogger(__name__)

UNORDERED: Final = {"ordered": False}
"""Athena writes rows in any order, into as many files as it likes."""


def _athena_client() -> Any:
    return boto3_client("athena")


@dataclass(frozen=True)
class _Written:
    """What was made of the stage table.

    Attributes:
        raw: Files of accepted observations.
        rejected: Files of rejected observations.
        accounting: Where every record went.
        columns: The rows of `count_questions`.
    """

    raw: Mapping[Subset, Sequence[str]]
    rejected: Sequence[str]
    accounting: IngestAccounting
    columns: Sequence[Row]


@dataclass(eq=False)
class AthenaWarehouse(PublishingWarehouse):
    """Tables in a Glue database and below a prefix on S3; only what executes a plan asks Athena.

    Attributes:
        cloud: Where they are.
        workgroup: Of Athena.
        open_athena: Makes the boto3 client of Athena.
        is_temporary: Whether its database is removed soon with all that is in it.
    """

    cloud: Cloud = field(kw_only=True)
    workgroup: str = field(kw_only=True)
    open_athena: Callable[[], Any] = field(default=_athena_client, kw_only=True)
    is_temporary: bool = field(default=False, kw_only=True)

    @cached_property
    def storage(self) -> Storage:
        """The prefix on S3."""
        return self.cloud.storage

    def _open_tables(self) -> "Tables":
        """The tables in the Glue catalog."""
        return self.cloud.open_tables()

    @cached_property
    def athena(self) -> AthenaClient:
        """Runs the queries; their results are kept below the same prefix as the tables.

        Raises:
            SettingsError: The workgroup, credentials or the region are missing.
        """
        with clear_errors(self.workgroup):
            client = self.open_athena()
        athena = AthenaClient(
            client,
            workgroup=self.workgroup,
            database=self.cloud.database,
            output_location=f"{self.storage.root}/query_results/",
        )
        athena.require_workgroup()
        return athena

    def _leftovers(self, now: datetime, written_before: datetime) -> "Iterator[Leftover]":
        """Those in the catalog, before the files that they are about."""
        yield from CatalogLeftovers(boto3_client("glue"), self.cloud, written_before).find()
        yield from super()._leftovers(now, written_before)

    def _find_source(self, plan: IngestPlan) -> SourceFiles | GlueSource:
        if not plan.location.startswith(GLUE):
            return find_files(plan.location, plan.folder, plan.spec.source.format)
        if isinstance(plan.spec.split, LocationSplit):
            raise SourceError(
                f"split.strategy location: found the table {plan.location}; allowed: files below train/ and validation/."
            )
        with glue_explained(plan.location, SourceError):
            return find_table(plan.location, boto3_client("glue"))

    def sample_source(self, plan: IngestPlan, most_records: int) -> SourceSample:
        """Looks at the first records of files, on this machine, or at the columns of a table."""
        source = self._find_source(plan)
        return (
            source.sample(plan.spec)
            if isinstance(source, GlueSource)
            else sample_files(plan.spec, source, self.connect, most_records)
        )

    def _queries(self, dataset: Dataset) -> AthenaQueries:
        return AthenaQueries(self.athena, dataset.table)

    def _count_histories(self, version: Version, subset: Subset) -> Histories:
        entity = quoted(version.metadata["model"]["entity"])
        lengths = f"SELECT max(_position) + 1 AS items FROM {self._at(version)} WHERE subset = '{subset}' GROUP BY {entity}"
        columns = {"items": "items", "entities": "count(*)"}
        [rows] = self._queries(version.dataset).answers(
            [Question.of("lengths of histories", columns, f"({lengths}) GROUP BY items")]
        )
        return Histories.of((row["items"], row["entities"]) for row in rows)

    def _label_counts(self, spec: ModelSpec, train: Sequence[str]) -> Mapping[str, pa.Table]:
        schema = IngestPlan(spec, "", "").schema
        with self._prefix() as scratch, self._files(train, schema) as rows:
            return self._counted_labels("values for the audit", spec, rows, scratch)

    def _counted_labels(self, purpose: str, spec: ModelSpec, rows: str, scratch: str) -> dict[str, pa.Table]:
        """The labels of encoded features and their counts."""
        unloads = self._label_unloads(purpose, spec, rows, scratch)
        _, folders = self._queries(Dataset.vocabulary(spec.name)).side_by_side((), unloads)
        return self._read_labels(spec, folders)

    def _label_unloads(self, purpose: str, spec: ModelSpec, rows: str, scratch: str) -> list[Unload]:
        """One query for the labels of all encoded features, which are unloaded, as there may be millions; none without any."""
        if not spec.encoded:
            return []
        questions = [
            Question(purpose, ("value", "count"), CONTRACT.label_counts_query(spec, name, rows)) for name in spec.encoded
        ]
        queries = self._queries(Dataset.vocabulary(spec.name))
        return [queries.unloading(purpose, combined(questions), f"{scratch}/{uuid.uuid4().hex}")]

    def _build_observations(
        self, plan: IngestPlan, source: Source, raw_folder: str, rejected_folder: str, progress: Progress
    ) -> BuiltObservations:
        """Brings the source's records into a stage table, from which everything else is queried."""
        assert isinstance(source, SourceFiles | GlueSource), "as it was found"
        self.athena.taken()
        self.tables.create_database()
        with self._prefix() as scratch, ExitStack() as tables:
            records, read, found = self._records(plan, source, scratch, tables, progress)
            numbers = None if isinstance(source, GlueSource) else number_format(plan.spec.source.options, source.format)
            lookups = tables.enter_context(self._lookups(plan.spec))
            stage = self._staged(plan, records, numbers, lookups, scratch, tables)
            if read is not None:
                progress("read", read)
            written = self._written(plan, source, stage, read, raw_folder, rejected_folder, progress)
            return self._audited(plan, stage, lookups, written, found, scratch)

    def _records(
        self, plan: IngestPlan, source: SourceFiles | GlueSource, scratch: str, tables: ExitStack, progress: Progress
    ) -> tuple[list[Records], int | None, Mapping[str, Any]]:
        """The source's records, how many there are where this machine has read them, and what a version remembers of it."""
        spec = plan.spec
        if isinstance(source, GlueSource):
            return [source.records(spec)], None, source.metadata(spec)
        if isinstance(spec.split, LocationSplit):
            source.by_subset()  # refuses files of neither subset
        if source.format != "parquet":
            # What a model declares may be too much for a query: that shall not be found out after all records were read.
            numbers = number_format(spec.source.options, source.format)
            text = dict.fromkeys(spec.columns, Carrier.TEXT)
            names = dict.fromkeys(looked_up(spec), "accepted_values")
            refuse_if_too_long(stage_query(spec, "records", text, (), numbers=numbers, lookups=names))
        findings = SourceFindings()
        with self._engine(MEMORY_LIMIT) as engine:
            written, read = write_records(spec, source, self.storage, scratch, engine, progress, findings)
        _require_rows(plan, read)
        records = []
        for part in written:
            columns = records_columns(spec, part.carriers, part.texts)
            table = tables.enter_context(self._external.over(part.folder, columns))
            records.append(Records(table, part.carriers, part.texts, part.written))
        return records, read, findings.metadata(wanted_columns(spec))

    def _staged(
        self,
        plan: IngestPlan,
        records: Sequence[Records],
        numbers: NumberFormat | None,
        lookups: Lookups,
        scratch: str,
        tables: ExitStack,
    ) -> str:
        """The stage table, a part for each shape of the records: together their queries might be too long."""
        spec, queries, unloads = plan.spec, self._queries(plan.dataset), []
        for number, part in enumerate(records):
            unfit = {name for name, column in spec.columns.items() if not is_readable(part.carriers[name], column)}
            details = {name: written for name, written in part.written.items() if name in unfit}
            query = stage_query(spec, part.relation, part.carriers, part.texts, details, numbers, lookups)
            unloads.append(queries.unloading("stage", query, f"{scratch}/stage_{number}"))
        _, folders = queries.side_by_side((), unloads)
        return _union([tables.enter_context(self._external.over(folder, stage_columns(spec))) for folder in folders])

    def _written(
        self,
        plan: IngestPlan,
        source: SourceFiles | GlueSource,
        stage: str,
        read: int | None,
        raw_folder: str,
        rejected_folder: str,
        progress: Progress,
    ) -> _Written:
        """What follows from the stage table alone: the finished files, where every record went, and what columns hold.

        Raises:
            SourceError: A table of others has no rows, or ties that no order of rows decides.
        """
        spec, queries = plan.spec, self._queries(plan.dataset)
        asked = {"accounting": accounting_question(stage)}
        if isinstance(source, GlueSource):
            asked["records"] = source.records_question()
            if spec.ties != "any":
                asked["ties"] = ties_question(spec, stage)
        questions = [*asked.values(), *count_questions(MEASURES, spec, _accepted(stage))]
        unloads = [
            queries.unloading(f"{subset} rows", raw_query(spec, stage, subset), f"{raw_folder}/{subset}") for subset in SUBSETS
        ]
        unloads.append(queries.unloading("rejected rows", rejected_query(stage), rejected_folder))
        [answers], folders = queries.side_by_side([questions], unloads)
        rows = [row for [row] in answers]
        found = dict(zip(asked, rows, strict=False))
        if read is None:
            read = found["records"]["records"]
            _require_rows(plan, read)
        if "ties" in found and found["ties"]["ties"]:
            raise SourceError(
                f"{plan.location}: {found['ties']['ties']} accepted rows have the same {spec.entity} and order_by as another "
                "one of their subset, and a table has no order of rows; add columns to order_by, or set `ties: any`."
            )
        for subset in SUBSETS:
            progress(f"sort and write {subset}", read)
        *raw, rejected = map(self._finished, folders)
        accounting = accounting_of(found["accounting"], read)
        return _Written(dict(zip(SUBSETS, raw, strict=True)), rejected, accounting, rows[len(asked) :])

    def _audited(
        self,
        plan: IngestPlan,
        stage: str,
        lookups: Lookups,
        written: _Written,
        found: Mapping[str, Any],
        scratch: str,
    ) -> BuiltObservations:
        """The files that are to be published with what their audit says, and what else was counted in the stage table."""
        spec, queries, accounting = plan.spec, self._queries(plan.dataset), written.accounting
        metrics = ColumnMetrics(MEASURES, spec, _accepted(stage), written.columns)
        train = f"(SELECT * FROM {stage} WHERE _rejections IS NULL AND subset = 'train')"
        with (
            self._files([*written.raw["train"], *written.raw["validation"]], plan.schema) as rows,
            self._files(written.rejected, REJECTED_SCHEMA) as rejected_rows,
        ):
            has_positions = not plan.location.startswith(GLUE)
            groups = raw_checks(queries, spec, rows, rejected_rows, accounting, has_positions, lookups)
            (*audited, measured), folders = queries.side_by_side(
                [*map(questions_of, groups), metrics.questions()], self._label_unloads("values", spec, train, scratch)
            )
            findings = judged_groups(groups, audited)
        return BuiltObservations(
            raw=written.raw,
            rejected=written.rejected,
            rejected_rows=self._rows(written.rejected),
            accounting=accounting,
            metrics=metrics.of(measured),
            label_counts=self._read_labels(spec, folders),
            source=found,
            findings=findings,
            details=self._details(),
        )

    def _audit_observations(self, spec: ModelSpec, raw: Version, rejected: Version) -> Sequence[Finding]:
        accounting = IngestAccounting(**raw.metadata["accounting"])
        has_positions = not raw.metadata["source"].startswith(GLUE)
        with (
            self._files(raw.files, raw.schema) as rows,
            self._files(rejected.files, rejected.schema) as rejected_rows,
            self._lookups(spec) as lookups,
        ):
            queries = self._queries(raw.dataset)
            return found_by(queries, raw_checks(queries, spec, rows, rejected_rows, accounting, has_positions, lookups))

    def _build_sequences(self, plan: SequencePlan, raw: Version, folder: str, progress: Progress) -> BuiltSequences:
        """One query makes the sequences; what was dropped follows from the lengths of histories."""
        self.athena.taken()
        queries = self._queries(plan.dataset)
        query = sequence_query(plan, self._at(raw), self._vocabulary_at(raw))
        _, [made] = queries.side_by_side((), [queries.unloading("sequences", query, f"{folder}/{plan.subset}")])
        files = self._finished(made)
        expected = advise(plan, self.histories(raw, plan.subset)).accounting
        with self._files(files, plan.schema) as sequences:
            accounting, findings = self._audit_of(plan, raw, sequences).counted(expected)
        progress(f"sequence {plan.dataset.table}", accounting.sequences)
        return BuiltSequences(files, accounting, findings, self._details())

    def _audit_sequences(self, plan: SequencePlan, raw: Version, published: Version) -> Sequence[Finding]:
        accounting = SequenceAccounting(**published.metadata["accounting"])
        with self._files(published.files, published.schema) as sequences:
            return self._audit_of(plan, raw, sequences).findings(accounting)

    def _audit_of(self, plan: SequencePlan, raw: Version, sequences: str) -> SequenceAudit:
        spec, queries = ModelSpec.model_validate(raw.metadata["model"]), self._queries(plan.dataset)
        return SequenceAudit(queries, plan, spec, self._at(raw), self._vocabulary_at(raw), sequences)

    def _finished(self, made: str) -> list[str]:
        """The files of a query's result, given its folder; what attempts before the last one left beside it is removed."""
        folder = made.rstrip("/").rpartition("/")[0]
        found = self.storage.files(folder)
        for left in {file[: file.index("/", len(folder) + 1)] for file in found if not file.startswith(made)}:
            self.storage.remove(left)
        return [file for file in found if file.startswith(made)]

    def _at(self, version: Version) -> str:
        """A version of a table, as Athena reads it."""
        return f"{table_name(self.cloud.database, version.dataset.table)} FOR VERSION AS OF {version.id}"

    def _vocabulary_at(self, raw: Version) -> str | None:
        version = raw.metadata.get("vocabulary_version")
        return None if version is None else self._at(self.find(Dataset.vocabulary(raw.dataset.model), version))

    @cached_property
    def _external(self) -> ExternalTables:
        return ExternalTables(boto3_client("glue"), self.cloud.database, are_left=self.is_temporary)

    @contextmanager
    def _files(self, files: Sequence[str], schema: TableSchema) -> Iterator[str]:
        """Finished files as a table, or a subquery; each of their folders holds nothing else."""
        folders = list(dict.fromkeys(file.rsplit("/", maxsplit=1)[0] for file in files))
        columns = columns_of(schema)
        with ExitStack() as tables:
            # Athena writes no file where there is no row.
            folders = folders or [f"{self.storage.root}/scratch/{uuid.uuid4().hex}"]
            found = [tables.enter_context(self._external.over(folder, columns)) for folder in folders]
            yield _union(found)

    @contextmanager
    def _lookups(self, spec: ModelSpec) -> Iterator[Lookups]:
        """The tables that the contract's queries look values up in; where there is none, nothing is made."""
        with ExitStack() as stack:
            found = {}
            for name in looked_up(spec):
                folder, table = stack.enter_context(self._prefix()), lookup_table(spec, name)
                file, batches = f"{folder}/accepted_values.parquet", table.to_batches()
                write_parquet(self.storage, file, table.schema, batches, no_progress, "write accepted values")
                columns = [(VALUE, hive_type(ATHENA_TYPES[spec.columns[name].type]))]
                found[name] = stack.enter_context(self._external.over(folder, columns))
            yield found

    @contextmanager
    def _prefix(self) -> Iterator[str]:
        """A fresh prefix on S3, whose objects are gone afterwards."""
        folder = f"{self.storage.root}/scratch/{uuid.uuid4().hex}"
        try:
            yield folder
        finally:
            try:
                self.storage.remove(folder)
            except SeqAssetsError as error:
                # What ended its use is what must be told.
                logger.warning("%s is left for gc: %s", folder, error)

    def _read_labels(self, spec: ModelSpec, folders: Sequence[str]) -> dict[str, pa.Table]:
        """Of each encoded feature, `value` and `count`, from what their common query made."""
        schemas = {
            name: pa.schema([("value", stored_type(spec.columns[name].type)), ("count", pa.int64())]) for name in spec.encoded
        }
        parts = {name: [schema.empty_table()] for name, schema in schemas.items()}
        for file in (file for folder in folders for file in self._finished(folder)):
            with self.storage.open_input(file) as opened:
                found = pq.ParquetFile(opened).read()
            for number, (name, schema) in enumerate(schemas.items()):
                parts[name].append(answer_table(found, number, schema))
        return {name: pa.concat_tables(tables) for name, tables in parts.items()}

    def _rows(self, files: Sequence[str]) -> int:
        """The rows of finished files, as their footers say."""
        rows = 0
        for file in files:
            with self.storage.open_input(file) as opened:
                rows += pq.ParquetFile(opened).metadata.num_rows
        return rows

    def _details(self) -> dict[str, Any]:
        """What the queries since the last call took, for the version."""
        return UNORDERED | {"athena": asdict(totals(self.athena.taken()))}


def _union(tables: Sequence[str]) -> str:
    """Tables of the same columns as one."""
    return tables[0] if len(tables) == 1 else f"({' UNION ALL '.join(f'SELECT * FROM {table}' for table in tables)})"


def _accepted(stage: str) -> str:
    return f"(SELECT * FROM {stage} WHERE _rejections IS NULL)"


def _require_rows(plan: IngestPlan, read: int) -> None:
    if read == 0:
        raise SourceError(f"The source {plan.location!r} has no rows; put some there.")
