"""What every warehouse can do, and the values that go in and out. No implementation belongs here."""

import json
import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from seq_assets.errors import LostFilesError, NotPublishedError, SeqAssetsError
from seq_assets.models import Subset
from seq_assets.sequencing.accounting import IngestAccounting
from seq_assets.sequencing.advice import Histories
from seq_assets.sequencing.plans import Dataset, IngestPlan, SequencePlan
from seq_assets.sequencing.schemas import TableSchema

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from seq_assets.warehouse.retention import Retention
    from seq_assets.warehouse.storage.storage import Failure


@dataclass(frozen=True)
class Version:
    """One immutable published state of a table.

    Attributes:
        dataset: The table.
        id: Its Iceberg snapshot id.
        committed_at: When it was published, UTC.
        rows: Its rows.
        schema: The columns that it was published with.
        files: Paths of its Parquet files, in the order of its rows where it is ordered; none where it has no row.
        metadata: What it was made from and what was measured: `identity`, `source_fingerprint`, `model` (the model file's
            content), `model_digest`, `raw_version`, `rejected_version`, `vocabulary_version`, `accounting`, `metrics`,
            `ignored_columns`, `records_over_lines`, `audit` (by blocking condition, what was compared), `seconds`, `program`,
            and where files of the version before were lost, `rebuilt_because`, or `lost_ids`.
        parts: All files without which it cannot be read, Iceberg's own included, and their bytes; None where nobody has
            recorded them.
        tags: Names that people have given it, by which it is found and kept; they may change.
    """

    dataset: Dataset
    id: int
    committed_at: datetime
    rows: int
    schema: TableSchema
    files: tuple[str, ...]
    metadata: Mapping[str, Any]
    parts: Mapping[str, int | None] = field(default_factory=dict, repr=False)
    tags: tuple[str, ...] = field(default=(), compare=False)

    @property
    def is_ordered(self) -> bool:
        """Whether its files hold the rows in the table's order; else a reader sorts them."""
        return bool(self.metadata.get("ordered", True))

    @property
    def raw_version(self) -> int | None:
        """The version of the raw observations that it was made from; None for raw observations themselves."""
        value = self.metadata.get("raw_version")
        return None if value is None else int(value)

    @property
    def why_rebuilt(self) -> str:
        """That files of the version before were lost, and which ids were lost with them, in brackets; else nothing."""
        reasons = [("built anew, because ", "rebuilt_because"), ("with new ids, because ", "lost_ids")]
        return "".join(f" ({words}{self.metadata[name]})" for words, name in reasons if name in self.metadata)

    @property
    def findings(self) -> "list[Finding]":
        """What its audit said before it was published, which is that every condition holds."""
        return [Finding(check, (), numbers) for check, numbers in self.metadata["audit"].items()]


@dataclass(frozen=True)
class RawObservations:
    """A lazy handle of raw observations: which version stands, by model; a model without one is absent. Nothing is read."""

    versions: Mapping[str, Version]


@dataclass(frozen=True)
class Finding:
    """What one blocking condition says about a table.

    Attributes:
        check: `contract`, `nothing_lost`, `no_leakage` or `well_formed`.
        problems: What is wrong, a sentence each; empty where the condition holds.
        numbers: What was compared, for metadata.
    """

    check: str
    problems: tuple[str, ...]
    numbers: Mapping[str, int | float | str]

    @property
    def passed(self) -> bool:
        """Whether the condition holds."""
        return not self.problems


@dataclass(frozen=True)
class SourceSample:
    """What a look at a model's source found: its columns, and what the contract says of its first records.

    Attributes:
        described: What is there, for people: `2 files (csv)`.
        ignored: Its columns that the contract does not read, as far as they were seen.
        absent: Columns of the contract that may be null and were not seen, so that they would be null everywhere.
        accounting: Where each record of the sample went; None where no record was read.
        rejected: The first rejected records, a line each.
        problem: What is above the model's maximum, with the remedies; None where nothing is.
    """

    described: str
    ignored: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    accounting: IngestAccounting | None = None
    rejected: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class Publication:
    """The outcome of a plan.

    Attributes:
        version: The version that stands now.
        previous: The version before it; None for the first one.
        unchanged: Whether the version stood already, because nothing that decides it has changed.
        seconds: How long it took.
    """

    version: Version
    previous: Version | None
    unchanged: bool
    seconds: float


@dataclass(frozen=True)
class TableRepair:
    """What was found of a damaged table, and what was done.

    Attributes:
        dataset: The table.
        found: What was wrong, a clause.
        done: What was done, a clause.
        is_repaired: Whether it can be read and published to now.
        versions: The ids that can be read now, newest first.
        given_up: The metadata files that could not stand, though they were likelier, each with the reason.
    """

    dataset: Dataset
    found: str
    done: str
    is_repaired: bool
    versions: tuple[int, ...] = ()
    given_up: tuple[str, ...] = ()


@dataclass(frozen=True)
class Repair:
    """What a repair found and did; nothing where nothing was damaged.

    Attributes:
        catalog: What was wrong with the catalog as a whole, and where it was put; None where it was whole.
        tables: The tables that were damaged.
        missing: What is still missing, a sentence each: versions that others name, and tables that could not be repaired.
    """

    catalog: str | None = None
    tables: tuple[TableRepair, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExpiredVersion:
    """A version that there is no more.

    Attributes:
        id: Its id.
        committed_at: When it was published, UTC.
        expired_at: When it was removed, UTC.
        by: By which command.
    """

    id: int
    committed_at: datetime
    expired_at: datetime
    by: str


@dataclass(frozen=True)
class Removed:
    """What of one kind, in one place, was removed, or would be.

    Attributes:
        kind: What it is, a plural: `files of rows`.
        place: A table's name, or a folder.
        number: How many.
        bytes: What they took.
    """

    kind: str
    place: str
    number: int
    bytes: int


@dataclass(frozen=True)
class Garbage:
    """What nobody needs any more, and was removed, or would be.

    Attributes:
        expired: Versions, table by table.
        removed: Files and what else takes room, those of the versions among them.
        spared: What could not be judged and was left alone, with the reason, a sentence each.
    """

    expired: tuple[Version, ...] = ()
    removed: tuple[Removed, ...] = ()
    spared: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """What all of it took."""
        return sum(one.bytes for one in self.removed)


class Progress(Protocol):
    """Is told how far long work has come."""

    def __call__(self, stage: str, rows: int, /) -> None:
        """`rows` of the stage named `stage` are done."""


def no_progress(stage: str, rows: int) -> None:
    """Tells nobody."""


class Warehouse(ABC):
    """Executes plans and publishes versions. Every method is part of the contract that all implementations share."""

    @abstractmethod
    def execute(self, plan: IngestPlan | SequencePlan, *, force: bool = False, progress: Progress = no_progress) -> Publication:
        """Executes a plan, audits the finished files and publishes them in one commit.

        Args:
            plan: What to compute.
            force: Build even where nothing that decides the result has changed.
            progress: Is told about long work.

        Raises:
            SourceError: The source cannot be read.
            AuditError: A blocking condition does not hold; nothing was published.
            NotPublishedError: The raw version that the plan reads does not exist.
            ConflictError: Concurrent publications won every attempt.
        """

    @abstractmethod
    def stands(self, plan: IngestPlan | SequencePlan) -> bool:
        """Whether the newest version is what the plan would make, so that to execute it would change nothing. No row is read.

        Raises:
            SourceError: The source cannot be listed.
        """

    @abstractmethod
    def inspect(self, published: Version) -> list[Finding]:
        """Verifies the blocking conditions on a published version, from its files."""

    @abstractmethod
    def datasets(self) -> list[Dataset]:
        """All tables that have a version, by name."""

    @abstractmethod
    def versions(self, dataset: Dataset) -> list[Version]:
        """The versions of a table, newest first; none where it was never published."""

    @abstractmethod
    def at_rest(self) -> AbstractContextManager[None]:
        """Within it, the versions of each table are looked up once: for who looks at many, and publishes nothing meanwhile."""

    @abstractmethod
    def raw_files(self, version: Version, subset: Subset) -> tuple[str, ...]:
        """The files of one subset of a version of raw observations, in the order of its rows."""

    @abstractmethod
    def histories(self, version: Version, subset: Subset) -> Histories:
        """How long the histories of one subset of a version of raw observations are."""

    @abstractmethod
    def source_fingerprint(self, plan: IngestPlan) -> str:
        """What the source of a plan looks like now: another fingerprint means that it may have changed. It is not read.

        Raises:
            SourceError: It cannot be listed.
        """

    @abstractmethod
    def source_bytes(self, plan: IngestPlan) -> int | None:
        """How many bytes the files of a plan's source have, from their listing; None of a table of the Glue catalog.

        Raises:
            SourceError: It cannot be listed.
        """

    @abstractmethod
    def sample_source(self, plan: IngestPlan, most_records: int) -> SourceSample:
        """Looks at the source of a plan: what is there, its columns, and its first records through the contract.

        Nothing is written or published, and no query of Athena runs: of a table of the Glue catalog no record is read.

        Args:
            plan: Whose source.
            most_records: As many are read, from the first files.

        Raises:
            SourceError: It is not there, has no record, lacks a column, or cannot be read.
        """

    @abstractmethod
    def open_input(self, file: str) -> "pa.NativeFile":
        """A file of a version, open for reading."""

    @abstractmethod
    def lost_files(self, version: Version) -> list[str]:
        """What is wrong with files of a version, a clause each: they are gone, or have been cut short. None is opened."""

    @abstractmethod
    def page(self, version: Version) -> str | None:
        """The text that is kept with a version for people who look at it; None where there is none."""

    @abstractmethod
    def keep_page(self, version: Version, text: str) -> None:
        """Keeps a text with a version, instead of any before it: who reads it gets one of them, whole."""

    @abstractmethod
    def register(self, connection: "duckdb.DuckDBPyConnection") -> "Failure":
        """Makes the files of versions readable for a DuckDB connection.

        Returns:
            Says why reading failed, because DuckDB makes a text of it.
        """

    @abstractmethod
    def repair(self) -> Repair:
        """Registers tables again whose catalog, or whose metadata, is lost or broken, from their newest whole metadata.

        Ids and history are as before. It may be stopped at any point and be done again; publications go on meanwhile. No file
        of a table is removed. Where nothing is damaged, nothing is changed.
        """

    @abstractmethod
    def tag(self, versions: Sequence[Version], name: str, *, move: bool = False) -> None:
        """Gives versions of different tables a name, by which each is found, and kept by `gc` with all that it needs.

        Args:
            versions: The versions.
            name: As `TAG_NAME` allows.
            move: Whether another version of a table may lose the name.

        Raises:
            InputError: It cannot be a name.
            ConflictError: Another version has it, and is not to lose it; nothing is changed.
            NotPublishedError: A version is there no more.
        """

    @abstractmethod
    def untag(self, dataset: Dataset, name: str) -> bool:
        """Takes a name away from whichever version of a table has it; whether one had it."""

    @abstractmethod
    def expired(self, dataset: Dataset) -> list[ExpiredVersion]:
        """Versions of a table that were removed, the last one first, as far back as is remembered."""

    @abstractmethod
    def collect_garbage(self, retention: "Retention", *, dry_run: bool = False) -> Garbage:
        """Removes versions beyond those that are kept, files that nobody needs then, and what killed processes have left.

        Versions that stay can be read all the while, publications go on, and what a running one has written stays. It may be
        stopped at any point and be done again.

        Args:
            retention: What stays.
            dry_run: Only say what would be removed.

        Raises:
            ConflictError: A table was written by a newer version of the program.
        """

    def vocabulary(self, version: Version) -> "pa.Table | None":
        """The vocabulary that a version of raw observations or sequences names; None where its model had none."""
        number = version.metadata.get("vocabulary_version")
        if number is None:
            return None
        return read_vocabulary(self, self.find(Dataset.vocabulary(version.dataset.model), number))

    @contextmanager
    def reading(self, version: Version, file: str | None = None) -> Iterator[None]:
        """Within it a version is read: an error that comes of files that are gone, or are no Parquet any more, names them.

        Args:
            version: The version.
            file: The one of its files that is read; all of them where none is named.

        Raises:
            LostFilesError: Files of the version are gone, have been cut short, or were overwritten.
        """
        try:
            yield
        except Exception as error:
            # Each engine says in its own way that a file is not there, or ends too early.
            lost = self.lost_files(version)
            if lost:
                raise self._lost(version, lost) from error
            if not isinstance(error, SeqAssetsError):
                overwritten = self._overwritten(version.files if file is None else [file])
                if overwritten:
                    # No listing tells, so that the version seems to stand.
                    raise self._lost(version, overwritten, " --force") from error
            raise

    def _overwritten(self, files: Iterable[str]) -> list[str]:
        """What is wrong with the content of files, a clause each; all of them is read."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        found = []
        for file in files:
            with self.open_input(file) as opened:
                try:
                    deque(pq.ParquetFile(opened).iter_batches(), maxlen=0)
                except (pa.ArrowInvalid, OSError) as error:
                    found.append(f"{file!r} has its size and another content ({str(error).splitlines()[0].rstrip('.')})")
        return found

    def require_whole(self, version: Version) -> None:
        """Refuses to hand out a version that cannot be read.

        Raises:
            LostFilesError: Files of the version are gone, or have been cut short.
        """
        lost = self.lost_files(version)
        if lost:
            raise self._lost(version, lost)

    def lost_with(self, version: Version) -> list[str]:
        """What is wrong with files of a version, and of the versions that it was published with and names."""
        lost = self.lost_files(version)
        if version.dataset.kind == "raw_observations":
            model, metadata = version.dataset.model, version.metadata
            named = {Dataset.rejected(model): metadata["rejected_version"]}
            if metadata.get("vocabulary_version") is not None:
                named[Dataset.vocabulary(model)] = metadata["vocabulary_version"]
            for dataset, number in named.items():
                try:
                    lost += self.lost_files(self.find(dataset, number))
                except NotPublishedError as error:
                    lost.append(str(error).removesuffix("."))
        return lost

    def _lost(self, version: Version, lost: Sequence[str], option: str = "") -> LostFilesError:
        others = (other.id for other in self.versions(version.dataset) if not self.lost_files(other))
        whole = [str(other) for other, _ in zip(others, range(_MOST_SHOWN), strict=False)]
        another = f"load another version ({', '.join(whole)}), or " if whole else ""
        build = f"run seq-assets materialize {version.dataset.model}{option}, which builds the newest version anew"
        return LostFilesError(
            f"{version.dataset.table}, version {version.id}, cannot be read: {said_of_lost(lost)}. Bring the files back from a "
            f"backup, or {another}{build}."
        )

    def find(self, dataset: Dataset, version: int | str | None = None) -> Version:
        """One version of a table, by its id or its tag; the newest where none is named.

        Raises:
            NotPublishedError: There is no such table or version.
        """
        if isinstance(version, str) and not version.isdecimal():
            return self._find_tagged(dataset, version)
        version = None if version is None else int(version)
        versions = self.versions(dataset)
        if not versions:
            raise NotPublishedError(f"{dataset.table} has no published version; materialize it first.")
        if version is None:
            return versions[0]
        for candidate in versions:
            if candidate.id == version:
                return candidate
        allowed = ", ".join(str(candidate.id) for candidate in versions[:5])
        for gone in self.expired(dataset):
            if gone.id == version:
                raise NotPublishedError(
                    f"{dataset.table}: version {version} of {gone.committed_at:%Y-%m-%d %H:%M} UTC is there no more: it was "
                    f"removed by {gone.by} on {gone.expired_at:%Y-%m-%d %H:%M} UTC; the newest that are there: {allowed}."
                )
        raise NotPublishedError(f"{dataset.table} has no version {version}; its newest are {allowed}.")

    def _find_tagged(self, dataset: Dataset, name: str) -> Version:
        versions = self.versions(dataset)
        for candidate in versions:
            if name in candidate.tags:
                return candidate
        known = sorted(tag for candidate in versions for tag in candidate.tags)
        raise NotPublishedError(
            f"{dataset.table} has no version named {name!r}; its names are: {', '.join(known) or 'none'}. "
            "`seq-assets tag` gives a version a name."
        )


def read_vocabulary(warehouse: Warehouse, version: Version) -> "pa.Table":
    """The rows of a version of a vocabulary, which has one file.

    Raises:
        LostFilesError: The file is gone, has been cut short, or was overwritten.
    """
    import pyarrow.parquet as pq

    with warehouse.reading(version), warehouse.open_input(version.files[0]) as opened:
        return pq.ParquetFile(opened).read()


def said_of_lost(lost: Sequence[str]) -> str:
    """What `lost_files` has found, in a line that is never long."""
    more = len(lost) - _MOST_SHOWN
    return "; ".join([*lost[:_MOST_SHOWN], *([f"and {more} more"] if more > 0 else [])])


def decode_metadata(summary: Mapping[str, str]) -> dict[str, Any]:
    """The platform's metadata out of a snapshot's summary."""
    return {
        key.removeprefix(SUMMARY_PREFIX): json.loads(value) for key, value in summary.items() if key.startswith(SUMMARY_PREFIX)
    }


def encode_metadata(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Metadata as a snapshot's summary keeps it: JSON texts under prefixed keys."""
    return {f"{SUMMARY_PREFIX}{key}": json.dumps(value) for key, value in metadata.items() if value is not None}


SUMMARY_PREFIX = "seq_assets."
TAG_NAME: Final = re.compile(r"(?!main$)[a-z][a-z0-9_.-]{0,62}")
"""What a version may be named: no number, which would be an id, and not as Iceberg names the newest."""
_MOST_SHOWN = 3
