"""What lies beside the tables and nobody needs any more: scratch, results of queries, caches, and what was put aside.

Belongs here: finding it by name and age, and who may still work on it. Not here: the tables' own folders (`expiry`), or what is
in the Glue catalog (`athena.leftovers`).
"""

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Final

from seq_assets.errors import SettingsError
from seq_assets.warehouse.interface import Removed
from seq_assets.warehouse.ownership import Process
from seq_assets.warehouse.storage.leases import FOLDER as LEASES
from seq_assets.warehouse.storage.leases import LONGEST_WORK, Lease
from seq_assets.warehouse.storage.storage import LocalStorage, S3Storage, Storage, StoredFile

SCRATCH: Final = "scratch"
QUERY_RESULTS: Final = "query_results"
_ASIDE: Final = re.compile(r"catalog\.db\.damaged-(?P<time>[0-9]{8}T[0-9]{6}\.[0-9]{6})(-journal)?")
_ASIDE_TIME: Final = "%Y%m%dT%H%M%S.%f"
_REPLACEMENT: Final = re.compile(r"catalog\.db\.replacement(-journal)?")


@dataclass(frozen=True)
class Leftover:
    """Something that nobody needs any more.

    Attributes:
        said: What it is.
        remove: Removes it, whatever is still there of it.
    """

    said: Removed
    remove: Callable[[], None]


def of_storage(storage: Storage, written_before: datetime) -> Iterator[Leftover]:
    """What queries and plans have left below the root of a database's tables: its scratch folders, and results of queries."""
    scratch = f"{storage.root}/{SCRATCH}"
    for name, found in groupby(storage.entries(scratch), key=lambda file: file.location[len(scratch) + 1 :].split("/")[0]):
        files = list(found)
        if all(file.modified < written_before for file in files):
            yield _files(storage, "scratch files", f"{scratch}/{name}", files)
    results = f"{storage.root}/{QUERY_RESULTS}"
    yield from _old(storage, "results of queries", results, written_before)


def of_home(home: Path, written_before: datetime, now: datetime) -> Iterator[Leftover]:
    """What builds of this machine, and repairs, have left in a home, and caches that nobody has used since."""
    for folder in _abandoned(home / SCRATCH, written_before, now):
        files = LocalStorage(home).entries(str(folder))
        said = Removed("scratch files", str(folder), len(files), sum(file.size for file in files))
        yield Leftover(said, _folder_removal(folder))
    yield from _old(LocalStorage(home), "cached files", str(home / "cache"), written_before)
    aside = [file for file in _directly_in(home) if _is_aside(file, written_before)]
    yield from _some(LocalStorage(home), "damaged catalogs", str(home), aside)


def of_leases(storage: Storage, over: Sequence[Lease]) -> Iterator[Leftover]:
    """The leases of processes that have ended without giving them back."""
    yield from _some(storage, "leases", f"{storage.root}/{LEASES}", [lease.file for lease in over])


def unfinished_uploads(storage: S3Storage, begun_before: datetime) -> Iterator[Leftover]:
    """Parts of objects that nobody has finished, which no listing of objects shows."""
    from seq_assets.warehouse.storage.object_store import abort_upload, list_uploads, upload_size

    found = [one for one in list_uploads(f"{storage.root}/", SettingsError) if one.begun < begun_before]
    if found:
        size = sum(upload_size(upload, SettingsError) for upload in found)

        def remove() -> None:
            for upload in found:
                abort_upload(upload, SettingsError)

        yield Leftover(Removed("unfinished uploads", storage.root, len(found), size), remove)


def _old(storage: Storage, kind: str, folder: str, written_before: datetime) -> Iterator[Leftover]:
    """The files below a folder that are old enough, as one."""
    yield from _some(storage, kind, folder, [file for file in storage.entries(folder) if file.modified < written_before])


def _some(storage: Storage, kind: str, place: str, files: Sequence[StoredFile]) -> Iterator[Leftover]:
    if files:
        yield _files(storage, kind, place, files)


def _files(storage: Storage, kind: str, place: str, files: Sequence[StoredFile]) -> Leftover:
    said = Removed(kind, place, len(files), sum(file.size for file in files))
    return Leftover(said, lambda: storage.remove_files([file.location for file in files]))


def _abandoned(scratch: Path, written_before: datetime, now: datetime) -> Iterable[Path]:
    """The scratch folders that nobody works in: their process is dead, or is of another machine and would be done by now."""
    for folder in sorted(scratch.iterdir()) if scratch.is_dir() else ():
        owner = Process.from_text(folder.name.rpartition(".")[0])
        times = [file.modified for file in LocalStorage(scratch).entries(str(folder))]
        newest = max([*times, _time_of(folder)])
        if owner is None or newest >= written_before:
            continue
        if owner.is_dead or (_is_elsewhere(owner) and newest < now - LONGEST_WORK):
            yield folder


def _is_elsewhere(process: Process) -> bool:
    """Whether nobody can tell here whether a process lives: it is of another machine, or of another container."""
    here = Process.current()
    return (process.host, process.namespace) != (here.host, here.namespace)


def _time_of(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _folder_removal(folder: Path) -> Callable[[], None]:
    return lambda: shutil.rmtree(folder, ignore_errors=True)


def _directly_in(home: Path) -> list[StoredFile]:
    paths = [path for path in sorted(home.iterdir()) if path.is_file()] if home.is_dir() else []
    return [StoredFile(str(path), path.stat().st_size, _time_of(path)) for path in paths]


def _is_aside(file: StoredFile, written_before: datetime) -> bool:
    """Whether it is a catalog that a repair has put aside, or did not finish; the former says itself since when."""
    match = _ASIDE.fullmatch(file.name)
    if match is not None:
        return datetime.strptime(match["time"], _ASIDE_TIME).replace(tzinfo=UTC) < written_before
    return _REPLACEMENT.fullmatch(file.name) is not None and file.modified < written_before
