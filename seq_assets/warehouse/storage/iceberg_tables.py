"""Publication: Iceberg tables and their versions, the same in every environment.

Belongs here: which tables and versions there are, and what becomes of a publication that loses its race. It replaces a table's
content in one commit (`commits`), so a reader sees the version before or the version after, whole. A table that is damaged, in
its metadata or in the catalog, is never taken for one that is not there. Not here: which catalog (`environments`), how files
are made (the warehouses), what is mended how (`repair`).
"""

import logging
import random
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, TypeVar

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchTableError,
    TableAlreadyExistsError,
    ValidationException,
)
from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.refs import SnapshotRefType
from pyiceberg.table.snapshots import Snapshot
from sqlalchemy.exc import IntegrityError, OperationalError

from seq_assets.errors import ConflictError, DamagedError, DamagedWarning, LostRaceError, NotPublishedError
from seq_assets.sequencing.plans import Dataset
from seq_assets.sequencing.schemas import TableSchema
from seq_assets.warehouse.cancellation import pause
from seq_assets.warehouse.interface import ExpiredVersion, Version, decode_metadata
from seq_assets.warehouse.storage.commits import file_name, iceberg_schema, replace_content
from seq_assets.warehouse.storage.expired_versions import expired_in
from seq_assets.warehouse.storage.storage import Storage
from seq_assets.warehouse.storage.table_metadata import (
    UNREADABLE,
    MetadataFile,
    Pointer,
    Pointers,
    metadata_files,
    open_files,
    read_metadata,
    what_is_wrong,
    why_unreadable_manifests,
    why_unreadable_rows,
)

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
Content: TypeAlias = tuple[Sequence[str], int]
"""Paths of finished Parquet files, in the order of the rows, and the number of rows."""

ATTEMPTS: Final = 20
SECONDS_OF_RACES: Final = 30
"""Within which an error of the catalog's database may be one of two that do the same at the same moment."""
ENVIRONMENT_PROPERTY: Final = "seq_assets.environment"
REMEDY: Final = "Run `seq-assets repair`, which registers tables again from their newest whole metadata."
_SHOWN: Final = 3
"""Tables that are named where many are lost."""
_LOST_RACES: Final = (
    CommitFailedException,
    ValidationException,
    TableAlreadyExistsError,
    NamespaceAlreadyExistsError,
    IntegrityError,
    OperationalError,
    LostRaceError,
    # The table was there when the attempt began; the next one finds out what that means.
    NoSuchTableError,
)
_TABLE_NAME: Final = re.compile(
    r"(?P<model>[a-z][a-z0-9_]*?)_(?:(?P<kind>raw_observations|rejected_observations|vocabulary)"
    r"|(?P<sequenced>sequenced_train|sequenced_validation)_(?P<length>[0-9]+))"
)


@dataclass(frozen=True)
class Damage:
    """What is wrong with a table as a whole.

    Attributes:
        found: What was found, a clause.
        pointer: What the catalog says of the table; None where it does not list it.
    """

    found: str
    pointer: Pointer | None

    @property
    def stands(self) -> MetadataFile | None:
        """The metadata file that the catalog names."""
        return None if self.pointer is None else MetadataFile.at(self.pointer.location)

    @property
    def never_had_a_version(self) -> bool:
        """Whether the table was only just made when it was damaged."""
        return self.stands is not None and self.stands.number == 0


class Tables:
    """The tables of one environment's database."""

    def __init__(
        self,
        catalog: Catalog,
        pointers: Pointers,
        database: str,
        environment: str,
        storage: Storage,
        explained: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Binds a catalog.

        Args:
            catalog: The Iceberg catalog.
            pointers: What it says of the database's tables.
            database: The namespace of the tables.
            environment: Recorded in each table, which then refuses another environment's writes.
            storage: Where each table has its folder, directly below the root.
            explained: Has what the catalog or the storage refuses inside become an error for the user.
        """
        self._catalog = catalog
        self._pointers = pointers
        self._database = database
        self._environment = environment
        self._storage = storage
        self._root = storage.root
        self._explained = explained
        self._is_at_rest = False
        self._folders_at_rest: frozenset[str] | None = None

    def create_database(self) -> None:
        """Makes the namespace of the tables, where there is none."""

        def attempt() -> None:
            with self._explained():
                self._create_missing_database()

        _with_retries(attempt, self._database)

    def require_ours(self, dataset: Dataset) -> None:
        """Refuses a table that could not be published to, before there is anything to publish.

        Raises:
            ConflictError: The table belongs to another environment.
            DamagedError: The table is damaged.
        """
        self.to_change(dataset)

    def versions_to_replace(self, dataset: Dataset) -> list[Version]:
        """As `versions`, for who publishes the next one: a table that could not be published to is refused.

        Raises:
            ConflictError: The table belongs to another environment.
            DamagedError: The table is damaged.
        """
        table = self.to_change(dataset)
        return [] if table is None else self.versions_in(dataset, table.metadata)

    def to_change(self, dataset: Dataset) -> Table | None:
        """A table as Iceberg has it; None where there is none.

        Raises:
            ConflictError: The table belongs to another environment.
            DamagedError: The table is damaged.
        """
        with self._explained():
            table = self._undamaged(dataset)
        if table is not None:
            self._require_ours(dataset, table)
        return table

    def change(self, dataset: Dataset, attempt: Callable[[], Result]) -> Result:
        """Does what ends in a commit to a table; where that loses its race against another, it is done anew.

        Raises:
            LostRaceError: Every attempt was lost.
        """

        def explained() -> Result:
            with self._explained():
                return attempt()

        return _with_retries(explained, dataset.table)

    def require_free(self, version: Version, name: str) -> None:
        """Refuses a name that another version of the table has.

        Raises:
            ConflictError: With that version.
        """
        for other in self.versions_to_replace(version.dataset):
            if name in other.tags and other.id != version.id:
                raise ConflictError(
                    f"{version.dataset.table}: version {other.id} has the name {name!r} already; choose another name, "
                    "or move this one with --force."
                )

    def tag(self, version: Version, name: str) -> None:
        """Gives a version a name, which another one of the table may lose.

        Raises:
            NotPublishedError: It is there no more.
        """

        def attempt() -> None:
            table = self.to_change(version.dataset)
            if table is None or table.snapshot_by_id(version.id) is None:
                raise NotPublishedError(f"{version.dataset.table}: version {version.id} is there no more.")
            try:
                table.manage_snapshots().create_tag(version.id, name).commit()
            except ValueError as error:
                # It was removed since it was looked up.
                raise LostRaceError(str(error)) from error

        self.change(version.dataset, attempt)

    def untag(self, dataset: Dataset, name: str) -> bool:
        """Takes a name away; whether a version had it."""

        def attempt() -> bool:
            table = self.to_change(dataset)
            if table is None or name not in {tag for tags in tags_in(table.metadata).values() for tag in tags}:
                return False
            table.manage_snapshots().remove_tag(name).commit()
            return True

        return self.change(dataset, attempt)

    def location(self, dataset: Dataset) -> str:
        """The folder of a table."""
        return f"{self._root}/{dataset.table}"

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Within it, the storage is asked once which tables have a folder."""
        self._is_at_rest = True
        try:
            yield
        finally:
            self._is_at_rest, self._folders_at_rest = False, None

    def datasets(self) -> list[Dataset]:
        """All tables of the database that are named as the platform names them, by name.

        Raises:
            DamagedError: There are tables that the catalog does not list.
        """
        with self._explained():
            listed = self._listed()
            self._require_listed(self._unlisted(listed))
        return sorted(listed, key=lambda dataset: dataset.table)

    def datasets_anywhere(self) -> list[Dataset]:
        """All tables that the catalog lists, and those that only have a folder, by name."""
        with self._explained():
            found = {dataset_of(name) for name in self._folders()} | self._listed()
        return sorted((dataset for dataset in found if dataset is not None), key=lambda dataset: dataset.table)

    def versions(self, dataset: Dataset) -> list[Version]:
        """The versions of a table, newest first; none where there is no such table.

        Where the metadata that the catalog names is broken, those of the newest metadata before it, with a warning.

        Raises:
            DamagedError: The table is damaged, and there is no such metadata.
        """
        with self._explained():
            found = self._look_up(dataset)
            if found is None:
                return []
            metadata = self._metadata_before(dataset, found) if isinstance(found, Damage) else found.metadata
        return self.versions_in(dataset, metadata)

    def versions_in(self, dataset: Dataset, metadata: TableMetadata) -> list[Version]:
        """The versions that a metadata file of a table names, newest first."""
        snapshots = sorted(metadata.snapshots, key=lambda snapshot: snapshot.sequence_number or 0, reverse=True)
        decoded = [(snapshot, decode_metadata(_summary(snapshot))) for snapshot in snapshots]
        names = tags_in(metadata)
        return [
            replace(self._version(dataset, snapshot, found), tags=names.get(snapshot.snapshot_id, ()))
            for snapshot, found in decoded
            if "identity" in found
        ]

    def expired(self, dataset: Dataset) -> list[ExpiredVersion]:
        """The versions of a table that were removed, the last one first, as far back as it remembers."""
        with self._explained():
            found = self._look_up(dataset)
        return [] if found is None or isinstance(found, Damage) else expired_in(found.metadata)

    # What is damaged

    def damage(self, dataset: Dataset) -> Damage | None:
        """What is wrong with a table; None where nothing is, or where there is no such table."""
        with self._explained():
            found = self._look_up(dataset)
        return found if isinstance(found, Damage) else None

    def older_metadata(self, dataset: Dataset, damage: Damage) -> list[MetadataFile]:
        """The metadata files that may stand in place of the one that the catalog names, the likeliest first.

        That is the one before it, as the catalog says; then all with a version and a smaller number. Where the catalog says
        nothing, all with a version.
        """
        files = [file for file in metadata_files(self._storage, self.location(dataset)) if file.number]
        stands, previous = damage.stands, damage.pointer.previous if damage.pointer else None
        if stands is not None:
            files = [file for file in files if file.number < stands.number]
        before = None if previous is None else MetadataFile.at(previous)
        return sorted(files, key=lambda file: before is None or file.name != before.name)

    def _metadata_before(self, dataset: Dataset, damage: Damage) -> TableMetadata:
        """The newest metadata before a broken one."""
        if damage.pointer is not None:
            for file in self.older_metadata(dataset, damage):
                try:
                    metadata = read_metadata(self._catalog.properties, file.location)
                except UNREADABLE:
                    continue
                message = f"{self._named(dataset)}: {damage.found}; {file.name}, an older one, is read in its place. {REMEDY}"
                warnings.warn(message, DamagedWarning, stacklevel=2)
                return metadata
        raise self._damaged(dataset, damage)

    def _damaged(self, dataset: Dataset, damage: Damage) -> DamagedError:
        dropped = " (if it was dropped on purpose, remove that folder, too)" if damage.pointer is None else ""
        return DamagedError(f"{self._named(dataset)}: {damage.found}{dropped}. {REMEDY}")

    def _named(self, dataset: Dataset) -> str:
        return f"{self._database}.{dataset.table}"

    def _undamaged(self, dataset: Dataset) -> Table | None:
        found = self._look_up(dataset)
        if isinstance(found, Damage):
            raise self._damaged(dataset, found)
        return found

    def _look_up(self, dataset: Dataset) -> Table | Damage | None:
        found = self._listed_table(dataset)
        if found is None and self._has_versions(dataset):
            # Its first version was published after the catalog listed it: if the catalog is whole, it does so by now.
            found = self._listed_table(dataset)
            return found or Damage(f"the catalog does not list it, though {self.location(dataset)} holds versions of it", None)
        return found

    def _listed_table(self, dataset: Dataset) -> Table | Damage | None:
        try:
            return self._catalog.load_table((self._database, dataset.table))
        except NoSuchTableError:
            return None
        except UNREADABLE:
            pointer = self._pointers.find(dataset.table)
        if pointer is None:
            return None
        try:
            read_metadata(self._catalog.properties, pointer.location)
        except UNREADABLE as error:
            return Damage(f"the catalog names {self._place(dataset, pointer)}, which {what_is_wrong(error)}", pointer)
        # It was removed by later commits, between the two questions of where it is and what is in it.
        return self._catalog.load_table((self._database, dataset.table))

    def _place(self, dataset: Dataset, pointer: Pointer) -> str:
        """Where the metadata file is that a catalog names, also of a home that was moved since."""
        file = MetadataFile.at(pointer.location)
        return pointer.location if file is None else f"{self.location(dataset)}/metadata/{file.name}"

    def _has_versions(self, dataset: Dataset) -> bool:
        """Whether there are files of a version, by their names."""
        if dataset.table not in self._folders():
            return False
        return any(file.number for file in metadata_files(self._storage, self.location(dataset)))

    def _folders(self) -> frozenset[str]:
        if not self._is_at_rest:
            return frozenset(self._storage.folders(self._root))
        if self._folders_at_rest is None:
            self._folders_at_rest = frozenset(self._storage.folders(self._root))
        return self._folders_at_rest

    def _listed(self) -> set[Dataset]:
        if not self._catalog.namespace_exists(self._database):
            return set()
        names = (identifier[-1] for identifier in self._catalog.list_tables(self._database))
        return {dataset for name in names if (dataset := dataset_of(name)) is not None}

    def _unlisted(self, listed: set[Dataset]) -> list[Dataset]:
        """The tables that have versions, but are not in the catalog."""
        found = (dataset_of(name) for name in self._folders())
        others = [dataset for dataset in found if dataset and dataset not in listed and self._has_versions(dataset)]
        # Listed later, but before they had a version.
        return [dataset for dataset in others if dataset not in self._listed()] if others else []

    def _require_listed(self, unlisted: Sequence[Dataset]) -> None:
        if not unlisted:
            return
        names = sorted(dataset.table for dataset in unlisted)
        shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
        raise DamagedError(
            f"{self._database}: the catalog does not list {shown}, though {self._root} holds versions of them (if a table was "
            f"dropped on purpose, remove its folder, too). {REMEDY}"
        )

    # Mending

    def why_not_whole(self, dataset: Dataset, file: MetadataFile) -> str | None:
        """Why a metadata file cannot stand: what of it, or of the newest version that it names, is gone or broken."""
        with self._explained():
            try:
                metadata = read_metadata(self._catalog.properties, file.location)
            except UNREADABLE as error:
                return f"it {what_is_wrong(error)}"
            return self._whose(dataset, metadata) or self._why_incomplete(dataset, metadata, file)

    def register(self, dataset: Dataset, damage: Damage, file: MetadataFile) -> list[Version]:
        """Has a metadata file stand, and returns the versions that it names, newest first.

        Raises:
            LostRaceError: The catalog says something else by now.
        """
        with self._explained():
            metadata = read_metadata(self._catalog.properties, file.location)
            if damage.pointer is not None:
                self._pointers.move(dataset.table, damage.pointer, metadata, file.location)
            else:
                self._register_unlisted(dataset, file)
        return self.versions_in(dataset, metadata)

    def forget(self, dataset: Dataset) -> None:
        """Takes a table out of the catalog; no file is removed."""
        with self._explained():
            self._catalog.drop_table((self._database, dataset.table))

    def _register_unlisted(self, dataset: Dataset, file: MetadataFile) -> None:
        self._create_missing_database()
        try:
            self._catalog.register_table((self._database, dataset.table), file.location)
        except TableAlreadyExistsError as error:
            raise LostRaceError(f"{self._named(dataset)} was registered by another at the same time.") from error

    def _whose(self, dataset: Dataset, metadata: TableMetadata) -> str | None:
        if metadata.location.rsplit("/", maxsplit=1)[-1] != dataset.table:
            return f"it belongs to the table at {metadata.location}"
        owner = metadata.properties.get(ENVIRONMENT_PROPERTY)
        return None if owner == self._environment else f"it belongs to the environment {owner!r}, not to {self._environment!r}"

    def _why_incomplete(self, dataset: Dataset, metadata: TableMetadata, file: MetadataFile) -> str | None:
        versions = self.versions_in(dataset, metadata)
        if not versions:
            return "it names no version"
        snapshot = metadata.snapshot_by_id(versions[0].id)
        assert snapshot is not None, "the version is one of its snapshots"
        files = open_files(self._catalog.properties, file.location)
        return why_unreadable_manifests(snapshot, files) or why_unreadable_rows(self._storage, versions[0])

    def publish(
        self, dataset: Dataset, schema: TableSchema, files: Sequence[str], rows: int, metadata: Mapping[str, Any]
    ) -> Version:
        """Replaces a table's content by finished files, in one commit, and creates the table where it is missing.

        A commit that loses a race against another is repeated on the new state.

        Args:
            dataset: The table.
            schema: Its columns.
            files: Paths of finished Parquet files with the stored schema, in the order of the rows.
            rows: Their rows.
            metadata: Kept in the snapshot's summary; values that JSON can hold.

        Raises:
            ConflictError: Every attempt was lost, or the table belongs to another environment.
            DamagedError: The table is damaged, or the catalog is lost.
        """
        return self.publish_successor(dataset, schema, lambda _: (files, rows), metadata)

    def publish_successor(
        self, dataset: Dataset, schema: TableSchema, build: Callable[[Version | None], Content], metadata: Mapping[str, Any]
    ) -> Version:
        """As `publish`, but the content is built from the version that it replaces, and anew whenever a race is lost.

        Args:
            dataset: The table.
            schema: Its columns.
            build: Takes the newest version, None where there is none; returns the files and their rows.
            metadata: Kept in the snapshot's summary.

        Raises:
            ConflictError: Every attempt was lost, or the table belongs to another environment.
            DamagedError: The table is damaged, or the catalog is lost.
        """

        def attempt() -> Version:
            with self._explained():
                table = self._load_or_create(dataset, schema)
                files, rows = build(next(iter(self.versions_in(dataset, table.metadata)), None))
                content = {"schema": schema.to_json(), "files": [self._relative(file) for file in files], "rows": rows}
                snapshot = replace_content(table, schema, files, {**metadata, **content})
            return self._version(dataset, snapshot, decode_metadata(_summary(snapshot)))

        return _with_retries(attempt, dataset.table)

    def _relative(self, file: str) -> str:
        """A file's path below the root, so that a root that is moved stays readable."""
        assert file.startswith(f"{self._root}/"), "files of a table are made below the root"
        return file[len(self._root) + 1 :]

    def _version(self, dataset: Dataset, snapshot: Snapshot, metadata: dict[str, Any]) -> Version:
        files = [f"{self._root}/{file}" for file in metadata.pop("files")]
        # Versions of before know no sizes.
        sizes = metadata.pop("sizes", [None] * len(files))
        own = {file_name(snapshot.manifest_list): None, **metadata.pop("manifests", {})}
        return Version(
            dataset=dataset,
            id=snapshot.snapshot_id,
            committed_at=datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC),
            rows=metadata.pop("rows"),
            schema=TableSchema.from_json(metadata.pop("schema")),
            files=tuple(files),
            parts={
                **dict(zip(files, sizes, strict=True)),
                **{f"{self.location(dataset)}/metadata/{name}": size for name, size in own.items()},
            },
            metadata=metadata,
        )

    def _load_or_create(self, dataset: Dataset, schema: TableSchema) -> Table:
        self._create_missing_database()
        identifier = (self._database, dataset.table)
        table = self._undamaged(dataset)
        if table is None:
            self._require_catalog()
            properties = {
                ENVIRONMENT_PROPERTY: self._environment,
                "write.metadata.delete-after-commit.enabled": "true",
                "write.metadata.previous-versions-max": "10",
                # A lost race is repeated here, on the new state; pyiceberg's own repetition could not replace that.
                "commit.retry.num-retries": "0",
            }
            location = self.location(dataset)
            table = self._catalog.create_table(identifier, iceberg_schema(schema), location=location, properties=properties)
        self._require_ours(dataset, table)
        return table

    def _require_catalog(self) -> None:
        """Refuses to begin anew where all tables that there are have gone from the catalog.

        The catalog is asked for single tables, because whoever builds in a database may not be allowed to list it.
        """
        lost = []
        for dataset in filter(None, map(dataset_of, sorted(self._folders()))):
            if self._pointers.find(dataset.table) is not None:
                return
            if self._has_versions(dataset):
                lost.append(dataset)
        # Listed later, but before they had a version.
        if all(self._pointers.find(dataset.table) is None for dataset in lost):
            self._require_listed(lost)

    def _create_missing_database(self) -> None:
        # Asked first, because whoever builds in a database may not be allowed to make one.
        if not self._catalog.namespace_exists(self._database):
            self._catalog.create_namespace_if_not_exists(self._database)

    def _require_ours(self, dataset: Dataset, table: Table) -> None:
        owner = table.properties.get(ENVIRONMENT_PROPERTY)
        if owner != self._environment:
            raise ConflictError(
                f"{self._database}.{dataset.table} belongs to the environment {owner!r}, not to {self._environment!r}; "
                "set SEQ_ASSETS_DATABASE to a database of this environment's own."
            )


def dataset_of(table: str) -> Dataset | None:
    """The dataset that a table's name stands for; None where it is none of the platform's names."""
    match = _TABLE_NAME.fullmatch(table)
    if match is None:
        return None
    kind: Any = match["kind"] or match["sequenced"]
    return Dataset(match["model"], kind, int(match["length"]) if match["length"] else None)


def tags_in(metadata: TableMetadata) -> dict[int, tuple[str, ...]]:
    """The names of tags, by the id of the version that each is of."""
    found: dict[int, tuple[str, ...]] = {}
    for name, reference in sorted(metadata.refs.items()):
        if reference.snapshot_ref_type is SnapshotRefType.TAG:
            found[reference.snapshot_id] = (*found.get(reference.snapshot_id, ()), name)
    return found


def _summary(snapshot: Snapshot) -> Mapping[str, str]:
    return snapshot.summary.additional_properties if snapshot.summary else {}


def _with_retries(attempt: Callable[[], Result], name: str) -> Result:
    started = time.monotonic()
    for number in range(ATTEMPTS):
        try:
            return attempt()
        except _LOST_RACES as error:
            # A database that is held, and not only busy, was waited for already.
            if isinstance(error, OperationalError) and time.monotonic() - started > SECONDS_OF_RACES:
                raise
            lost = error
            pause(random.uniform(0, 0.05 * min(number + 1, 10)))  # noqa: S311  # spreads competitors, hides nothing
    raise LostRaceError(
        f"{name} could not be published: {ATTEMPTS} attempts were lost to other publications "
        f"(the last: {type(lost).__name__}: {lost}). Run it again."
    ) from lost
