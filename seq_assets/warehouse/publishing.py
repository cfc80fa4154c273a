"""From a plan to a published version, the same in every warehouse: build, audit, publish in one commit.

Belongs here: the order of things, what stands unchanged, what a version remembers. Not here: how files are made and verified
(each warehouse), or how a commit is done (`storage.iceberg_tables`).
"""

import logging
import os
import shutil
import time
import uuid
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeGuard

import pyarrow as pa
import pyarrow.parquet as pq

from seq_assets.errors import AuditError, InputError, NotPublishedError, SeqAssetsError, SourceError
from seq_assets.models import ModelSpec, Subset
from seq_assets.sequencing.accounting import IngestAccounting, SequenceAccounting
from seq_assets.sequencing.advice import Histories
from seq_assets.sequencing.plans import Dataset, IngestPlan, SequencePlan
from seq_assets.sequencing.schemas import REJECTED_SCHEMA, VOCABULARY_SCHEMA
from seq_assets.sequencing.vocabulary import next_vocabulary
from seq_assets.warehouse.cancellation import raise_if_canceled, tidying
from seq_assets.warehouse.engine import Connect, Engine, connect_in_memory
from seq_assets.warehouse.host_faults import explained
from seq_assets.warehouse.interface import (
    TAG_NAME,
    ExpiredVersion,
    Finding,
    Garbage,
    Progress,
    Publication,
    Repair,
    Version,
    Warehouse,
    no_progress,
    said_of_lost,
)
from seq_assets.warehouse.rules.audit_vocabulary import vocabulary_findings
from seq_assets.warehouse.storage.leases import lease
from seq_assets.warehouse.storage.owned_folders import folders_of_the_dead, own_folder
from seq_assets.warehouse.storage.parquet_files import write_parquet
from seq_assets.warehouse.storage.storage import Failure, S3Storage, Storage
from seq_assets.warehouse.vocabularies import Vocabularies

if TYPE_CHECKING:
    import duckdb

    from seq_assets.warehouse.retention import Retention
    from seq_assets.warehouse.storage.iceberg_tables import Content, Tables
    from seq_assets.warehouse.storage.leftovers import Leftover

logger = logging.getLogger(__name__)

AUDIT_MEMORY_LIMIT: Final = "512MiB"
"""DuckDB's own in audits, so that sequencing as a whole stays under 1 GiB."""
_RUNS: Final = "/data/"
"""Between a table's location and the folders of its runs."""


class Source(Protocol):
    """What an ingest reads, as it was found."""

    @property
    def fingerprint(self) -> str:
        """Another one means that the source may have changed."""

    @property
    def size(self) -> int | None:
        """The bytes of its files; None of a table."""


@dataclass(frozen=True)
class BuiltObservations:
    """Finished files of one ingest that are not yet published.

    Attributes:
        raw: Files of accepted observations: of train, then of validation.
        rejected: Files of rejected observations.
        rejected_rows: Their rows: one per rejected record and failed column.
        accounting: Where every record went.
        metrics: Of each column, over accepted rows.
        label_counts: Of each encoded feature, how often accepted train observations have each value: `value`, `count`.
        source: What a version remembers of its source: `ignored_columns`, `records_over_lines`.
        findings: What the blocking conditions say of the files.
        details: What else the version remembers.
    """

    raw: Mapping[Subset, Sequence[str]]
    rejected: Sequence[str]
    rejected_rows: int
    accounting: IngestAccounting
    metrics: Mapping[str, Mapping[str, Any]]
    label_counts: Mapping[str, pa.Table]
    source: Mapping[str, Any]
    findings: Sequence[Finding]
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BuiltSequences:
    """Finished files of one sequence plan that are not yet published.

    Attributes:
        files: In the order of the rows, where there is one.
        accounting: Where every observation went.
        findings: What the blocking conditions say of the files.
        details: What else the version remembers.
    """

    files: Sequence[str]
    accounting: SequenceAccounting
    findings: Sequence[Finding]
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class PublishingWarehouse(Warehouse):
    """A warehouse whose versions are Iceberg snapshots; a subclass says how files are made and verified.

    Attributes:
        home: The local root: `scratch/` is below it.
        connect: Opens DuckDB.
    """

    home: Path
    connect: Connect = field(default=connect_in_memory, kw_only=True)
    _looked_up: dict[Dataset, list[Version]] | None = field(default=None, init=False, repr=False)
    _resting: ExitStack = field(default_factory=ExitStack, init=False, repr=False)
    _counted_histories: dict[tuple[int, Subset], Histories] = field(default_factory=dict, init=False, repr=False)
    _opened: "tuple[int, Tables] | None" = field(default=None, init=False, repr=False)

    @property
    @abstractmethod
    def storage(self) -> Storage:
        """Where the tables keep their files."""

    @abstractmethod
    def _open_tables(self) -> "Tables":
        """The tables, with connections of their own."""

    @property
    def tables(self) -> "Tables":
        """The tables; opened on first use, and again in a process that was forked: connections are one process' own."""
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), self._open_tables()
        return self._opened[1]

    def __reduce__(self) -> tuple[Any, ...]:
        """What it was made with: in another process, it opens everything anew."""
        made_with = {each.name: getattr(self, each.name) for each in fields(self) if each.init}
        return _made_with, (type(self), made_with)

    @abstractmethod
    def _find_source(self, plan: IngestPlan) -> Source:
        """What the plan reads; its content is not read."""

    @abstractmethod
    def _build_observations(
        self, plan: IngestPlan, source: Source, raw_folder: str, rejected_folder: str, progress: Progress
    ) -> BuiltObservations:
        """Executes an ingest plan: finished and audited files in the two folders."""

    @abstractmethod
    def _build_sequences(self, plan: SequencePlan, raw: Version, folder: str, progress: Progress) -> BuiltSequences:
        """Executes a sequence plan on a version of raw observations: finished and audited files in the folder."""

    @abstractmethod
    def _audit_observations(self, spec: ModelSpec, raw: Version, rejected: Version) -> Sequence[Finding]:
        """What the blocking conditions say of published raw observations."""

    @abstractmethod
    def _audit_sequences(self, plan: SequencePlan, raw: Version, published: Version) -> Sequence[Finding]:
        """What the blocking conditions say of published sequences."""

    @abstractmethod
    def _label_counts(self, spec: ModelSpec, train: Sequence[str]) -> Mapping[str, pa.Table]:
        """Of each encoded feature, how often the finished files of train observations have each value: `value`, `count`."""

    @abstractmethod
    def _count_histories(self, version: Version, subset: Subset) -> Histories:
        """How long the histories of one subset of a version of raw observations are."""

    def datasets(self) -> list[Dataset]:
        """All tables that have a version, by name."""
        with self._host_explained():
            found = self.tables.datasets()
        return [dataset for dataset in found if self.versions(dataset)]

    def versions(self, dataset: Dataset) -> list[Version]:
        """The versions of a table, newest first."""
        with self._host_explained():
            if self._looked_up is None:
                return self.tables.versions(dataset)
            if dataset not in self._looked_up:
                if not self._looked_up:
                    # Not before somebody asks: what cannot be reached is to be that question's error.
                    self._resting.enter_context(self.tables.at_rest())
                self._looked_up[dataset] = self.tables.versions(dataset)
            return list(self._looked_up[dataset])

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Within it, the versions of each table are looked up once."""
        self._looked_up = {}
        try:
            with self._resting:
                yield
        finally:
            self._looked_up = None

    def repair(self) -> Repair:
        """Mends the damaged tables of the database."""
        from seq_assets.warehouse.storage.repair import repair_tables

        return repair_tables(self.tables)

    def tag(self, versions: Sequence[Version], name: str, *, move: bool = False) -> None:
        """Gives versions a name, as a tag of Iceberg."""
        if TAG_NAME.fullmatch(name) is None:
            raise InputError(
                f"{name!r} cannot be a version's name; allowed: a to z first, then a to z, 0 to 9 and _ . -, not main."
            )
        with self._host_explained(), lease(self.storage):
            if not move:
                for version in versions:
                    self.tables.require_free(version, name)
            for version in versions:
                self.tables.tag(version, name)

    def untag(self, dataset: Dataset, name: str) -> bool:
        """Takes a name away."""
        with self._host_explained(), lease(self.storage):
            return self.tables.untag(dataset, name)

    def expired(self, dataset: Dataset) -> list[ExpiredVersion]:
        """Versions of a table that were removed, the last one first."""
        with self._host_explained():
            return self.tables.expired(dataset)

    def collect_garbage(self, retention: "Retention", *, dry_run: bool = False) -> Garbage:
        """Removes what nobody needs any more."""
        from seq_assets.warehouse.storage.garbage import GarbageCollection

        with self._host_explained():
            leftovers = partial(self._leftovers, retention.now)
            return GarbageCollection(self.tables, self.storage, leftovers, retention, dry_run).run()

    def _leftovers(self, now: datetime, written_before: datetime) -> "Iterator[Leftover]":
        """What lies beside the tables, was written before a time, and nobody works on."""
        from seq_assets.warehouse.storage.leftovers import of_home, of_storage, unfinished_uploads

        yield from of_home(self.home, written_before, now)
        yield from of_storage(self.storage, written_before)
        if isinstance(self.storage, S3Storage):
            yield from unfinished_uploads(self.storage, written_before)

    def raw_files(self, version: Version, subset: Subset) -> tuple[str, ...]:
        """The files of one subset: in the folder of their run, they, or the folder that they are below, are named after it."""
        return tuple(file for file in version.files if _place_in_run(file).stem == subset)

    def open_input(self, file: str) -> pa.NativeFile:
        """A file of a version, open for reading."""
        return self.storage.open_input(file)

    def lost_files(self, version: Version) -> list[str]:
        """What is wrong with files of a version, from a listing."""
        found = self.storage.sizes(version.parts)
        return [
            f"{file!r} is not there" if file not in found else f"{file!r} has {found[file]:,} bytes in place of {_bytes(size)}"
            for file, size in version.parts.items()
            if not _is_whole(found.get(file), size)
        ]

    def page(self, version: Version) -> str | None:
        """The text that is kept beside the table's files; no snapshot names it, so that no engine takes it for one of them."""
        content = self.storage.read(self._page_location(version))
        return None if content is None else content.decode(errors="replace")

    def keep_page(self, version: Version, text: str) -> None:
        """Keeps a text beside the table's files."""
        self.storage.replace(self._page_location(version), text.encode())

    def _page_location(self, version: Version) -> str:
        return f"{self.tables.location(version.dataset)}/pages/{version.id}.json"

    def register(self, connection: "duckdb.DuckDBPyConnection") -> Failure:
        """Makes the files of versions readable for a DuckDB connection."""
        return self.storage.register(connection)

    def source_fingerprint(self, plan: IngestPlan) -> str:
        """What the source looks like now, from its listing."""
        return self._find_source(plan).fingerprint

    def source_bytes(self, plan: IngestPlan) -> int | None:
        """The bytes of the source's files."""
        return self._find_source(plan).size

    def histories(self, version: Version, subset: Subset) -> Histories:
        """How long the histories of one subset are; counted once, as a version never changes."""
        key = version.id, subset
        if key not in self._counted_histories:
            self._counted_histories[key] = self._count_histories(version, subset)
        return self._counted_histories[key]

    def execute(self, plan: IngestPlan | SequencePlan, *, force: bool = False, progress: Progress = no_progress) -> Publication:
        """Executes a plan, audits the finished files and publishes them."""
        raise_if_canceled()
        with self._host_explained():
            if isinstance(plan, IngestPlan):
                return self._ingest(plan, force, progress)
            return self._sequence(plan, force, progress)

    def stands(self, plan: IngestPlan | SequencePlan) -> bool:
        """Whether the newest version has the identity that the plan's result would have."""
        identity = _identity(plan, self._find_source(plan)) if isinstance(plan, IngestPlan) else plan.identity
        newest = self._newest(plan.dataset)
        return _stands(newest, identity) and not self.lost_with(newest)

    def inspect(self, published: Version) -> list[Finding]:
        """Verifies the blocking conditions on a published version, from its files."""
        raise_if_canceled()
        metadata = published.metadata
        if published.dataset.kind == "raw_observations":
            return self._inspect_raw(published)
        plan = SequencePlan.from_json(metadata["plan"])
        raw = self.find(Dataset.raw(plan.model), plan.raw_version)
        with self.reading(raw), self.reading(published):
            return list(self._audit_sequences(plan, raw, published))

    def _inspect_raw(self, published: Version) -> list[Finding]:
        metadata, model = published.metadata, published.dataset.model
        rejected = self.find(Dataset.rejected(model), metadata["rejected_version"])
        spec = ModelSpec.model_validate(metadata["model"])
        with self.reading(rejected), self.reading(published):
            findings = list(self._audit_observations(spec, published, rejected))
        vocabulary = self.vocabulary(published)
        if vocabulary is None:
            return findings
        before = Vocabularies(self, self._label_counts).before(published)
        counts = self._label_counts(spec, self.raw_files(published, "train"))
        with self._engine(AUDIT_MEMORY_LIMIT) as engine:
            found = vocabulary_findings(engine, counts, vocabulary, before.table, before.ids_from, spec.min_counts)
        return _joined(findings, found)

    def _ingest(self, plan: IngestPlan, force: bool, progress: Progress) -> Publication:
        started = time.monotonic()
        source = self._find_source(plan)
        identity = _identity(plan, source)
        previous = self._predecessor(plan.dataset)
        lost = self.lost_with(previous) if previous else []
        if _stands(previous, identity) and not force and not lost:
            return Publication(previous, previous, unchanged=True, seconds=time.monotonic() - started)
        with lease(self.storage):
            published = self._ingest_anew(plan, source, _because(previous, lost), force, started, progress)
        return Publication(published, previous, unchanged=False, seconds=time.monotonic() - started)

    def _ingest_anew(
        self, plan: IngestPlan, source: Source, because: Mapping[str, str], force: bool, started: float, progress: Progress
    ) -> Version:
        spec = plan.spec
        for dataset in (Dataset.rejected(spec.name), *([Dataset.vocabulary(spec.name)] if spec.encoded else [])):
            self.tables.require_ours(dataset)
        raw_folder, rejected_folder = self._new_folder(plan.dataset), self._new_folder(Dataset.rejected(spec.name))
        metadata: dict[str, Any] = {
            "identity": _identity(plan, source),
            "source": plan.location,
            "source_fingerprint": source.fingerprint,
            "model_digest": spec.digest(),
            "program": version("seq-assets"),
            **because,
        }
        with self._removed_on_failure(raw_folder, rejected_folder):
            built = self._build_observations(plan, source, raw_folder, rejected_folder, progress)
            if self.source_fingerprint(plan) != source.fingerprint:
                raise SourceError(f"The source {plan.location!r} changed while it was read; run it again when it is at rest.")
            _require(built.findings, plan.dataset)
            vocabulary = self._publish_vocabulary(spec, built, metadata, force)
        rejected = self.tables.publish(
            Dataset.rejected(spec.name), REJECTED_SCHEMA, built.rejected, built.rejected_rows, metadata | dict(built.details)
        )
        metadata |= {
            "model": spec.model_dump(mode="json", by_alias=True),
            "rejected_version": rejected.id,
            "vocabulary_version": vocabulary.id if vocabulary else None,
            "lost_ids": vocabulary.metadata.get("lost_ids") if vocabulary else None,
            "accounting": asdict(built.accounting),
            "metrics": built.metrics,
            **built.source,
            "audit": _compared(built.findings),
            **built.details,
            "seconds": time.monotonic() - started,
        }
        files = [*built.raw["train"], *built.raw["validation"]]
        return self.tables.publish(plan.dataset, plan.schema, files, built.accounting.accepted, metadata)

    def _publish_vocabulary(
        self, spec: ModelSpec, built: BuiltObservations, metadata: Mapping[str, Any], force: bool
    ) -> Version | None:
        """Publishes the successor of the newest vocabulary; None where the model has no encoded feature."""
        if not spec.encoded:
            return None
        dataset = Dataset.vocabulary(spec.name)
        counts = self._label_counts(spec, built.raw["train"])
        remembered = dict(metadata)
        vocabularies = Vocabularies(self, self._label_counts, {metadata["identity"]: built.label_counts})

        def build(previous: Version | None) -> "Content":
            known = vocabularies.to_continue(previous, may_lose=force)
            before = known.table
            table = next_vocabulary(before, built.label_counts, known.ids_from, spec.min_counts)
            remembered.update(known.remembered())
            folder = self._new_folder(dataset)
            file = f"{folder}/vocabulary.parquet"
            with self._removed_on_failure(folder):
                batches = table.to_batches()
                schema = VOCABULARY_SCHEMA.stored()
                rows = write_parquet(self.storage, file, schema, batches, no_progress, "write vocabulary")
                with self._engine(AUDIT_MEMORY_LIMIT) as engine:
                    written = self._read_unpublished(file)
                    _require(vocabulary_findings(engine, counts, written, before, known.ids_from, spec.min_counts), dataset)
            return [file], rows

        return self.tables.publish_successor(dataset, VOCABULARY_SCHEMA, build, remembered)

    def _sequence(self, plan: SequencePlan, force: bool, progress: Progress) -> Publication:
        started = time.monotonic()
        previous = self._predecessor(plan.dataset)
        lost = self.lost_with(previous) if previous else []
        if _stands(previous, plan.identity) and not force and not lost:
            return Publication(previous, previous, unchanged=True, seconds=time.monotonic() - started)
        with lease(self.storage):
            published = self._sequence_anew(plan, _because(previous, lost), started, progress)
        return Publication(published, previous, unchanged=False, seconds=time.monotonic() - started)

    def _sequence_anew(self, plan: SequencePlan, because: Mapping[str, str], started: float, progress: Progress) -> Version:
        raw = self.find(Dataset.raw(plan.model), plan.raw_version)
        _require_columns(plan, raw)
        self.require_whole(raw)
        folder = self._new_folder(plan.dataset)
        with self._removed_on_failure(folder):
            built = self._build_sequences(plan, raw, folder, progress)
            _require(built.findings, plan.dataset)
        metadata = {
            "identity": plan.identity,
            "source_fingerprint": raw.metadata["source_fingerprint"],
            "model_digest": raw.metadata["model_digest"],
            "raw_version": raw.id,
            "vocabulary_version": raw.metadata["vocabulary_version"] if plan.encoded else None,
            "plan": plan.to_json(),
            "accounting": asdict(built.accounting),
            "audit": _compared(built.findings),
            "program": version("seq-assets"),
            **because,
            **built.details,
            "seconds": time.monotonic() - started,
        }
        return self.tables.publish(plan.dataset, plan.schema, built.files, built.accounting.sequences, metadata)

    def _predecessor(self, dataset: Dataset) -> Version | None:
        """The newest version, which the next publication replaces; a table that cannot be published to is refused."""
        return next(iter(self.tables.versions_to_replace(dataset)), None)

    def _host_explained(self) -> AbstractContextManager[None]:
        """Within it, what this machine refuses becomes an error for the user."""
        return explained(self.home, "set SEQ_ASSETS_HOME to another folder", self.home / "catalog.db")

    def _newest(self, dataset: Dataset) -> Version | None:
        return next(iter(self.versions(dataset)), None)

    def _read_unpublished(self, file: str) -> pa.Table:
        with self.open_input(file) as opened:
            return pq.ParquetFile(opened).read()

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A folder that is gone afterwards; those of processes that are known to be dead are gone, too."""
        root = self.home / "scratch"
        for left in folders_of_the_dead(root):
            shutil.rmtree(left, ignore_errors=True)
        with own_folder(root) as folder:
            yield folder

    @contextmanager
    def _engine(self, memory_limit: str) -> Iterator[Engine]:
        """DuckDB, spilling into a folder of its own."""
        with self._scratch() as scratch, Engine.open(self.connect, scratch, memory_limit, self.storage) as engine:
            yield engine

    def _new_folder(self, dataset: Dataset) -> str:
        """A folder for the files of one run, so that no two runs ever write the same name."""
        return f"{self.tables.location(dataset)}{_RUNS}{uuid.uuid4().hex}"

    @contextmanager
    def _removed_on_failure(self, *folders: str) -> Iterator[None]:
        """Removes folders if what happens inside fails. What is published must not happen inside."""
        try:
            yield
        except BaseException:
            for folder in folders:
                self._give_up(folder)
            raise

    def _give_up(self, folder: str) -> None:
        """Removes a folder as well as it can be: what made us give it up is what must be told."""
        try:
            with tidying():
                self.storage.remove(folder)
        except SeqAssetsError as error:
            logger.warning("%s is left for gc: %s", folder, error)


def _place_in_run(file: str) -> PurePosixPath:
    """What is directly in the folder of the run that made a file: the file, or a folder above it."""
    _, _, below = file.rpartition(_RUNS)
    return PurePosixPath(PurePosixPath(below).parts[1])


def _made_with(kind: type[PublishingWarehouse], made_with: Mapping[str, Any]) -> PublishingWarehouse:
    return kind(**made_with)


def _identity(plan: IngestPlan, source: Source) -> str:
    """What decides the content of raw observations: the plan, and its source as it is now."""
    return f"{plan.identity}:{source.fingerprint}"


def _stands(previous: Version | None, identity: str) -> TypeGuard[Version]:
    """Whether a version has the content that a plan with this identity would make."""
    return previous is not None and previous.metadata["identity"] == identity


def _is_whole(found: int | None, size: int | None) -> bool:
    return found == size if size is not None else bool(found)


def _bytes(size: int | None) -> str:
    return "more" if size is None else f"{size:,}"


def _because(previous: Version | None, lost: Sequence[str]) -> dict[str, str]:
    """What a version remembers of why it was built, where files of the one before were lost."""
    return {"rebuilt_because": f"of version {previous.id}, {said_of_lost(lost)}"} if previous and lost else {}


def _joined(findings: Sequence[Finding], others: Sequence[Finding]) -> list[Finding]:
    """Findings, each with what others of the same check say."""
    problems = {other.check: other.problems for other in others}
    return [replace(finding, problems=finding.problems + problems.get(finding.check, ())) for finding in findings]


def _compared(findings: Sequence[Finding]) -> dict[str, dict[str, Any]]:
    return {finding.check: dict(finding.numbers) for finding in findings}


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
        if feature.derivation and feature.derivation.column not in made.order_by[:1]:
            found = f"histories in the order of {', '.join(made.order_by) or 'the source'}"
            mismatches.append(f"{feature.name}: found {found}, the model file says {feature.derivation.column}")
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
