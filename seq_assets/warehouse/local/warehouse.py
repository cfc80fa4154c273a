"""`LocalWarehouse`: the warehouse interface on DuckDB, the Arrow kernel, local files and an SQLite catalog."""

import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from seq_assets.errors import AuditError, NotPublishedError, SourceError
from seq_assets.models import ModelSpec, Subset
from seq_assets.sequencing.accounting import IngestAccounting, SequenceAccounting
from seq_assets.sequencing.advice import Histories
from seq_assets.sequencing.kernel import Kernel
from seq_assets.sequencing.plans import Dataset, IngestPlan, SequencePlan
from seq_assets.sequencing.schemas import REJECTED_SCHEMA, VOCABULARY_SCHEMA
from seq_assets.sequencing.vocabulary import next_vocabulary
from seq_assets.warehouse.interface import Finding, Progress, Publication, Version, Warehouse, no_progress
from seq_assets.warehouse.local.audit_raw import raw_findings
from seq_assets.warehouse.local.audit_sequences import sequence_findings
from seq_assets.warehouse.local.audit_vocabulary import vocabulary_findings
from seq_assets.warehouse.local.engine import BATCH_ROWS, MEMORY_LIMIT, Connect, Engine, connect_in_memory, parquet, quoted
from seq_assets.warehouse.local.files import read_batches, removed_on_failure, write_parquet
from seq_assets.warehouse.local.ingest import ingest
from seq_assets.warehouse.sources.location import find_files

if TYPE_CHECKING:
    from pyiceberg.catalog.sql import SqlCatalog

    from seq_assets.warehouse.tables import Content, Tables

AUDIT_MEMORY_LIMIT: Final = "512MiB"
"""Of the audit of sequences, so that sequencing as a whole stays under 1 GiB."""


@dataclass(eq=False)
class LocalWarehouse(Warehouse):
    """Tables below one folder.

    Attributes:
        home: The folder: `catalog.db`, `warehouse/<database>/<table>/`, `scratch/`.
        database: The tables' namespace.
        environment: Recorded in each table.
        connect: Opens DuckDB.
    """

    home: Path
    database: str = "seq_assets_local"
    environment: str = "local"
    connect: Connect = connect_in_memory
    _counted_histories: dict[tuple[int, Subset], Histories] = field(default_factory=dict, init=False, repr=False)

    @property
    def filesystem(self) -> pyarrow.fs.FileSystem:
        """The local file system."""
        return pyarrow.fs.LocalFileSystem()

    @cached_property
    def tables(self) -> "Tables":
        """The tables; makes the home and its catalog on first use."""
        from sqlalchemy.engine import URL

        from seq_assets.warehouse.tables import Tables

        self.home.mkdir(parents=True, exist_ok=True)
        # Seconds that a writer waits for another process' write, which takes milliseconds.
        url = URL.create("sqlite", database=str(self.home / "catalog.db"), query={"timeout": "60"})
        root = self.home / "warehouse" / self.database
        catalog = _open_catalog(
            self.environment,
            uri=url.render_as_string(hide_password=False),
            warehouse=str(root.parent),
            **{"py-io-impl": "seq_assets.warehouse.local.moved_home.MovedHomeFileIO"},
        )
        return Tables(catalog, self.database, self.environment, str(root))

    def datasets(self) -> list[Dataset]:
        """All tables that have a version, by name."""
        return [dataset for dataset in self.tables.datasets() if self.versions(dataset)]

    def versions(self, dataset: Dataset) -> list[Version]:
        """The versions of a table, newest first."""
        return self.tables.versions(dataset)

    def raw_files(self, version: Version, subset: Subset) -> tuple[str, ...]:
        """The files of one subset: the ingest writes one per subset, named after it."""
        return tuple(file for file in version.files if Path(file).stem == subset)

    def source_fingerprint(self, plan: IngestPlan) -> str:
        """A hash of all files' names, sizes and times of modification."""
        return find_files(plan.location, plan.folder, plan.spec.source.format).fingerprint

    def histories(self, version: Version, subset: Subset) -> Histories:
        """How long the histories of one subset are, from their last positions; counted once, as a version never changes."""
        key = version.id, subset
        if key not in self._counted_histories:
            self._counted_histories[key] = self._count_histories(version, subset)
        return self._counted_histories[key]

    def _count_histories(self, version: Version, subset: Subset) -> Histories:
        entity = quoted(version.metadata["model"]["entity"])
        rows = parquet(self.raw_files(version, subset))
        lengths = f"SELECT max(_position) + 1 AS items FROM {rows} GROUP BY {entity}"
        with self._scratch() as scratch, Engine.open(self.connect, scratch, AUDIT_MEMORY_LIMIT) as engine:
            return Histories.of(engine.rows(f"SELECT items, count(*) FROM ({lengths}) GROUP BY 1"))

    def execute(self, plan: IngestPlan | SequencePlan, *, force: bool = False, progress: Progress = no_progress) -> Publication:
        """Executes a plan, audits the finished files and publishes them."""
        if isinstance(plan, IngestPlan):
            return self._ingest(plan, force, progress)
        return self._sequence(plan, force, progress)

    def inspect(self, published: Version) -> list[Finding]:
        """Verifies the blocking conditions on a published version, from its files."""
        metadata = published.metadata
        with self._scratch() as scratch, Engine.open(self.connect, scratch, AUDIT_MEMORY_LIMIT) as engine:
            if published.dataset.kind == "raw_observations":
                return self._inspect_raw(engine, published)
            plan = SequencePlan.from_json(metadata["plan"])
            raw = self.find(Dataset.raw(plan.model), plan.raw_version)
            return sequence_findings(
                engine,
                plan,
                ModelSpec.model_validate(raw.metadata["model"]),
                self.raw_files(raw, plan.subset),
                published.files,
                SequenceAccounting(**metadata["accounting"]),
                self._vocabulary_files(raw),
            )

    def _inspect_raw(self, engine: Engine, published: Version) -> list[Finding]:
        metadata, model = published.metadata, published.dataset.model
        rejected = self.find(Dataset.rejected(model), metadata["rejected_version"])
        spec = ModelSpec.model_validate(metadata["model"])
        accounting = IngestAccounting(**metadata["accounting"])
        findings = raw_findings(engine, spec, published.files, rejected.files, accounting)
        vocabulary = self._vocabulary_files(published)
        if not vocabulary:
            return findings
        versions = self.versions(Dataset.vocabulary(model))
        older = [other.files for other in versions if other.id != metadata["vocabulary_version"]]
        later = [version.id for version in versions].index(metadata["vocabulary_version"])
        previous = older[later] if later < len(older) else ()
        train = self.raw_files(published, "train")
        return _joined(findings, vocabulary_findings(engine, spec, train, vocabulary, previous))

    def _ingest(self, plan: IngestPlan, force: bool, progress: Progress) -> Publication:
        started = time.monotonic()
        spec = plan.spec
        source = find_files(plan.location, plan.folder, spec.source.format)
        identity = f"{plan.identity}:{source.fingerprint}"
        previous = self._newest(plan.dataset)
        if _stands(previous, identity) and not force:
            return Publication(previous, previous, unchanged=True, seconds=time.monotonic() - started)
        raw_folder, rejected_folder = self._new_folder(plan.dataset), self._new_folder(Dataset.rejected(spec.name))
        with (
            removed_on_failure(raw_folder, rejected_folder),
            self._scratch() as scratch,
            Engine.open(self.connect, scratch, MEMORY_LIMIT) as engine,
        ):
            result = ingest(plan, source, raw_folder, rejected_folder, scratch, engine, progress)
            if self.source_fingerprint(plan) != source.fingerprint:
                raise SourceError(f"The source {plan.location!r} changed while it was read; run it again when it is at rest.")
            raw_files, rejected_files = [str(path) for path in result.raw], [str(result.rejected)]
            findings = raw_findings(engine, spec, raw_files, rejected_files, result.accounting)
            _require(findings, plan.dataset)
        metadata: dict[str, Any] = {
            "identity": identity,
            "source": plan.location,
            "source_fingerprint": source.fingerprint,
            "model_digest": spec.digest(),
            "program": version("seq-assets"),
        }
        with removed_on_failure(raw_folder, rejected_folder):
            vocabulary = self._publish_vocabulary(spec, result.label_counts, raw_files[0], metadata)
        rejected = self.tables.publish(
            Dataset.rejected(spec.name), REJECTED_SCHEMA, rejected_files, result.rejected_rows, metadata
        )
        metadata |= {
            "model": spec.model_dump(mode="json", by_alias=True),
            "rejected_version": rejected.id,
            "vocabulary_version": vocabulary.id if vocabulary else None,
            "accounting": asdict(result.accounting),
            "metrics": result.metrics,
            "ignored_columns": result.ignored,
            "seconds": time.monotonic() - started,
        }
        published = self.tables.publish(plan.dataset, plan.schema, raw_files, result.accounting.accepted, metadata)
        return Publication(published, previous, unchanged=False, seconds=time.monotonic() - started)

    def _publish_vocabulary(
        self, spec: ModelSpec, label_counts: Mapping[str, pa.Table], train: str, metadata: Mapping[str, Any]
    ) -> Version | None:
        """Publishes the successor of the newest vocabulary; None where the model has no encoded feature."""
        if not spec.encoded:
            return None
        dataset = Dataset.vocabulary(spec.name)

        def build(previous: Version | None) -> "Content":
            before = previous.files if previous else ()
            table = next_vocabulary(pq.read_table(before[0]) if before else None, label_counts)
            folder = self._new_folder(dataset)
            file = folder / "vocabulary.parquet"
            with (
                removed_on_failure(folder),
                self._scratch() as scratch,
                Engine.open(self.connect, scratch, AUDIT_MEMORY_LIMIT) as engine,
            ):
                rows = write_parquet(file, VOCABULARY_SCHEMA.stored(), table.to_batches(), no_progress, "write vocabulary")
                _require(vocabulary_findings(engine, spec, [train], [str(file)], before), dataset)
            return [str(file)], rows

        return self.tables.publish_successor(dataset, VOCABULARY_SCHEMA, build, metadata)

    def _vocabulary_files(self, raw: Version) -> tuple[str, ...]:
        """The files of the vocabulary that a raw version was published with; none where its model had none."""
        version = raw.metadata.get("vocabulary_version")
        return () if version is None else self.find(Dataset.vocabulary(raw.dataset.model), version).files

    def _sequence(self, plan: SequencePlan, force: bool, progress: Progress) -> Publication:
        started = time.monotonic()
        raw = self.find(Dataset.raw(plan.model), plan.raw_version)
        previous = self._newest(plan.dataset)
        if _stands(previous, plan.identity) and not force:
            return Publication(previous, previous, unchanged=True, seconds=time.monotonic() - started)
        _require_columns(plan, raw)
        raw_files = self.raw_files(raw, plan.subset)
        vocabulary = self.vocabulary(raw) if plan.encoded else None
        folder = self._new_folder(plan.dataset)
        file = folder / f"{plan.subset}.parquet"
        kernel = Kernel(plan, vocabulary)
        with removed_on_failure(folder):
            rows = write_parquet(
                file,
                plan.schema.stored(),
                kernel.batches(read_batches(raw_files, kernel.input_columns, BATCH_ROWS)),
                progress,
                f"sequence {plan.dataset.table}",
                plan.sequence_length,
            )
            with self._scratch() as scratch, Engine.open(self.connect, scratch, AUDIT_MEMORY_LIMIT) as engine:
                spec = ModelSpec.model_validate(raw.metadata["model"])
                findings = sequence_findings(
                    engine, plan, spec, raw_files, [str(file)], kernel.accounting, self._vocabulary_files(raw)
                )
            _require(findings, plan.dataset)
        metadata = {
            "identity": plan.identity,
            "source_fingerprint": raw.metadata["source_fingerprint"],
            "model_digest": raw.metadata["model_digest"],
            "raw_version": raw.id,
            "vocabulary_version": raw.metadata["vocabulary_version"] if plan.encoded else None,
            "plan": plan.to_json(),
            "accounting": asdict(kernel.accounting),
            "program": version("seq-assets"),
            "seconds": time.monotonic() - started,
        }
        published = self.tables.publish(plan.dataset, plan.schema, [str(file)], rows, metadata)
        return Publication(published, previous, unchanged=False, seconds=time.monotonic() - started)

    def _newest(self, dataset: Dataset) -> Version | None:
        return next(iter(self.versions(dataset)), None)

    def _new_folder(self, dataset: Dataset) -> Path:
        """A folder for the files of one run, so that no two runs ever write the same name."""
        return Path(self.tables.location(dataset)) / "data" / uuid.uuid4().hex

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        folder = self.home / "scratch" / uuid.uuid4().hex
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _open_catalog(name: str, **properties: str) -> "SqlCatalog":
    """The catalog. It makes its two tables where they are missing; another process may be making each at the same moment."""
    from pyiceberg.catalog.sql import SqlCatalog
    from sqlalchemy.exc import OperationalError

    for _ in range(2):
        with suppress(OperationalError):
            return SqlCatalog(name, **properties)
    return SqlCatalog(name, **properties)


def _stands(previous: Version | None, identity: str) -> TypeGuard[Version]:
    """Whether a version has the content that a plan with this identity would make."""
    return previous is not None and previous.metadata["identity"] == identity


def _joined(findings: Sequence[Finding], others: Sequence[Finding]) -> list[Finding]:
    """Findings, each with what others of the same check say."""
    problems = {other.check: other.problems for other in others}
    return [replace(finding, problems=finding.problems + problems.get(finding.check, ())) for finding in findings]


def _require_columns(plan: SequencePlan, raw: Version) -> None:
    """Refuses to sequence raw observations that were made from a model file that said otherwise.

    Raises:
        NotPublishedError: With what differs.
    """
    mismatches = plan.mismatches(raw.schema)
    made = ModelSpec.model_validate(raw.metadata["model"])
    if made.entity != plan.entity[0]:
        mismatches.append(f"entity: found {made.entity}, the model file says {plan.entity[0]}")
    for feature in plan.features:
        if feature.encoded and (feature.name not in made.encoded or made.fill_value(feature.name) != feature.fill_value):
            mismatches.append(f"{feature.name}: found no vocabulary with the fill_null that the model file says")
    if mismatches:
        raise NotPublishedError(
            f"{raw.dataset.table}, version {raw.id}, was made from another model file ({'; '.join(mismatches)}); materialize "
            "raw_observations first."
        )


def _require(findings: Sequence[Finding], dataset: Dataset) -> None:
    """Refuses to publish what breaks a blocking condition.

    Raises:
        AuditError: With all problems.
    """
    problems = [f"{finding.check}: {problem}" for finding in findings for problem in finding.problems]
    if problems:
        raise AuditError("\n".join([f"{dataset.table} was not published, because its audit failed:", *problems]))
