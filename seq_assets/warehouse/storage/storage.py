"""Where tables keep their files: opening, listing and removing them, wherever they are.

Belongs here: what happens to files as a whole. Not here: what is in them (`parquet_files`), or which table has which
(`iceberg_tables`).
"""

import logging
import os
import shutil
import stat
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias, cast

import pyarrow as pa

from seq_assets.errors import SeqAssetsError, SettingsError
from seq_assets.warehouse.cancellation import tidying
from seq_assets.warehouse.storage.durable import DurableFile, synchronize_folder

if TYPE_CHECKING:
    from seq_assets.warehouse.storage.uploads import ObjectSink

logger = logging.getLogger(__name__)

Failure: TypeAlias = Callable[[], SeqAssetsError | None]
"""Says why reading failed, if it did, and forgets it."""


@dataclass(frozen=True)
class StoredFile:
    """A file, as a listing shows it.

    Attributes:
        location: Where it is.
        size: Its bytes.
        modified: When it was written, by the clock of whoever keeps it.
    """

    location: str
    size: int
    modified: datetime

    @property
    def name(self) -> str:
        """Its name, without folders."""
        return self.location.rsplit("/", maxsplit=1)[-1]


class Storage(ABC):
    """Files below a root; a location is a full path or address."""

    @property
    @abstractmethod
    def root(self) -> str:
        """The folder or address below which all tables are, without a slash at its end."""

    @abstractmethod
    def open_input(self, location: str) -> pa.NativeFile:
        """A file, open for reading."""

    @abstractmethod
    def open_output(self, location: str) -> AbstractContextManager[IO[bytes] | pa.NativeFile]:
        """A new file, open for writing; it is there to stay when the context ends without an error."""

    @abstractmethod
    def read(self, location: str) -> bytes | None:
        """The content of a small file; None where there is none."""

    @abstractmethod
    def replace(self, location: str, content: bytes) -> None:
        """Writes a small file, or another content over the one that is there: who reads it gets one of them, whole."""

    @abstractmethod
    def files(self, folder: str) -> list[str]:
        """All files below a folder, in the order of their names; none where there is no such folder."""

    @abstractmethod
    def entries(self, folder: str) -> list[StoredFile]:
        """As `files`, with sizes and times."""

    @abstractmethod
    def remove_files(self, locations: Collection[str]) -> None:
        """Removes files, those that are there."""

    @abstractmethod
    def remove_empty_folders(self, parent: str, over: Collection[str], unchanged_since: datetime) -> None:
        """Removes folders directly in a folder that have no file below them, with the folders in them.

        Args:
            parent: The folder that they are in.
            over: The names of those in which nobody will write any more.
            unchanged_since: Others are removed if nobody has made or removed anything in them since then.
        """

    @abstractmethod
    def folders(self, folder: str) -> list[str]:
        """The names of the folders directly in a folder; none where there is no such folder."""

    @abstractmethod
    def sizes(self, files: Collection[str]) -> dict[str, int]:
        """The bytes of those of the files that are there; none of them is opened."""

    @abstractmethod
    def remove(self, folder: str) -> None:
        """Removes a folder and everything below it, if it is there."""

    @abstractmethod
    def register(self, connection: Any) -> Failure:
        """Makes the locations readable for a DuckDB connection.

        Returns:
            Says why reading failed, because DuckDB makes a text of it.
        """


@dataclass(frozen=True)
class LocalStorage(Storage):
    """Files of this machine.

    Attributes:
        folder: The root.
    """

    folder: Path

    @property
    def root(self) -> str:
        """The folder."""
        return str(self.folder)

    def open_input(self, location: str) -> pa.NativeFile:
        """A file, open for reading."""
        return pa.OSFile(location)

    @contextmanager
    def open_output(self, location: str) -> Iterator[IO[bytes]]:
        """A new file, which is there to stay when the context ends, and gone if it fails; its folder is made."""
        with _written(Path(location), keeps_name=True) as sink:
            yield sink

    def read(self, location: str) -> bytes | None:
        """The content of a small file; None where there is none."""
        try:
            return Path(location).read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, location: str, content: bytes) -> None:
        """Writes a file under another name, which no one else has, and gives it its own when it is whole."""
        unfinished = Path(f"{location}.{uuid.uuid4().hex}")
        with _written(unfinished, keeps_name=False) as sink:
            sink.write(content)
        try:
            unfinished.replace(location)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        synchronize_folder(unfinished.parent)

    def files(self, folder: str) -> list[str]:
        """All files below a folder."""
        return sorted(str(path) for path in Path(folder).rglob("*") if path.is_file())

    def entries(self, folder: str) -> list[StoredFile]:
        """All files below a folder, with sizes and times; what is removed meanwhile is left out."""
        found = []
        for above, _, names in os.walk(folder):
            for name in names:
                path = Path(above, name)
                with suppress(FileNotFoundError):
                    status = path.lstat()
                    modified = datetime.fromtimestamp(status.st_mtime, UTC)
                    found.append(StoredFile(str(path), status.st_size, modified))
        return sorted(found, key=lambda file: file.location)

    def remove_files(self, locations: Collection[str]) -> None:
        """Removes files, those that are there."""
        for location in locations:
            Path(location).unlink(missing_ok=True)

    def remove_empty_folders(self, parent: str, over: Collection[str], unchanged_since: datetime) -> None:
        """Removes folders directly in a folder that have no file below them."""
        for name in self.folders(parent):
            found = [(Path(above), files) for above, _, files in os.walk(Path(parent, name), topdown=False)]
            if not any(files for _, files in found) and (
                name in over or all(_changed(above) < unchanged_since for above, _ in found)
            ):
                for above, _ in found:
                    # Where somebody has just made something in it, it stays.
                    with suppress(OSError):
                        above.rmdir()

    def folders(self, folder: str) -> list[str]:
        """The names of the folders in a folder."""
        try:
            return sorted(path.name for path in Path(folder).iterdir() if path.is_dir())
        except FileNotFoundError:
            return []

    def sizes(self, files: Collection[str]) -> dict[str, int]:
        """The bytes of those of the files that are there."""
        found = {}
        for file in files:
            with suppress(FileNotFoundError, NotADirectoryError):
                status = Path(file).stat()
                if stat.S_ISREG(status.st_mode):
                    found[file] = status.st_size
        return found

    def remove(self, folder: str) -> None:
        """Removes a folder, if it is there."""
        shutil.rmtree(folder, ignore_errors=True)

    def register(self, connection: Any) -> Failure:
        """Nothing to do: DuckDB reads local files, and says itself why it could not."""
        return lambda: None


def _changed(folder: Path) -> datetime:
    """When something was last made or removed in a folder; now, where it is gone."""
    try:
        return datetime.fromtimestamp(folder.stat().st_mtime, UTC)
    except FileNotFoundError:
        return datetime.now(UTC)


@contextmanager
def _written(path: Path, keeps_name: bool) -> Iterator[IO[bytes]]:
    sink = DurableFile(path, "xb", keeps_name)
    try:
        yield sink
        sink.close()
    except BaseException:
        path.unlink(missing_ok=True)
        sink.abandon()
        raise


@dataclass(frozen=True)
class S3Storage(Storage):
    """Objects on S3, or in any store that speaks its protocol.

    Attributes:
        address: The root, `s3://bucket/prefix`, of which the prefix may be missing.
    """

    address: str

    def __post_init__(self) -> None:
        """Refuses what is no address.

        Raises:
            SettingsError: With what an address is.
        """
        from seq_assets.warehouse.storage.object_store import split_address

        split_address(self.address, SettingsError)

    @property
    def root(self) -> str:
        """The address."""
        return self.address.rstrip("/")

    def open_input(self, location: str) -> pa.NativeFile:
        """An object, open for reading at any place.

        Raises:
            SettingsError: It is not there, or the store refuses; reading raises the same.
            RetryableError: The store is out of reach or too busy; reading raises the same.
        """
        from seq_assets.warehouse.storage.object_store import ObjectFile

        return pa.PythonFile(ObjectFile(location, SettingsError), mode="r")

    @contextmanager
    def open_output(self, location: str) -> Iterator[IO[bytes]]:
        """A new object, which appears when the context ends, and never if it fails.

        Raises:
            SettingsError: The store refuses.
            RetryableError: The store is out of reach or too busy.
        """
        from seq_assets.warehouse.storage.uploads import ObjectSink

        self._require_below(location)
        sink = ObjectSink(location, SettingsError)
        try:
            yield cast(IO[bytes], sink)
            sink.finish()
        except BaseException:
            self._abandon(sink)
            raise

    def read(self, location: str) -> bytes | None:
        """The content of a small object; None where there is none.

        Raises:
            SettingsError: The store refuses.
            RetryableError: The store is out of reach or too busy.
        """
        from seq_assets.warehouse.storage.object_store import read_object

        return read_object(location, SettingsError)

    def replace(self, location: str, content: bytes) -> None:
        """Writes an object: the store itself shows either the old or the new one.

        Raises:
            SettingsError: The store refuses.
            RetryableError: The store is out of reach or too busy.
        """
        with self.open_output(location) as sink:
            sink.write(content)

    def files(self, folder: str) -> list[str]:
        """All objects below a folder.

        Raises:
            SettingsError: The store refuses.
            RetryableError: The store is out of reach or too busy.
        """
        from seq_assets.warehouse.storage.object_store import list_objects

        return sorted(found.address for found in list_objects(f"{folder}/", SettingsError))

    def entries(self, folder: str) -> list[StoredFile]:
        """All objects below a folder, with sizes and times.

        Raises:
            SettingsError: The store refuses.
            RetryableError: The store is out of reach or too busy.
        """
        from seq_assets.warehouse.storage.object_store import list_objects

        found = list_objects(f"{folder}/", SettingsError)
        return [StoredFile(one.address, one.size, one.modified) for one in found]

    def remove_files(self, locations: Collection[str]) -> None:
        """Removes objects, a thousand at a time.

        Raises:
            SettingsError: The store refuses, if only for one of them.
            RetryableError: The store is out of reach or too busy.
        """
        from seq_assets.warehouse.storage.object_store import remove_each

        for location in locations:
            self._require_below(location)
        remove_each(locations, SettingsError)

    def remove_empty_folders(self, parent: str, over: Collection[str], unchanged_since: datetime) -> None:
        """Nothing to do: a folder without objects is none."""

    def folders(self, folder: str) -> list[str]:
        """What stands between a folder and the next slash in the names of objects, from one listing of no object.

        Raises:
            SettingsError: The store refuses.
            RetryableError: The store is out of reach or too busy.
        """
        from seq_assets.warehouse.storage.object_store import list_folders

        return sorted(list_folders(f"{folder}/", SettingsError))

    def sizes(self, files: Collection[str]) -> dict[str, int]:
        """The bytes of those of the objects that are there, from one listing of each folder that they are in.

        Raises:
            SettingsError: The store refuses.
            RetryableError: The store is out of reach or too busy.
        """
        from seq_assets.warehouse.storage.object_store import list_objects

        folders = {file.rpartition("/")[0] for file in files}
        listed = (found for folder in sorted(folders) for found in list_objects(f"{folder}/", SettingsError))
        return {found.address: found.size for found in listed if found.address in files}

    def remove(self, folder: str) -> None:
        """Removes all objects below a folder.

        Raises:
            SettingsError: The store refuses, if only for one of them.
            RetryableError: The store is out of reach or too busy.
        """
        from seq_assets.warehouse.storage.object_store import remove_objects

        self._require_below(folder)
        remove_objects(f"{folder}/", SettingsError)

    def register(self, connection: Any) -> Failure:
        """Makes addresses on S3 readable for a DuckDB connection."""
        from seq_assets.warehouse.storage.object_store import register_objects

        return register_objects(connection, SettingsError)

    def _abandon(self, sink: "ObjectSink") -> None:
        """Gives an object up as well as it can: what ended it is what must be told."""
        try:
            with tidying():
                sink.abandon()
        except SeqAssetsError as error:
            logger.warning("Parts of an upload below %s are left, which a rule of the bucket may remove: %s", self.root, error)

    def _require_below(self, location: str) -> None:
        """Lets nothing be written or removed elsewhere; with a folder's name that is empty, that would be the whole bucket."""
        if not location.startswith(f"{self.root}/") or location.endswith("/"):
            raise ValueError(f"{location!r} is not below {self.root!r}, or ends with a slash")
