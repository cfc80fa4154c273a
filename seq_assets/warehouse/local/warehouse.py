"""`LocalWarehouse`: the warehouse interface on DuckDB and the Arrow kernel; its tables live on this machine."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from seq_assets.models import ModelSpec, Subset
from seq_assets.sequencing.accounting import IngestAccounting, SequenceAccounting
from seq_assets.sequencing.advice import Histories
from seq_assets.sequencing.plans import Dataset, IngestPlan, SequencePlan
from seq_assets.warehouse.engine import BATCH_ROWS, MEMORY_LIMIT, Engine, parquet
from seq_assets.warehouse.interface import Finding, Progress, Publication, Repair, SourceSample, Version, no_progress
from seq_assets.warehouse.local.audit_raw import raw_findings
from seq_assets.warehouse.local.audit_sequences import sequence_findings
from seq_assets.warehouse.local.ingest import ingest, label_counts, memory_explained
from seq_assets.warehouse.local.ranges import ROWS_PER_RANGE
from seq_assets.warehouse.local.sampling import sample_files
from seq_assets.warehouse.local.sequences import SequenceWriter
from seq_assets.warehouse.local.text_cache import SMALLEST_KEPT, TextCache
from seq_assets.warehouse.publishing import AUDIT_MEMORY_LIMIT, BuiltObservations, BuiltSequences, PublishingWarehouse, Source
from seq_assets.warehouse.side_by_side import available_cores
from seq_assets.warehouse.sources.location import SourceFiles, find_files
from seq_assets.warehouse.storage.durable import make_folder
from seq_assets.warehouse.storage.parquet_files import read_batches
from seq_assets.warehouse.storage.storage import LocalStorage, Storage

if TYPE_CHECKING:
    from seq_assets.warehouse.local.catalog import CatalogFile, HomeCatalog
    from seq_assets.warehouse.storage.iceberg_tables import Tables


@dataclass(eq=False)
class LocalWarehouse(PublishingWarehouse):
    """Tables below one folder: `catalog.db`, `warehouse/<database>/<table>/`, `scratch/`, `cache/`.

    Attributes:
        database: The tables' namespace.
        environment: Recorded in each table.
        workers: Ranges of sequences that are made, and files of them that are audited, at a time.
        rows_per_range: Raw observations of a range, at least, where there are so many; what comes of a range is one file.
        smallest_kept: Bytes of the smallest text file of which what was read is kept for the next ingest; None: of no file.
    """

    database: str = "seq_assets_local"
    environment: str = "local"
    workers: int = field(default_factory=available_cores, kw_only=True)
    rows_per_range: int = field(default=ROWS_PER_RANGE, kw_only=True)
    smallest_kept: int | None = field(default=SMALLEST_KEPT, kw_only=True)

    @cached_property
    def storage(self) -> Storage:
        """The folder of the database."""
        return LocalStorage(self.home / "warehouse" / self.database)

    def _open_tables(self) -> "Tables":
        """The tables; makes the home and its catalog where they are new.

        Raises:
            DamagedError: There are tables, but no catalog.
        """
        make_folder(self.home)
        return self._bound(self._catalog_file.open())

    @property
    def _catalog_file(self) -> "CatalogFile":
        from seq_assets.warehouse.local.catalog import CatalogFile

        return CatalogFile(self.home, self.environment, self.storage)

    def _bound(self, catalog: "HomeCatalog") -> "Tables":
        from seq_assets.warehouse.local.catalog import HomePointers
        from seq_assets.warehouse.storage.iceberg_tables import Tables

        pointers = HomePointers(catalog, self.database)
        return Tables(catalog, pointers, self.database, self.environment, self.storage, self._catalog_file.explained)

    def repair(self) -> Repair:
        """Mends damaged tables; where `catalog.db` is damaged, another one takes its place once all tables are in it."""
        from seq_assets.warehouse.local.catalog import alone

        if not self.home.exists():
            return Repair()
        with alone(self.home):
            found = self._catalog_file.what_is_wrong()
            return super().repair() if found is None else self._repair_catalog(found)

    def _repair_catalog(self, found: str) -> Repair:
        from seq_assets.warehouse.storage.repair import repair_tables

        file = self._catalog_file
        aside = file.aside()
        with file.replacement(aside) as catalog:
            repaired = repair_tables(self._bound(catalog), file.hints(self.database))
        self._opened = None  # of the catalog that was there before
        kept = f"; it is kept as {aside}" if aside.exists() else ""
        return replace(repaired, catalog=f"{file.path} {found}{kept}")

    def execute(self, plan: IngestPlan | SequencePlan, *, force: bool = False, progress: Progress = no_progress) -> Publication:
        """Executes a plan, audits the finished files and publishes them; with force, all text is read again."""
        if force and isinstance(plan, IngestPlan):
            shutil.rmtree(self._text_cache(plan.spec).folder, ignore_errors=True)
        return super().execute(plan, force=force, progress=progress)

    def _text_cache(self, spec: ModelSpec) -> TextCache:
        return TextCache.of_home(self.home, spec.name, self.smallest_kept)

    def _find_source(self, plan: IngestPlan) -> SourceFiles:
        return find_files(plan.location, plan.folder, plan.spec.source.format)

    def sample_source(self, plan: IngestPlan, most_records: int) -> SourceSample:
        """Looks at the first records of the files."""
        return sample_files(plan.spec, self._find_source(plan), self.connect, most_records)

    def _count_histories(self, version: Version, subset: Subset) -> Histories:
        files = self.raw_files(version, subset)
        with self.reading(version):
            batches = read_batches(self.storage, files, ["_position"], BATCH_ROWS)
            return Histories.of_positions(batch.column(0).to_numpy() for batch in batches)

    def _label_counts(self, spec: ModelSpec, train: Sequence[str]) -> Mapping[str, pa.Table]:
        with self._engine(AUDIT_MEMORY_LIMIT) as engine:
            return label_counts(engine, spec, parquet(train))

    def _build_observations(
        self, plan: IngestPlan, source: Source, raw_folder: str, rejected_folder: str, progress: Progress
    ) -> BuiltObservations:
        """Reads the source once and sorts each subset once; the stage spills into a scratch folder."""
        assert isinstance(source, SourceFiles), "as it was found"
        with self._scratch() as scratch, Engine.open(self.connect, scratch, MEMORY_LIMIT, self.storage) as engine:
            with memory_explained(plan.spec):
                cache = self._text_cache(plan.spec)
                result = ingest(plan, source, self.storage, raw_folder, rejected_folder, scratch, cache, engine, progress)
            raw, rejected = list(result.raw.values()), [result.rejected]
            findings = raw_findings(engine, plan.spec, self.storage, raw, rejected, result.accounting)
        return BuiltObservations(
            raw={subset: [file] for subset, file in result.raw.items()},
            rejected=rejected,
            rejected_rows=result.rejected_rows,
            accounting=result.accounting,
            metrics=result.metrics,
            label_counts=result.label_counts,
            source=result.source,
            findings=findings,
        )

    def _audit_observations(self, spec: ModelSpec, raw: Version, rejected: Version) -> Sequence[Finding]:
        accounting = IngestAccounting(**raw.metadata["accounting"])
        with self._engine(AUDIT_MEMORY_LIMIT) as engine:
            return raw_findings(engine, spec, self.storage, raw.files, rejected.files, accounting)

    def _build_sequences(self, plan: SequencePlan, raw: Version, folder: str, progress: Progress) -> BuiltSequences:
        """One pass of the kernel over the raw files of the subset, in ranges."""
        vocabulary = self.vocabulary(raw) if plan.encoded else None
        writer = SequenceWriter(plan, vocabulary, self.storage, self.workers, self.rows_per_range)
        files, accounting = writer.write(self.raw_files(raw, plan.subset), folder, progress)
        return BuiltSequences(files, accounting, self._sequence_findings(plan, raw, files, accounting))

    def _audit_sequences(self, plan: SequencePlan, raw: Version, published: Version) -> Sequence[Finding]:
        accounting = SequenceAccounting(**published.metadata["accounting"])
        return self._sequence_findings(plan, raw, published.files, accounting)

    def _sequence_findings(
        self, plan: SequencePlan, raw: Version, files: Sequence[str], accounting: SequenceAccounting
    ) -> list[Finding]:
        spec = ModelSpec.model_validate(raw.metadata["model"])
        version = raw.metadata.get("vocabulary_version")
        vocabulary = () if version is None else self.find(Dataset.vocabulary(plan.model), version).files
        with self._engine(AUDIT_MEMORY_LIMIT) as engine:
            raw_files = self.raw_files(raw, plan.subset)
            return sequence_findings(engine, plan, spec, self.storage, raw_files, files, accounting, vocabulary, self.workers)
