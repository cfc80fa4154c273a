"""Finished files for people: whole folders at a place of theirs, which is replaced at once or not at all, here or on S3.

Belongs here: how folders are prepared and put in place, and what is never touched there. Not here: what is in the files, or
the tables of the platform, which are versioned (`iceberg_tables`).
"""

import fcntl
import json
import logging
import os
import re
import shutil
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from seq_assets.errors import ConflictError, SeqAssetsError, SettingsError
from seq_assets.warehouse.cancellation import raise_if_canceled, tidying
from seq_assets.warehouse.host_faults import explained
from seq_assets.warehouse.storage.durable import DurableFile, synchronize_folder
from seq_assets.warehouse.storage.owned_folders import folders_of_the_dead, own_folder

if TYPE_CHECKING:
    from seq_assets.warehouse.storage.object_store import StoredObject
    from seq_assets.warehouse.storage.uploads import Upload

logger = logging.getLogger(__name__)

S3: Final = "s3://"
_OURS: Final = re.compile(r"seq-assets-[0-9a-f]{32}-[0-9]{5,}\.parquet")
_SCRATCH: Final = ".seq_assets_"
_READ_AT_ONCE: Final = 1 << 24
_AT_ONCE: Final = 8
_BOTH: Final = "New files may stand beside old ones; run the same command again, which leaves the newest alone."


class Delivery(ABC):
    """Folders of finished files on their way to one place. What is written there has names by which it is known again."""

    def __init__(self, folders: Collection[str], scratch: Path) -> None:
        """Has nothing prepared yet.

        Args:
            folders: The names of the folders that will be replaced.
            scratch: A folder of this machine that is gone afterwards.
        """
        self.scratch = scratch
        self._folders = folders
        self._run = uuid.uuid4().hex

    @abstractmethod
    def prepare(self, folder: str, files: Sequence[str]) -> None:
        """Brings the files of a folder as near to their place as can be without anything to be seen there.

        Args:
            folder: Its name.
            files: Paths of this machine, whose files may be moved, or addresses on S3, in the order of their rows.

        Raises:
            SettingsError: The place cannot be written.
            RetryableError: It cannot be reached now.
        """

    @abstractmethod
    def commit(self) -> list[str]:
        """Puts everything that is prepared in place, instead of what such a delivery has written there before.

        Returns:
            The folders, in the order in which they were prepared.

        Raises:
            SeqAssetsError: It did not succeed; what stood there stands.
        """

    def _name(self, number: int) -> str:
        return f"seq-assets-{self._run}-{number:05}.parquet"


@contextmanager
def open_delivery(location: str, folders: Collection[str]) -> Iterator[Delivery]:
    """A delivery to a place, which leaves nothing behind that was not put in place.

    Args:
        location: A path or an address on S3.
        folders: The names of the folders that will be replaced.

    Raises:
        SettingsError: The place cannot be written, or one of the folders holds what no such delivery has written.
        RetryableError: It cannot be reached now.
    """
    with (_open_on_s3 if location.startswith(S3) else _open_here)(location, folders) as delivery:
        yield delivery


def is_ours(name: str) -> bool:
    """Whether a delivery gives files such names."""
    return _OURS.fullmatch(name) is not None


def foreign_file(place: str) -> SettingsError:
    """The error for a file that a delivery would have to remove, but has not written."""
    return SettingsError(
        f"{place!r} was not written by this command, which replaces the whole folder that it is in; move it away, or choose "
        "another place."
    )


# On this machine


@contextmanager
def _open_here(location: str, folders: Collection[str]) -> Iterator[Delivery]:
    place = Path(location).expanduser()
    with explained_here(place):
        _settle(place)
    for folder in folders:
        with explained_here(place / folder):
            _refuse_foreign_here(place / folder)
    with explained_here(place), made(place), own_folder(place, _SCRATCH) as scratch:
        yield _LocalDelivery(place, folders, scratch)


def _refuse_foreign_here(folder: Path) -> None:
    """Refuses what no delivery has made: a link in its place, and whatever else is in it, hidden or not."""
    if folder.is_symlink():
        raise foreign_file(str(folder))
    if folder.exists():
        for found in sorted(folder.iterdir()):
            if not _is_ours_here(found):
                raise foreign_file(str(found))


def _is_ours_here(file: Path) -> bool:
    return is_ours(file.name) and file.is_file() and not file.is_symlink()


@contextmanager
def made(place: Path) -> Iterator[None]:
    """Makes a folder; where what happens inside fails, those that were made and are empty are removed."""
    missing = [folder for folder in (place, *place.parents) if not folder.exists()]
    place.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for folder in missing:
                folder.rmdir()
        raise


@contextmanager
def explained_here(place: Path) -> Iterator[None]:
    """What this machine refuses inside becomes an error for the user.

    Raises:
        SettingsError: With the place, or the file that the refusal names.
    """
    with explained(place, "choose another place"):
        yield


class _LocalDelivery(Delivery):
    """Prepares folders in a hidden one beside their places, of the same file system, and renames them."""

    def __init__(self, place: Path, folders: Collection[str], scratch: Path) -> None:
        super().__init__(folders, scratch)
        self._place = place
        self._moves = _Moves(place, scratch)
        self._prepared: list[str] = []

    def prepare(self, folder: str, files: Sequence[str]) -> None:
        fresh = self._moves.fresh(folder)
        fresh.mkdir(parents=True)
        for number, file in enumerate(files):
            path = fresh / self._name(number)
            if file.startswith(S3):
                self._download(file, path)
            else:
                Path(file).rename(path)
        self._prepared.append(folder)

    def commit(self) -> list[str]:
        with explained_here(self._place), _alone_in(self._place), ExitStack() as undo:
            for folder in self._prepared:
                _refuse_foreign_here(self._place / folder)
            self._moves.begin(self._prepared)
            undo.callback(self._moves.forget)
            for folder in self._prepared:
                self._moves.replace(folder, undo)
            undo.pop_all()
            self._moves.finish(self._prepared)
        return [str(self._place / folder) for folder in self._prepared]

    def _download(self, address: str, path: Path) -> None:
        from seq_assets.warehouse.storage.object_store import open_object

        with open_object(address, SettingsError) as source, path.open("xb") as sink:
            for content in _pieces(source, _READ_AT_ONCE):
                sink.write(content)
            sink.flush()
            os.fsync(sink.fileno())


@dataclass(frozen=True)
class _Moves:
    """The renames that replace folders.

    While they are done a list of them lies in the scratch folder, by which others can finish them for a process that is killed.

    Attributes:
        place: Where the folders are.
        scratch: The delivery's own folder there.
    """

    place: Path
    scratch: Path

    def fresh(self, folder: str) -> Path:
        """What is to be put in place."""
        return self.scratch / "fresh" / folder

    def _replaced(self, folder: str) -> Path:
        return self.scratch / "replaced" / folder

    @property
    def _list(self) -> Path:
        return self.scratch / "replacing.json"

    def begin(self, folders: Sequence[str]) -> None:
        """Writes the list, when all that it is about is there to stay: from now on, the folders are replaced all together."""
        for folder in folders:
            for file in self.fresh(folder).iterdir():
                with file.open("rb") as opened:
                    os.fsync(opened.fileno())
            synchronize_folder(self.fresh(folder))
        for above in (self.scratch / "fresh", self.scratch, self.place):
            synchronize_folder(above)
        unfinished = self._list.with_suffix(".unfinished")
        with DurableFile(unfinished, "xb") as sink:
            sink.write(json.dumps(folders).encode())
        unfinished.rename(self._list)
        synchronize_folder(self.scratch)

    def begun(self) -> list[str]:
        """The folders of the list; none where nothing was replaced yet."""
        if not self._list.exists():
            return []
        folders: list[str] = json.loads(self._list.read_text(encoding="utf-8"))
        return folders

    def forget(self) -> None:
        """Removes the list: what is prepared must not be put in place any more."""
        self._list.unlink()

    def replace(self, folder: str, undo: ExitStack) -> None:
        """Replaces one folder, unless that is done; `undo` brings back what stood there."""
        place, fresh, old = self.place / folder, self.fresh(folder), self._replaced(folder)
        if not fresh.exists():
            return
        if place.exists():
            old.parent.mkdir(exist_ok=True)
            place.rename(old)
            undo.callback(old.rename, place)
        fresh.rename(place)
        undo.callback(place.rename, fresh)

    def finish(self, folders: Sequence[str]) -> None:
        """Gives back what somebody has put into a folder since it was looked at."""
        for folder in folders:
            old = self._replaced(folder)
            for found in list(old.iterdir()) if old.exists() else ():
                if not _is_ours_here(found):
                    found.rename(self.place / folder / found.name)
        synchronize_folder(self.place)


def _settle(place: Path) -> None:
    """Ends what runs of this machine have left in a place that were killed: what they replaced, they replaced whole.

    Raises:
        SettingsError: Somebody has put a folder where such a run had just made room for its own.
    """
    if not folders_of_the_dead(place, _SCRATCH):
        return
    with _alone_in(place):
        for scratch in folders_of_the_dead(place, _SCRATCH):
            moves = _Moves(place, scratch)
            folders = moves.begun()
            for folder in folders:
                _refuse_two(place / folder, scratch / "replaced" / folder, moves.fresh(folder))
            with ExitStack() as undo:
                for folder in folders:
                    moves.replace(folder, undo)
                undo.pop_all()
            moves.finish(folders)
            shutil.rmtree(scratch)
            if folders:
                logger.warning(
                    "A run of this command was killed while it replaced %s in %s; what it had made is in place now.",
                    ", ".join(folders),
                    place,
                )
            else:
                logger.warning(
                    "A run of this command was killed before it replaced anything in %s; what it left is gone.", place
                )


def _refuse_two(place: Path, old: Path, fresh: Path) -> None:
    if place.exists() and old.exists() and fresh.exists():
        raise SettingsError(
            f"{str(place)!r} was made by others where a run that was killed had made room for {str(fresh)!r}; move "
            f"{str(place)!r} away, and run this again. What stood there before is in {str(old)!r}."
        )


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Within it, no other run is within it for the same folder, where the file system can say so."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        # File systems of a network may have no locks on folders.
        with suppress(OSError):
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _pieces(source: IO[bytes], size: int) -> Iterator[bytes]:
    """The content of a file; can be canceled between two pieces."""
    while content := source.read(size):
        raise_if_canceled()
        yield content


# On S3


@contextmanager
def _open_on_s3(location: str, folders: Collection[str]) -> Iterator[Delivery]:
    from seq_assets.warehouse.storage.object_store import split_address

    split_address(location, SettingsError)
    place = location.rstrip("/")
    scratch_root = Path(tempfile.gettempdir())
    for left in folders_of_the_dead(scratch_root, _SCRATCH):
        shutil.rmtree(left, ignore_errors=True)
    with explained_here(scratch_root), own_folder(scratch_root, _SCRATCH) as scratch:
        delivery = _S3Delivery(place, folders, scratch)
        delivery.require_allowed()
        try:
            yield delivery
        finally:
            with tidying():
                delivery.abandon()


class _S3Delivery(Delivery):
    """Prepares objects as uploads that lack nothing but their completion, because S3 can rename none."""

    def __init__(self, place: str, folders: Collection[str], scratch: Path) -> None:
        super().__init__(folders, scratch)
        self._place = place
        self._uploads: dict[str, list[Upload]] = {}

    def require_allowed(self) -> None:
        """Finds out what would be refused at the end, by what leaves nothing behind.

        Raises:
            SettingsError: Listing, writing or removing is refused, or a folder holds what no such delivery has written.
            RetryableError: The store cannot be reached now.
        """
        from seq_assets.warehouse.storage.object_store import remove_each
        from seq_assets.warehouse.storage.uploads import Upload

        for folder in self._folders:
            nothing = f"{self._place}/{folder}/{self._name(0)}"
            if self._standing(folder):
                remove_each([nothing], SettingsError)
            Upload(nothing, SettingsError).abort()

    def prepare(self, folder: str, files: Sequence[str]) -> None:
        self._uploads[folder] = []
        for number, file in enumerate(files):
            self._upload(folder, f"{self._place}/{folder}/{self._name(number)}", file)

    def commit(self) -> list[str]:
        from seq_assets.warehouse.storage.object_store import remove_each

        replaced = [one.address for folder in self._uploads for one in self._standing(folder)]
        completed = [upload.address for upload in self._all_uploads()]
        try:
            _together(lambda upload: upload.complete(), self._all_uploads())
        except SeqAssetsError as error:
            try:
                remove_each(completed, SettingsError)
            except SeqAssetsError:
                raise type(error)(f"{error} {_BOTH}") from error
            raise
        self._uploads = {folder: [] for folder in self._uploads}
        try:
            remove_each(replaced, SettingsError)
        except SeqAssetsError as error:
            raise type(error)(f"{error} {_BOTH}") from error
        self._refuse_others(completed)
        return [f"{self._place}/{folder}" for folder in self._uploads]

    def _refuse_others(self, completed: Collection[str]) -> None:
        """Of two runs that replace the same at once, the later one finds what the other has written."""
        for folder in self._uploads:
            for one in self._standing(folder):
                if one.address not in completed:
                    raise ConflictError(
                        f"{one.address!r} was written at the same time by another run of this command, and stands beside what "
                        "this one wrote; run one of them again, alone."
                    )

    def abandon(self) -> None:
        """Gives up what is not completed, as well as it can: what ended the delivery is what must be told."""
        try:
            _together(lambda upload: upload.abort(), self._all_uploads())
        except SeqAssetsError as error:
            logger.warning(
                "Parts of an upload below %s are left, which a rule of the bucket may remove: %s", self._place, error
            )

    def _all_uploads(self) -> "list[Upload]":
        return [upload for uploads in self._uploads.values() for upload in uploads]

    def _upload(self, folder: str, address: str, file: str) -> None:
        from seq_assets.warehouse.storage.object_store import find_object
        from seq_assets.warehouse.storage.uploads import PART, Upload, part_size

        upload = Upload(address, SettingsError)
        self._uploads[folder].append(upload)
        if file.startswith(S3):
            found = find_object(file)
            assert found is not None, "it was written by whoever hands it over"
            upload.copy(found)
            return
        with Path(file).open("rb") as source:
            for content in _pieces(source, part_size(Path(file).stat().st_size, PART)):
                upload.send(content)

    def _standing(self, folder: str) -> "list[StoredObject]":
        """What such deliveries have written into a folder.

        Raises:
            SettingsError: There is something else.
        """
        from seq_assets.warehouse.storage.object_store import list_objects

        root = f"{self._place}/{folder}/"
        found = [one for one in list_objects(root, SettingsError) if one.address != root or one.size > 0]
        for one in found:
            if not is_ours(one.address.removeprefix(root)):
                raise foreign_file(one.address)
        return found


def _together(work: "Callable[[Upload], None]", uploads: "Iterable[Upload]") -> None:
    """Does the same with several uploads at once, with all of them, and raises the first error."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        futures = [pool.submit(work, upload) for upload in uploads]
    for future in futures:
        future.result()
