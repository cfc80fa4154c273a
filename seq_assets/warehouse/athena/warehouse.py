"""`AthenaWarehouse`: the warehouse interface on Athena, S3 and the Glue catalog.

Plans become SQL. What a query finds is unloaded to a fresh prefix, audited there by further queries, and published by one
Iceberg commit, so a query that fails leaves nothing visible.
"""

import logging
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
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
from seq_assets.warehouse.athena.audit_raw import raw_findings
from seq_assets.warehouse.athena.audit_sequences import sequence_findings
from seq_assets.warehouse.athena.casts import Carrier, is_readable
from seq_assets.warehouse.athena.client import AthenaClient, clear_errors, refuse_if_too_long, totals
from seq_assets.warehouse.athena.external_tables import ExternalTables, columns_of
from seq_assets.warehouse.athena.glue_source import SCHEME as GLUE
from seq_assets.warehouse.athena.glue_source import GlueSource, find_table
from seq_assets.warehouse.athena.ingest_sql import (
    CONTRACT,
    MEASURES,
    accounting_query,
    raw_query,
    reasons_query,
    records_columns,
    rejected_query,
    stage_columns,
    stage_query,
    ties_query,
)
from seq_assets.warehouse.athena.records import Records, write_records
from seq_assets.warehouse.athena.sequence_sql import sequence_query
from seq_assets.warehouse.athena.sql import ATHENA_TYPES, hive_type, quoted, table_name
from seq_assets.warehouse.engine import MEMORY_LIMIT
from seq_assets.warehouse.interface import Finding, Progress, SourceSample, Version, no_progress
from seq_assets.warehouse.local.sampling import sample_files
from seq_assets.warehouse.publishing import BuiltObservations, BuiltSequences, PublishingWarehouse, Source
from seq_assets.warehouse.rules.contract_sql import REASONS
from seq_assets.warehouse.rules.lookups import VALUE, Lookups, looked_up, lookup_table
from seq_assets.warehouse.rules.metrics import column_metrics
from seq_assets.warehouse.rules.number_formats import NumberFormat, number_format
from seq_assets.warehouse.sources.location import SourceFiles, find_files
from seq_assets.warehouse.sources.records import SourceFindings, wanted_columns
from seq_assets.warehouse.storage.cloud import Cloud, boto3_client, glue_explained
from seq_assets.warehouse.storage.parquet_files import write_parquet
from seq_assets.warehouse.storage.storage import Storage

if TYPE_CHECKING:
    from seq_assets.warehouse.storage.iceberg_tables import Tables

logger = logging.getLogger(__name__)

UNORDERED: Final = {"ordered": False}
"""Athena writes rows in any order, into as many files as it likes."""


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
    open_athena: Callable[[], Any] = field(default=lambda: boto3_client("athena"), kw_only=True)
    is_temporary: bool = field(default=False, kw_only=True)

    @cached_property
    def storage(self) -> Storage:
        """The prefix on S3."""
        return self.cloud.storage

    @cached_property
    def tables(self) -> "Tables":
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

    def _count_histories(self, version: Version, subset: Subset) -> Histories:
        entity = quoted(version.metadata["model"]["entity"])
        lengths = f"SELECT max(_position) + 1 AS items FROM {self._at(version)} WHERE subset = '{subset}' GROUP BY {entity}"
        rows = self.athena.rows(f"SELECT items, count(*) AS entities FROM ({lengths}) GROUP BY 1")
        return Histories.of((row["items"], row["entities"]) for row in rows)

    def _label_counts(self, spec: ModelSpec, train: Sequence[str]) -> Mapping[str, pa.Table]:
        schema = IngestPlan(spec, "", "").schema
        with self._prefix() as scratch, self._files(train, schema) as rows:
            return {name: self._counted(spec, name, rows, scratch) for name in spec.encoded}

    def _counted(self, spec: ModelSpec, feature: str, rows: str, scratch: str) -> pa.Table:
        """The labels of one feature and their counts; there may be millions, so they are unloaded."""
        schema = pa.schema([("value", stored_type(spec.columns[feature].type)), ("count", pa.int64())])
        return self._read(self._unload(CONTRACT.label_counts_query(spec, feature, rows), f"{scratch}/labels_{feature}"), schema)

    def _build_observations(
        self, plan: IngestPlan, source: Source, raw_folder: str, rejected_folder: str, progress: Progress
    ) -> BuiltObservations:
        """Brings the source's records into a stage table, from which everything else is queried."""
        assert isinstance(source, SourceFiles | GlueSource), "as it was found"
        self.athena.taken()
        self.tables.create_database()
        with self._prefix() as scratch, ExitStack() as tables:
            records, read, found = self._records(plan.spec, source, scratch, tables, progress)
            if read == 0:
                raise SourceError(f"The source {plan.location!r} has no rows; put some there.")
            written = None if isinstance(source, GlueSource) else number_format(plan.spec.source.options, source.format)
            lookups = tables.enter_context(self._lookups(plan.spec))
            stage = self._staged(plan.spec, records, written, lookups, scratch, tables)
            progress("read", read)
            if isinstance(source, GlueSource):
                self._refuse_ties(plan.spec, stage, source)
            return self._finished(plan, stage, lookups, read, found, raw_folder, rejected_folder, scratch, progress)

    def _records(
        self, spec: ModelSpec, source: SourceFiles | GlueSource, scratch: str, tables: ExitStack, progress: Progress
    ) -> tuple[list[Records], int, Mapping[str, Any]]:
        """The source's records, how many there are, and what a version remembers of the source."""
        if isinstance(source, GlueSource):
            read = self.athena.row(f"SELECT count(*) AS records FROM {source.relation}")["records"]
            return [source.records(spec)], read, source.metadata(spec)
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
        records = []
        for part in written:
            columns = records_columns(spec, part.carriers, part.texts)
            table = tables.enter_context(self._external.over(part.folder, columns))
            records.append(Records(table, part.carriers, part.texts, part.written))
        return records, read, findings.metadata(wanted_columns(spec))

    def _staged(
        self,
        spec: ModelSpec,
        records: Sequence[Records],
        numbers: NumberFormat | None,
        lookups: Lookups,
        scratch: str,
        tables: ExitStack,
    ) -> str:
        """The stage table, a part for each shape of the records: together their queries might be too long."""
        parts = []
        for number, part in enumerate(records):
            unfit = {name for name, column in spec.columns.items() if not is_readable(part.carriers[name], column)}
            details = {name: written for name, written in part.written.items() if name in unfit}
            query = stage_query(spec, part.relation, part.carriers, part.texts, details, numbers, lookups)
            folder = self.athena.unload(query, f"{scratch}/stage_{number}")
            parts.append(tables.enter_context(self._external.over(folder, stage_columns(spec))))
        return _union(parts)

    def _refuse_ties(self, spec: ModelSpec, stage: str, source: GlueSource) -> None:
        """A table has no order of rows that could decide."""
        if spec.ties == "any":
            return
        ties = self.athena.row(ties_query(spec, stage))["ties"]
        if ties:
            raise SourceError(
                f"{source.location}: {ties} accepted rows have the same {spec.entity} and order_by as another one of their "
                "subset, and a table has no order of rows; add columns to order_by, or set `ties: any`."
            )

    def _finished(
        self,
        plan: IngestPlan,
        stage: str,
        lookups: Lookups,
        read: int,
        found: Mapping[str, Any],
        raw_folder: str,
        rejected_folder: str,
        scratch: str,
        progress: Progress,
    ) -> BuiltObservations:
        """The files that are to be published, and what was counted in the stage table."""
        spec = plan.spec
        raw: dict[Subset, list[str]] = {}
        for subset in SUBSETS:
            raw[subset] = self._unload(raw_query(spec, stage, subset), f"{raw_folder}/{subset}")
            progress(f"sort and write {subset}", read)
        rejected = self._unload(rejected_query(stage), rejected_folder)
        accounting = self._accounting(stage, read)
        accepted = f"(SELECT * FROM {stage} WHERE _rejections IS NULL)"
        train = f"(SELECT * FROM {stage} WHERE _rejections IS NULL AND subset = 'train')"
        with (
            self._files([*raw["train"], *raw["validation"]], plan.schema) as rows,
            self._files(rejected, REJECTED_SCHEMA) as rejected_rows,
        ):
            has_positions = not plan.location.startswith(GLUE)
            findings = raw_findings(self.athena, spec, rows, rejected_rows, accounting, has_positions, lookups)
            count = self.athena.row(f"SELECT count(*) AS records FROM {rejected_rows}")["records"]
        return BuiltObservations(
            raw=raw,
            rejected=rejected,
            rejected_rows=count,
            accounting=accounting,
            metrics=column_metrics(self.athena, MEASURES, spec, accepted),
            label_counts={name: self._counted(spec, name, train, scratch) for name in spec.encoded},
            source=found,
            findings=findings,
            details=self._details(),
        )

    def _accounting(self, stage: str, read: int) -> IngestAccounting:
        counts = self.athena.row(accounting_query(stage)) | {"read": read}
        reasons = {row["reason"]: row["records"] for row in self.athena.rows(reasons_query(stage))}
        return IngestAccounting(
            rejected_by_reason={reason: reasons[reason] for reason in REASONS if reason in reasons}, **counts
        )

    def _audit_observations(self, spec: ModelSpec, raw: Version, rejected: Version) -> Sequence[Finding]:
        accounting = IngestAccounting(**raw.metadata["accounting"])
        has_positions = not raw.metadata["source"].startswith(GLUE)
        with (
            self._files(raw.files, raw.schema) as rows,
            self._files(rejected.files, rejected.schema) as rejected_rows,
            self._lookups(spec) as lookups,
        ):
            return raw_findings(self.athena, spec, rows, rejected_rows, accounting, has_positions, lookups)

    def _build_sequences(self, plan: SequencePlan, raw: Version, folder: str, progress: Progress) -> BuiltSequences:
        """One query makes the sequences; what was dropped follows from the lengths of histories."""
        self.athena.taken()
        files = self._unload(sequence_query(plan, self._at(raw), self._vocabulary_at(raw)), f"{folder}/{plan.subset}")
        expected = advise(plan, self.histories(raw, plan.subset)).accounting
        with self._files(files, plan.schema) as sequences:
            counted = self.athena.row(_counts_query(plan, sequences))
            accounting = SequenceAccounting(
                observations=expected.observations,
                sequenced=counted["sequenced"],
                dropped_min_length=expected.dropped_min_length,
                dropped_truncation=expected.dropped_truncation,
                sequences=counted["sequences"],
                positions=counted["positions"],
                padding=counted["padding"],
            )
            findings = self._sequence_findings(plan, raw, sequences, accounting)
        progress(f"sequence {plan.dataset.table}", accounting.sequences)
        return BuiltSequences(files, accounting, findings, self._details())

    def _audit_sequences(self, plan: SequencePlan, raw: Version, published: Version) -> Sequence[Finding]:
        accounting = SequenceAccounting(**published.metadata["accounting"])
        with self._files(published.files, published.schema) as sequences:
            return self._sequence_findings(plan, raw, sequences, accounting)

    def _sequence_findings(
        self, plan: SequencePlan, raw: Version, sequences: str, accounting: SequenceAccounting
    ) -> list[Finding]:
        spec = ModelSpec.model_validate(raw.metadata["model"])
        return sequence_findings(self.athena, plan, spec, self._at(raw), self._vocabulary_at(raw), sequences, accounting)

    def _unload(self, query: str, folder: str) -> list[str]:
        """The files of a query's result; what attempts before the last one left is removed."""
        finished = self.athena.unload(query, folder)
        found = self.storage.files(folder)
        for left in {file[: file.index("/", len(folder) + 1)] for file in found if not file.startswith(finished)}:
            self.storage.remove(left)
        return [file for file in found if file.startswith(finished)]

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

    def _read(self, files: Sequence[str], schema: pa.Schema) -> pa.Table:
        tables = [schema.empty_table()]
        for file in files:
            with self.storage.open_input(file) as opened:
                tables.append(pq.ParquetFile(opened).read().cast(schema))
        return pa.concat_tables(tables)

    def _details(self) -> dict[str, Any]:
        """What the queries since the last call took, for the version."""
        return UNORDERED | {"athena": asdict(totals(self.athena.taken()))}


def _union(tables: Sequence[str]) -> str:
    """Tables of the same columns as one."""
    return tables[0] if len(tables) == 1 else f"({' UNION ALL '.join(f'SELECT * FROM {table}' for table in tables)})"


def _counts_query(plan: SequencePlan, sequences: str) -> str:
    """Counts what the finished files hold: `sequences`, `positions`, `padding`, and items, each once, as `sequenced`."""
    again = _sum("is_repeat_sequence") if plan.window.overlaps else "0"
    return f"""
        SELECT count(*) AS sequences, coalesce(sum(cardinality(is_pad_sequence)), 0) AS positions,
            coalesce(sum({_sum("is_pad_sequence")}), 0) AS padding,
            coalesce(sum(cardinality(is_pad_sequence) - {_sum("is_pad_sequence")} - {again}), 0) AS sequenced
        FROM {sequences}"""


def _sum(flags: str) -> str:
    return f"reduce({flags}, BIGINT '0', (_total, _flag) -> _total + _flag, _total -> _total)"
