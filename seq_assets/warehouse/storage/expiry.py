"""Versions that nobody keeps go, and then the files of tables that nothing names any more.

First a commit takes the versions away, which makes their files unreachable; then whatever a table's folder holds and no version
that is left names is removed, if it is older than all work that is going on. So it may be stopped anywhere: what it has not
removed is found by the next time, like what a killed run has left.

Belongs here: one database's tables and their folders. Not here: which versions stay (`retention`), what lies elsewhere
(`leftovers`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version as installed_version
from itertools import groupby
from typing import Final

from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot

from seq_assets.errors import ConflictError, DamagedError
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.cancellation import raise_if_canceled
from seq_assets.warehouse.interface import ExpiredVersion, Garbage, Removed, Version, decode_metadata
from seq_assets.warehouse.retention import Retention, expired, in_order_of_expiry
from seq_assets.warehouse.storage.commits import LOST, file_name
from seq_assets.warehouse.storage.expired_versions import expire
from seq_assets.warehouse.storage.iceberg_tables import Tables
from seq_assets.warehouse.storage.storage import Storage, StoredFile
from seq_assets.warehouse.storage.table_metadata import MetadataFile, metadata_files

_KINDS: Final = {"data": "files of rows", "metadata": "files of Iceberg", "pages": "pages"}
"""By the folder below a table's that a file is in."""
_MOST_METADATA: Final = "write.metadata.previous-versions-max"
_COMMAND: Final = "gc"


@dataclass(frozen=True)
class Cutoff:
    """What is old enough to go.

    Attributes:
        written: Only files that were written before it.
        replaced: Only versions that were replaced before it.
    """

    written: datetime
    replaced: datetime


class _UnreadableError(Exception):
    """What a table names cannot be told, for the reason that it says."""


@dataclass(frozen=True)
class TableExpiry:
    """Removes versions and files of the tables of one database.

    Attributes:
        tables: The tables.
        storage: Where their files are.
        retention: Which versions stay.
        cutoff: What is old enough to go.
        dry_run: Whether only to say what would go.
    """

    tables: Tables
    storage: Storage
    retention: Retention
    cutoff: Cutoff
    dry_run: bool
    _spared: list[str] = field(default_factory=list, init=False)

    def run(self) -> Garbage:
        """Removes them, model by model.

        Raises:
            ConflictError: A table was written by a newer version of the program.
        """
        gone: list[Version] = []
        removed: list[Removed] = []
        datasets = sorted(self.tables.datasets_anywhere(), key=lambda dataset: (dataset.model, dataset.table))
        families = [list(family) for _, family in groupby(datasets, key=lambda dataset: dataset.model)]
        for family in families:
            self._require_not_newer(family)
        for family in families:
            raise_if_canceled()
            if self._is_judged(family):
                expired_of_family = self._expire(family)
                gone += [version for versions in expired_of_family.values() for version in versions]
                for dataset in family:
                    removed += self._remove_unnamed(dataset, expired_of_family.get(dataset, ()))
        return Garbage(tuple(gone), tuple(removed), tuple(self._spared))

    def _require_not_newer(self, family: Iterable[Dataset]) -> None:
        """Refuses what a newer version of the program has written, which may name files in a way that is not known here."""
        here = installed_version("seq-assets")
        for dataset in family:
            for version in self._versions_if_whole(dataset)[:1]:
                found = str(version.metadata.get("program", here))
                if _numbers(found) > _numbers(here):
                    raise ConflictError(
                        f"{dataset.table} was published by seq-assets {found}, and this is {here}, which may not know all that "
                        f"it needs. Nothing was removed; run gc with seq-assets {found} or newer."
                    )

    def _versions_if_whole(self, dataset: Dataset) -> list[Version]:
        try:
            return self.tables.versions_to_replace(dataset)
        except (DamagedError, ConflictError):
            return []  # it is spared later, and then said

    def _is_judged(self, family: Sequence[Dataset]) -> bool:
        """Whether all tables of a model can be read; else all are left alone, because each may need another."""
        for dataset in family:
            try:
                self.tables.to_change(dataset)
            except (DamagedError, ConflictError) as error:
                self._spared.append(f"The tables of {dataset.model} were left alone. {error}")
                return False
            if self._has_newer_metadata(dataset):
                self._spared.append(
                    f"The tables of {dataset.model} were left alone: {self.tables.location(dataset)}/metadata has newer "
                    "metadata than the one that the catalog names, as if the catalog came from an older backup. Bring back the "
                    "newer one. Or, if what is newer is not wanted, move these metadata files away."
                )
                return False
        return True

    def _has_newer_metadata(self, dataset: Dataset) -> bool:
        """Whether there was a commit after the one that the catalog names; one that was lost leaves the number after it."""
        table = self.tables.to_change(dataset)
        stands = None if table is None else MetadataFile.at(table.metadata_location)
        if stands is None:
            return False
        numbers = [file.number for file in metadata_files(self.storage, self.tables.location(dataset))]
        if max(numbers, default=0) <= stands.number + 1:
            return False
        again = self.tables.to_change(dataset)  # others may have published while the files were listed
        now = None if again is None else MetadataFile.at(again.metadata_location)
        return now is None or max(numbers) > now.number + 1

    def _expire(self, family: Sequence[Dataset]) -> dict[Dataset, Sequence[Version]]:
        """Takes away the versions of a model that need not stay; who loses a race decides anew."""
        done: dict[Dataset, Sequence[Version]] = {}
        for dataset in in_order_of_expiry(family):

            def attempt(dataset: Dataset = dataset) -> Sequence[Version]:
                table = self.tables.to_change(dataset)
                if table is None:
                    return ()
                gone = self._to_expire(dataset, table, family, done)
                if gone and not self.dry_run:
                    now = self.retention.now
                    expire(table, [ExpiredVersion(one.id, one.committed_at, now, _COMMAND) for one in gone])
                return gone

            done[dataset] = self.tables.change(dataset, attempt)
        return done

    def _to_expire(
        self, dataset: Dataset, table: Table, family: Sequence[Dataset], done: Mapping[Dataset, Sequence[Version]]
    ) -> list[Version]:
        """The versions of one table that need not stay."""
        versions = {dataset: self.tables.versions_in(dataset, table.metadata)}
        # Nothing names sequences. Who names others is asked last: all that it names was seen then, or is the newest.
        others = [] if dataset.sequence_length is not None else in_order_of_expiry(family)
        for other in reversed(others):
            if other != dataset:
                versions[other] = self.tables.versions_to_replace(other)
        gone_already = {version.id for found in done.values() for version in found}
        left = {each: [one for one in found if one.id not in gone_already] for each, found in versions.items()}
        found = expired(left, self.retention.versions_of(dataset.model), self.cutoff.replaced).get(dataset, [])
        # Another program may have made a branch of an older version.
        referenced = {reference.snapshot_id for reference in table.metadata.refs.values()}
        return [version for version in found if version.id not in referenced]

    def _remove_unnamed(self, dataset: Dataset, gone: Sequence[Version]) -> list[Removed]:
        """Removes the files of a table that nothing names, as old as they have to be."""
        folder = self.tables.location(dataset)
        # Listed first: what is published afterwards is not in the list.
        files = self.storage.entries(folder)
        try:
            named = self._named(dataset, {version.id for version in gone})
        except _UnreadableError as error:
            self._spared.append(f"The files of {dataset.table} were left alone, because {error}.")
            return []
        unnamed = [
            file for file in files if file.modified < self.cutoff.written and file.location[len(folder) + 1 :] not in named
        ]
        if not self.dry_run:
            # What names others goes before them, so that nothing that is left names what is gone.
            for are_of_rows in (False, True):
                self.storage.remove_files([file.location for file in unnamed if _is_of_rows(folder, file) == are_of_rows])
            # Each run has a folder of its own, so that no other will write there.
            runs = {file.location[len(folder) + 1 :].split("/")[1] for file in unnamed if _is_of_rows(folder, file)}
            self.storage.remove_empty_folders(f"{folder}/data", runs, self.cutoff.written)
        return [
            Removed(kind, dataset.table, len(found), sum(file.size for file in found))
            for kind, found in _by_kind(folder, unnamed).items()
        ]

    def _named(self, dataset: Dataset, gone: set[int]) -> set[str]:
        """The files of a table that its versions need, and Iceberg's own, below its folder."""
        table = self.tables.to_change(dataset)
        if table is None:
            return set()
        metadata = table.metadata
        is_to_change = self.dry_run and bool(gone)
        named = {file_name(location) for location in _metadata_locations(table, is_to_change)}
        statistics = [*metadata.statistics, *metadata.partition_statistics]
        named |= {file_name(one.statistics_path) for one in statistics if one.snapshot_id not in gone}
        found = {f"metadata/{name}" for name in named}
        for snapshot in metadata.snapshots:
            if snapshot.snapshot_id not in gone:
                found |= {f"pages/{snapshot.snapshot_id}.json"}
                found |= {self._below(dataset, location) for location in self._needed(dataset, table, snapshot)}
        return found

    def _needed(self, dataset: Dataset, table: Table, snapshot: Snapshot) -> Iterator[str]:
        """The files without which a version cannot be read."""
        remembered = decode_metadata(snapshot.summary.additional_properties if snapshot.summary else {})
        yield snapshot.manifest_list
        if {"identity", "files", "manifests"} <= remembered.keys():
            yield from (f"{self.storage.root}/{file}" for file in remembered["files"])
            yield from (f"{self.tables.location(dataset)}/metadata/{name}" for name in remembered["manifests"])
            return
        # It was published before versions remembered that, or by another program.
        try:
            for manifest in snapshot.manifests(table.io):
                yield manifest.manifest_path
                for entry in manifest.fetch_manifest_entry(table.io):
                    yield entry.data_file.file_path
        except LOST as error:
            raise _UnreadableError(
                f"a manifest of its version {snapshot.snapshot_id} is lost ({type(error).__name__})"
            ) from error

    def _below(self, dataset: Dataset, location: str) -> str:
        """A file's path below its table's folder, also where that was moved since the file was named."""
        return location.rpartition(f"/{dataset.table}/")[2]


def _metadata_locations(table: Table, is_to_change: bool) -> list[str]:
    """The metadata files that stand or may have to, those that repair goes back to included."""
    metadata: TableMetadata = table.metadata
    log = [entry.metadata_file for entry in metadata.metadata_log]
    most = int(metadata.properties.get(_MOST_METADATA, "100"))
    # A commit drops the oldest.
    return [*(log[-most + 1 :] if is_to_change and len(log) >= most else log), table.metadata_location]


def _is_of_rows(folder: str, file: StoredFile) -> bool:
    return file.location.startswith(f"{folder}/data/")


def _by_kind(folder: str, files: Iterable[StoredFile]) -> Mapping[str, list[StoredFile]]:
    found: dict[str, list[StoredFile]] = {}
    for file in files:
        kind = _KINDS.get(file.location[len(folder) + 1 :].split("/")[0], "other files")
        found.setdefault(kind, []).append(file)
    return found


def _numbers(version: str) -> tuple[int, ...]:
    """A version of the program, to be compared."""
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
