"""The metadata files of a table: which there are, and whether one of them, and what it names, can be read.

Each commit writes a new one beside those before it, whose number is one more; the catalog names the one that stands. The number
0 is the table before its first version, and is written before the catalog lists the table; every higher one afterwards.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from pyiceberg.exceptions import ValidationError
from pyiceberg.io import FileIO
from pyiceberg.serializers import FromInputFile
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot

from seq_assets.errors import PermissionDeniedError, RetryableError, SettingsError
from seq_assets.warehouse.interface import Version
from seq_assets.warehouse.storage.storage import Storage

_NAME: Final = re.compile(r"(?:.*/)?(?P<number>[0-9]+)-[^/]+\.metadata\.json")
UNREADABLE: Final = (FileNotFoundError, IsADirectoryError, ValidationError, ValueError)
"""What reading metadata raises where the file is gone or broken; others say that it could not be reached."""


@dataclass(frozen=True)
class Pointer:
    """What a catalog says of a table.

    Attributes:
        location: The metadata file that stands.
        previous: The one before it, where the catalog says so.
    """

    location: str
    previous: str | None


class Pointers(Protocol):
    """Of one database, what the catalog says of its tables, whatever is in the files that it names."""

    def find(self, table: str) -> Pointer | None:
        """What it says of a table; None where it lists no such table."""

    def move(self, table: str, pointer: Pointer, metadata: TableMetadata, location: str) -> None:
        """Has another metadata file stand.

        Args:
            table: The table.
            pointer: What the catalog says now.
            metadata: The content of the other file.
            location: The other file.

        Raises:
            LostRaceError: It says something else by now; nothing is changed.
        """


@dataclass(frozen=True)
class MetadataFile:
    """One of a table's metadata files.

    Attributes:
        location: Where it is.
        number: How many commits came before it; 0 for the table before its first version.
    """

    location: str
    number: int

    @classmethod
    def at(cls, location: str) -> "MetadataFile | None":
        """The file at a location; None where its name is none of a metadata file."""
        match = _NAME.fullmatch(location)
        return None if match is None else cls(location, int(match["number"]))

    @property
    def name(self) -> str:
        """Its name, without folders."""
        return self.location.rsplit("/", maxsplit=1)[-1]


def metadata_files(storage: Storage, table: str) -> list[MetadataFile]:
    """The metadata files of a table, by number, the highest first.

    Args:
        storage: Where they are.
        table: The table's folder or address.
    """
    found = (MetadataFile.at(location) for location in storage.files(f"{table}/metadata"))
    return sorted((file for file in found if file is not None), key=lambda file: file.number, reverse=True)


def read_metadata(properties: Mapping[str, str], location: str) -> TableMetadata:
    """The content of a metadata file.

    Args:
        properties: Of the catalog, which say how files are read.
        location: The file.

    Raises:
        Exception: One of `UNREADABLE`: it is gone or broken.
    """
    return FromInputFile.table_metadata(open_files(properties, location).new_input(location))


def open_files(properties: Mapping[str, str], location: str) -> FileIO:
    """What reads and writes Iceberg's own files at such a location."""
    from pyiceberg.io import load_file_io

    return load_file_io(dict(properties), location)


def what_is_wrong(error: Exception) -> str:
    """Why a file could not be read, to go on from its name."""
    if isinstance(error, FileNotFoundError):
        return "is missing"
    if isinstance(error, IsADirectoryError):
        return "is a folder"
    return f"is broken ({type(error).__name__})"


def why_unreadable_manifests(snapshot: Snapshot, files: FileIO) -> str | None:
    """Why what a snapshot says of its files cannot be read; None where it can."""
    try:
        for manifest in snapshot.manifests(files):
            manifest.fetch_manifest_entry(files)
    except FileNotFoundError:
        return f"a manifest of its version {snapshot.snapshot_id} is missing"
    except IsADirectoryError:
        return f"a manifest of its version {snapshot.snapshot_id} is a folder"
    except OSError:
        raise  # it could not be reached, which says nothing
    except Exception as error:
        # Of bytes that are no manifest, the decoder says what it stumbles over, in many ways.
        return f"a manifest of its version {snapshot.snapshot_id} is broken ({type(error).__name__})"
    return None


def why_unreadable_rows(storage: Storage, version: Version) -> str | None:
    """Why a file of a version cannot be read, by its beginning and end; None where all can."""
    import pyarrow.parquet as pq

    for file in version.files:
        try:
            with storage.open_input(file) as opened:
                pq.read_metadata(opened)
        except (RetryableError, PermissionDeniedError):
            raise  # it could not be reached, which says nothing
        except FileNotFoundError:
            return f"{file} of its version {version.id} is missing"
        except (SettingsError, OSError, ValueError) as error:
            return f"{file} of its version {version.id} is broken or missing ({type(error).__name__})"
    return None
